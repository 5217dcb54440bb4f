"""Names of the array types that the risk core passes around; shapes are stated where they are used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: One-dimensional float64.
Vector = NDArray[np.float64]
#: Two-dimensional float64.
Matrix = NDArray[np.float64]
#: float64 of any number of dimensions.
Values = NDArray[np.float64]
#: One- or two-dimensional indices.
Indices = NDArray[np.intp]
#: Booleans.
Flags = NDArray[np.bool_]
#: One-dimensional datetime64[D], strictly rising.
Days = NDArray[np.datetime64]


def row_by_row(rows: Matrix, weights: Values) -> Values:
    """Return `rows @ weights` with each row's result the same to the last bit whatever stands in the other rows.

    BLAS chooses its order of summation by the size of the matrix. One product a row costs little, and a figure then
    does not depend on the company it was computed in.

    Args:
        rows: (P, T).
        weights: (T,) or (T, L).

    Returns:
        (P,) or (P, L).
    """
    products: Values = np.matmul(rows[:, None, :], weights)
    return products[:, 0]
