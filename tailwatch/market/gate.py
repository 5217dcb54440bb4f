"""Which bars of a history are not to be believed yet: jumps that nothing explains, and spikes.

A move of one session is suspicious if it is beyond 25 % and beyond twelve robust standard deviations of the year
before (1.4826 × the median absolute deviation). If the price is back within three sessions it was a spike, and the
bar is a mistake whoever says so. If the new level has held for three sessions, it is one. What is younger waits: for
a second fetch that says the same, or for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from tailwatch.market.sources import Bar

Code = Literal["spike", "jump", "split", "minor_unit", "not_a_price"]

LARGEST_MOVE: Final = 0.25
ROBUST_DEVIATIONS: Final = 12.0
#: Returns that the deviation is taken from, and the fewest that say anything.
LOOK_BACK: Final = 250
FEWEST_RETURNS: Final = 60
#: Sessions in which a spike is over, or a new level has held.
SESSIONS_TO_TELL: Final = 3
#: How near to where it came from a price must be to be back.
NEARLY_BACK: Final = 0.1

#: Makes a median absolute deviation of normal returns their standard deviation.
_TO_DEVIATION: Final = 1.4826
#: What splits multiply prices by, those that happen.
_SPLITS: Final = (1 / 20, 1 / 10, 1 / 8, 1 / 5, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 4, 5, 8, 10, 20)
_SPLIT_WORDS: Final = {ratio: (f"{1 / ratio:g}:1" if ratio < 1 else f"1:{ratio:g}") for ratio in _SPLITS}
_NEAR_RATIO: Final = 0.03
_NEAR_HUNDRED: Final = 0.1
#: A price below that share of the one before is rather a dividend, or another amount, printed as a price.
_TOO_SMALL: Final = 0.15

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """A bar that is not believed.

    Attributes:
        bar: It.
        code: What it looks like.
        reason: That in a sentence, with the numbers.
    """

    bar: Bar
    code: Code
    reason: str


def judge(bars: Sequence[Bar]) -> list[Suspect]:
    """Return the bars that are not to be believed, days rising.

    Each bar is compared with the last one that was believed, on adjusted closes.

    Args:
        bars: Days rising, on one basis of adjustment.
    """
    if len(bars) <= FEWEST_RETURNS or not all(bar.adjusted_close.is_finite() for bar in bars):
        # What is no number is refused where it is stored.
        return []
    closes = np.array([float(bar.adjusted_close) for bar in bars])
    moves = np.abs(closes[1:] / closes[:-1] - 1)
    first = np.flatnonzero(moves[FEWEST_RETURNS - 1 :] > LARGEST_MOVE)
    if not first.size:
        return []
    suspects: list[Suspect] = []
    believed = list(range(FEWEST_RETURNS + int(first[0])))
    for place in range(len(believed), closes.size):
        before = believed[-1]
        if _is_suspicious(closes, believed, place):
            code = _code(closes, before, place)
            if code is not None:
                suspects.append(Suspect(bars[place], code, _reason(code, bars[before], bars[place])))
                continue
        believed.append(place)
    return suspects


def moves_far(bars: Sequence[Bar]) -> bool:
    """Say whether a bar is so far from the one before that `judge` could find it suspicious."""
    closes = [float(bar.adjusted_close) for bar in bars if bar.adjusted_close.is_finite() and bar.adjusted_close > 0]
    return any(abs(now / before - 1) > LARGEST_MOVE for before, now in pairwise(closes))


def _is_suspicious(closes: Floats, believed: list[int], place: int) -> bool:
    move = abs(closes[place] / closes[believed[-1]] - 1)
    if move <= LARGEST_MOVE:
        return False
    known = closes[believed[-LOOK_BACK - 1 :]]
    returns = known[1:] / known[:-1] - 1
    deviation = _TO_DEVIATION * float(np.median(np.abs(returns - np.median(returns))))
    return bool(move > ROBUST_DEVIATIONS * deviation)


def _code(closes: Floats, before: int, place: int) -> Code | None:
    """Return what a suspicious bar looks like; None: the new level has held, and is one."""
    after = closes[place + 1 : place + 1 + SESSIONS_TO_TELL]
    if (np.abs(after / closes[before] - 1) <= NEARLY_BACK).any():
        return _kind(closes[place] / closes[before], "spike")
    if after.size >= SESSIONS_TO_TELL:
        return None
    return _kind(closes[place] / closes[before], "jump")


def _kind(ratio: float, otherwise: Code) -> Code:
    if abs(ratio * 100 - 1) <= _NEAR_HUNDRED or abs(ratio / 100 - 1) <= _NEAR_HUNDRED:
        return "minor_unit"
    if ratio < _TOO_SMALL and not any(abs(ratio / split - 1) <= _NEAR_RATIO for split in _SPLITS):
        return "not_a_price"
    if otherwise == "jump" and any(abs(ratio / split - 1) <= _NEAR_RATIO for split in _SPLITS):
        return "split"
    return otherwise


def _reason(code: Code, before: Bar, bar: Bar) -> str:
    ratio = float(bar.adjusted_close / before.adjusted_close)
    moved = f"{_plain(bar)} on {bar.day} after {_plain(before)} on {before.day} ({ratio - 1:+.0%})"
    split = min(_SPLITS, key=lambda known: abs(ratio / known - 1))
    meaning = {
        "spike": "the price was back within three sessions, so it looks like a mistake",
        "jump": "no split explains it, and nobody has confirmed it yet",
        "split": f"it looks like a {_SPLIT_WORDS[split]} split that no source has told of yet",
        "minor_unit": "it looks like hundredths taken for whole units, or the other way round",
        "not_a_price": "it looks like a dividend, or another amount, printed as a price",
    }[code]
    return f"{moved}: {meaning}."


def _plain(bar: Bar) -> str:
    return f"{bar.close.normalize():f}"


def days_of(suspects: Sequence[Suspect]) -> set[date]:
    """Return their days."""
    return {suspect.bar.day for suspect in suspects}
