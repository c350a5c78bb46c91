"""Functions of dtypes: result_type, can_cast, isdtype, finfo, iinfo, as in the array API standard.

They answer questions about NumPy's rules. minigrad's own ops promote nothing: two dtypes that
differ are an error, and `astype` converts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, DtypeError
from minigrad.spec import FLOATING, as_dtype
from minigrad.tensor import Tensor, as_tensor

__all__ = ["can_cast", "finfo", "iinfo", "isdtype", "result_type"]


def _dtype_of(given: Any) -> np.dtype[Any]:
    """The dtype that is given, or that of the array given."""
    if isinstance(given, (Tensor, np.ndarray, np.generic)):
        return as_tensor(given).dtype
    return as_dtype(given)


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype that holds the values of all arguments: arrays, dtypes and Python numbers.

    A Python number takes the dtype of the others where it is of their kind. Raises ArgumentError
    for no arguments, DtypeError for what is no dtype, or where no dtype holds all.
    """
    if not arrays_and_dtypes:
        raise ArgumentError("result_type: takes at least one array or dtype")
    plain = (bool, int, float)
    given = [v if type(v) in plain else _dtype_of(v) for v in arrays_and_dtypes]
    if all(type(v) in plain for v in given):
        # Numbers alone are what they would be as tensors; one with a fraction holds them all.
        return max((as_tensor(v).dtype for v in given), key=lambda found: "bif".index(found.kind))
    try:
        return as_dtype(np.result_type(*given))
    except (TypeError, OverflowError) as error:
        raise DtypeError(f"result_type: no dtype holds {arrays_and_dtypes!r}: {error}") from None


def can_cast(from_: Any, to: Any) -> bool:
    """Whether every value of the dtype (or of an array's dtype) `from_` is one of `to`."""
    return bool(np.can_cast(_dtype_of(from_), as_dtype(to)))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether `dtype` is of the kind: a dtype, a name, or a tuple of both, of which one must fit.

    Names are "bool", "signed integer", "unsigned integer", "integral", "real floating" and
    "numeric". Raises ArgumentError for another name.
    """
    found = as_dtype(dtype)
    try:
        return bool(np.isdtype(found, kind))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"isdtype: {kind!r} is no kind of dtypes ({error})") from None


def finfo(dtype: Any) -> np.finfo[Any]:
    """Limits of a floating-point dtype, or of an array's: `bits`, `eps`, `max`, `min`, `tiny`."""
    found = _dtype_of(dtype)
    if found not in FLOATING:
        raise DtypeError(f"finfo: takes float32 or float64, got {found}; iinfo is for integers")
    return np.finfo(found)


def iinfo(dtype: Any) -> np.iinfo[Any]:
    """Limits of an integer dtype, or of an array's: `bits`, `max`, `min`."""
    found = _dtype_of(dtype)
    if found.kind not in "iu":
        raise DtypeError(f"iinfo: takes an integer dtype, got {found}; finfo is for floats")
    return np.iinfo(found)
