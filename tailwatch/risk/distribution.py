"""A histogram of profit and loss on round bin edges."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tailwatch.risk.arrays import Indices, Vector

#: Most bins, give or take the one that round edges add; round widths make it at least half of that.
BINS: Final = 50


def round_width(width: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `width` > 0."""
    scale = 10.0 ** math.floor(math.log10(width))
    return scale * next((step for step in (1.0, 2.0, 2.5, 5.0) if width <= step * scale), 10.0)


def histogram(pnl: Vector, bins: int = BINS) -> tuple[Vector, Indices]:
    """Return (K+1,) edges and (K,) counts of (T,) values.

    Edges are multiples of a round width, so zero is an edge where it lies inside and losses never share a bin with
    gains. Bin i holds [edges[i], edges[i+1]).
    """
    lowest, highest = float(pnl.min()), float(pnl.max())
    spread = highest - lowest
    # Values that do not differ beyond rounding get one bin in proportion to their size.
    width = round_width(spread / bins if spread > 1e-9 * abs(lowest) else abs(lowest) / 10 or 1.0)
    places = np.floor(pnl / width).astype(np.intp)
    first = int(places.min())
    counts = np.bincount(places - first)
    edges = np.arange(first, first + counts.size + 1, dtype=np.float64) * width
    return edges, counts
