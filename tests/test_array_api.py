"""The names of the Python array API standard, 2024.12, for real numbers: all of them exist, and
take the arguments of the standard by their names."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import linalg

FUNCTIONS = {
    "creation": "arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid "
    "ones ones_like tril triu zeros zeros_like",
    "dtypes": "astype can_cast finfo iinfo isdtype result_type",
    "elementwise": "abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_invert "
    "bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor ceil clip copysign cos cosh "
    "divide equal exp expm1 floor floor_divide greater greater_equal hypot isfinite isinf isnan "
    "less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or "
    "logical_xor maximum minimum multiply negative nextafter not_equal positive pow reciprocal "
    "remainder round sign signbit sin sinh sqrt square subtract tan tanh trunc",
    "indexing": "take take_along_axis",
    "linear algebra": "matmul matrix_transpose tensordot vecdot",
    "manipulation": "broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims "
    "repeat reshape roll squeeze stack tile unstack",
    "searching": "argmax argmin count_nonzero nonzero searchsorted where",
    "sets": "unique_all unique_counts unique_inverse unique_values",
    "sorting": "argsort sort",
    "statistics": "cumulative_prod cumulative_sum max mean min prod std sum var",
    "utilities": "all any diff",
}
LINALG = "cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power "
LINALG += "matrix_rank matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace "
LINALG += "vecdot vector_norm"
KEYWORDS = {
    "argmax argmin": "axis keepdims",
    "argsort sort": "axis descending stable",
    "all any max mean min prod sum count_nonzero": "axis keepdims",
    "std var": "axis correction keepdims",
    "clip": "min max",
    "concat stack": "axis",
    "cumulative_prod cumulative_sum": "axis include_initial",
    "diff": "axis n prepend append",
    "expand_dims flip": "axis",
    "meshgrid": "indexing",
    "repeat roll take take_along_axis unstack vecdot": "axis",
    "reshape full ones zeros empty": "shape",
    "searchsorted": "side",
    "tensordot": "axes",
    "tril triu": "k",
    "arange eye linspace full ones zeros empty": "dtype",
}
LINALG_KEYWORDS = {
    "cholesky": "upper",
    "cross vecdot": "axis",
    "diagonal trace": "offset",
    "matrix_norm": "keepdims ord",
    "matrix_rank pinv": "rtol",
    "qr": "mode",
    "svd": "full_matrices",
    "tensordot": "axes",
    "vector_norm": "axis keepdims ord",
}


@pytest.mark.parametrize("section", FUNCTIONS)
def test_functions_exist(section: str) -> None:
    missing = [name for name in FUNCTIONS[section].split() if not callable(getattr(mg, name, None))]
    assert not missing
    assert set(FUNCTIONS[section].split()) <= set(mg.__all__)


def test_functions_of_linear_algebra_exist() -> None:
    assert set(LINALG.split()) <= set(linalg.__all__)


@pytest.mark.parametrize(
    ("home", "names", "keywords"),
    [
        (home, names, keywords)
        for home, table in [(mg, KEYWORDS), (linalg, LINALG_KEYWORDS)]
        for names, keywords in table.items()
    ],
)
def test_arguments_have_the_names_of_the_standard(home: object, names: str, keywords: str) -> None:
    for name in names.split():
        taken = inspect.signature(getattr(home, name)).parameters
        assert set(keywords.split()) <= set(taken), name


def test_constants_and_dtypes() -> None:
    assert (mg.e, mg.pi, mg.inf) == (math.e, math.pi, math.inf)
    assert math.isnan(mg.nan)
    assert mg.newaxis is None
    assert mg.tensor([1.0, 2.0])[mg.newaxis].shape == (1, 2)
    sizes = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    for name in ["bool", "float32", "float64", *sizes]:
        assert getattr(mg, name) == np.dtype(name)
