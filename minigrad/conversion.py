"""What a user hands in, as an array: numbers, nested lists, arrays, with the dtype they get.

Python's floats become float32 and its integers int64; whatever has a dtype keeps it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import DtypeError, ShapeError
from minigrad.spec import as_dtype, float32

Array = NDArray[Any]


def as_array(data: Any, dtype: Any = None) -> Array:
    """`data` as an array of a supported dtype; copies only where it has to.

    Raises ShapeError for lists of unequal lengths, and DtypeError for what is no real number, has
    a dtype minigrad does not compute with, or is too large an integer for `dtype`.
    """
    has_dtype = isinstance(data, (np.ndarray, np.generic))
    given = data if has_dtype else _with_arrays(data)
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ShapeError(f"tensor: nested lists must have equal lengths ({error})") from None
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"tensor: takes real numbers, got {type(data).__name__} of {array.dtype}")
    if dtype is not None:
        wanted = as_dtype(dtype)
    else:
        numbers = array.dtype == np.float64 and not _holds_float64(given)
        wanted = float32 if numbers else as_dtype(array.dtype.newbyteorder("="))
    converted = array.astype(wanted, copy=False)
    whole = array.dtype.kind in "iu" and wanted.kind in "iu"
    if whole and not has_dtype and (converted != array).any():
        raise DtypeError(f"tensor: {data!r} does not fit {wanted}")
    return converted


def _with_arrays(data: Any) -> Any:
    """Nested lists with arrays for the tensors in them."""
    if isinstance(data, (list, tuple)):
        return [_with_arrays(item) for item in data]
    return np.asarray(data) if hasattr(data, "__array__") else data


def _holds_float64(data: Any) -> bool:
    """Whether this is, or nested lists hold, an array of float64: not only Python's numbers."""
    if isinstance(data, list):
        return any(_holds_float64(item) for item in data)
    return isinstance(data, (np.ndarray, np.generic)) and data.dtype == np.float64
