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
