"""The deepest fall of a value path."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tailwatch.risk.arrays import Indices, Matrix, Vector


def price_relatives(returns: Matrix) -> Matrix:
    """Return the (T+1, M) prices over the newest price that (T, M) simple returns imply; the last row is 1."""
    relatives = np.ones((returns.shape[0] + 1, returns.shape[1]), order="F")
    np.cumprod(1 / (1 + returns[::-1]), axis=0, out=relatives[-2::-1])
    return relatives


class DeepestFall(NamedTuple):
    """Deepest falls of P paths.

    Attributes:
        depth: (P,) fall as a fraction of the peak, positive; 0 where a path never falls.
        peak: (P,) session of the peak.
        trough: (P,) session of the trough; equals `peak` where the path never falls.
        recovery: (P,) first session after the trough at or above the peak, or −1.
    """

    depth: Vector
    peak: Indices
    trough: Indices
    recovery: Indices


def deepest_fall(paths: Matrix) -> DeepestFall:
    """Return the deepest fall of each of (P, T+1) positive value paths, oldest first."""
    portfolios = np.arange(len(paths))
    highs = np.maximum.accumulate(paths, axis=1)
    falls = 1 - paths / highs
    trough = falls.argmax(axis=1)
    depth = falls[portfolios, trough]
    level = highs[portfolios, trough]
    peak = (paths == level[:, None]).argmax(axis=1)
    back = (paths >= level[:, None]) & (np.arange(paths.shape[1]) > trough[:, None])
    recovery = np.where((depth > 0) & back.any(axis=1), back.argmax(axis=1), -1)
    return DeepestFall(depth, peak, np.where(depth > 0, trough, peak), recovery)
