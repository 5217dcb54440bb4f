"""What a portfolio has returned: for money that stays throughout, and for the owner's, as it came and went.

Returns are ratios of amounts and no amounts: they are calculated in floating point.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

DAYS_A_YEAR: Final = 365
#: Growth over the whole period among which a money-weighted one is looked for: from nearly all lost to a millionfold.
_GROWTHS: Final = np.geomspace(1e-6, 1e6, 481)
#: A value below this share of the largest one is none: what is left of sums of floats that cancel out.
_NOTHING: Final = 1e-12


def time_weighted(values: Floats, flows: Floats) -> Floats:
    """Return the growth of one unit of money that stays from the first day on, less one, for each day.

    Money that comes is there from the beginning of its day, money that goes until its end; so the first day of a
    portfolio has a return, and the last one, too. Days with nothing at work have none.

    Args:
        values: (N,) at the end of each day.
        flows: (N,) what came on each day, net of what went; that of the first day is in its value already.

    Returns:
        (N,) fractions, the first 0; NaN from the first day on that has no return, since no money of its owner was at
        work: the value and what came were not positive together, or more than all of it was lost.
    """
    came, gone = np.maximum(flows[1:], 0.0), np.maximum(-flows[1:], 0.0)
    at_work, became = values[:-1] + came, values[1:] + gone
    largest = max(float(np.max(np.abs(values), initial=0.0)), float(np.max(np.abs(flows), initial=0.0)))
    idle = (np.abs(at_work) <= _NOTHING * largest) & (np.abs(became) <= _NOTHING * largest)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(idle, 1.0, became / at_work)
    growth[~idle & ((at_work <= _NOTHING * largest) | (became < -_NOTHING * largest))] = np.nan
    return np.concatenate([[1.0], np.cumprod(growth)]) - 1.0


def money_weighted(days: Days, values: Floats, flows: Floats) -> float | None:
    """Return what every unit of money has earned over the whole period, the same rate for all of it at all times.

    The one rate at which the first value and what came later would have become what went and the last value: the
    internal rate of return, with the period as its unit of time. With the hours of `time_weighted`, so that the two
    are one for money that comes once and stays.

    Args:
        days: (N,) rising.
        values: (N,) at the end of each day.
        flows: (N,) what came on each day, net of what went; that of the first day is in its value already.

    Returns:
        A fraction; None where no rate answers the flows, or several do.
    """
    at = (days - days[0]).astype(np.float64)
    length = at[-1]
    if length <= 0:
        return None
    later = flows[1:]
    left = (length - at[1:] + (later > 0)) / length
    moved = later != 0
    amounts, left = np.concatenate([values[:1], later[moved]]), np.concatenate([[1.0], left[moved]])
    if values[-1] == 0 and values[0] >= 0 and np.all(amounts >= 0):
        return -1.0 if np.any(amounts > 0) else None

    def excess(growths: Floats) -> Floats:
        """Return what there would be at the end at each growth over the whole period, less what there is."""
        grown: Floats = np.power(growths[:, None], left) @ amounts - values[-1]
        return grown

    found = excess(_GROWTHS)
    places = np.flatnonzero(np.signbit(found[:-1]) != np.signbit(found[1:]))
    if places.size != 1 or not np.all(np.isfinite(found)):
        return None
    below, above = float(_GROWTHS[places[0]]), float(_GROWTHS[places[0] + 1])
    falls = bool(found[places[0]] > 0)
    # A grid of 31 divisions takes five bits a round; eleven of them are all that a float has.
    for _ in range(11):
        grid = np.linspace(below, above, 33)
        over = excess(grid) < 0 if falls else excess(grid) > 0
        place = int(np.argmax(over)) if over.any() else 32
        below, above = float(grid[max(place - 1, 0)]), float(grid[place])
    return (below + above) / 2 - 1.0


def annualised(total: float | None, first: date, last: date) -> float | None:
    """Return a return over a period as one a year; None for less than a year, which says little of one."""
    days = (last - first).days
    if total is None or days < DAYS_A_YEAR:
        return None
    return float((1.0 + total) ** (DAYS_A_YEAR / days) - 1.0)
