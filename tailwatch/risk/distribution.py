"""A histogram of profit and loss on round bin edges."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Indices, Matrix, Vector

#: Most bins, give or take the one that round edges add; round widths make it at least half of that.
BINS: Final = 50


def round_width(width: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `width` > 0."""
    scale = 10.0 ** math.floor(math.log10(width))
    return scale * next((step for step in (1.0, 2.0, 2.5, 5.0) if width <= step * scale), 10.0)


def histogram(pnl: Vector, bins: int = BINS) -> tuple[Vector, Indices]:
    """Return (K+1,) edges and (K,) counts of (T,) values; see `histograms`."""
    return histograms(pnl[None, :], bins)[0]


def histograms(pnl: Matrix, bins: int = BINS) -> list[tuple[Vector, Indices]]:
    """Return (K+1,) edges and (K,) counts of each row of (P, T) values.

    Edges are multiples of a round width, so zero is an edge where it lies inside and losses never share a bin with
    gains. Bin i holds [edges[i], edges[i+1]).
    """
    lowest, highest = pnl.min(axis=1).tolist(), pnl.max(axis=1).tolist()
    widths = np.array([_width(low, high - low, bins) for low, high in zip(lowest, highest, strict=True)])
    places = np.floor(pnl / widths[:, None]).astype(np.intp)
    firsts = places.min(axis=1)
    sizes = places.max(axis=1) - firsts + 1
    # One row of as many bins as any needs for each; all are counted in one go.
    most, number = int(sizes.max()), len(pnl)
    places += (np.arange(number) * most - firsts)[:, None]
    counts = np.bincount(places.ravel(), minlength=number * most).reshape(number, most)
    return [
        (np.arange(first, first + size + 1, dtype=np.float64) * width, row[:size])
        for first, size, width, row in zip(firsts.tolist(), sizes.tolist(), widths.tolist(), counts, strict=True)
    ]


def _width(lowest: float, spread: float, bins: int) -> float:
    # Values that do not differ beyond rounding get one bin in proportion to their size.
    return round_width(spread / bins if spread > 1e-9 * abs(lowest) else abs(lowest) / 10 or 1.0)
