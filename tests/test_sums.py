"""Sums over axes against NumPy, which adds what the kernels do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from minigrad import threads
from minigrad.kernels import sums

rng = np.random.default_rng(20240608)

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda x: x,
    "channels-last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-11, "atol": 1e-12}}

# Shape, axes, layout, and whether a kernel adds.
SUMMED = [
    ((40, 64, 28, 9), (0, 2, 3), "channels-last", True),
    ((3, 7, 211, 101), (0, 2, 3), "channels-last", True),
    ((9, 5, 700, 3), (2, 3), "channels-last", False),
    ((9, 5, 70, 30), (0, 2), "channels-last", True),
    ((40000, 3), (0,), "contiguous", True),
    ((7, 40, 5, 31), (0, 1), "contiguous", True),
    ((300, 1, 1000), (0, 1), "contiguous", True),
    ((50, 20, 1, 30), (0,), "contiguous", True),
    ((50, 20, 1, 30), (2, 3), "contiguous", False),
    ((99, 40, 30), (0,), "strided", False),
    ((99, 40, 30), (0, 1, 2), "contiguous", False),
    ((12, 90000), (0,), "contiguous", False),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axes", "layout", "by_kernel"), SUMMED)
def test_sums_are_those_of_numpy(
    shape: tuple[int, ...], axes: tuple[int, ...], layout: str, by_kernel: bool, dtype: str
) -> None:
    x = LAYOUTS[layout]((rng.standard_normal(shape) + 1).astype(dtype))
    assert (sums._rows(x.shape, x.strides, x.itemsize, axes) is not None) == by_kernel
    for keepdims in (False, True):
        got = sums.total(x, axes, keepdims)
        expected = x.sum(axis=axes, keepdims=keepdims, dtype=np.float64)
        assert got.dtype == dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, **TOLERANCE[dtype])


def test_a_sum_over_pixels_is_more_exact_than_one_after_the_other() -> None:
    x = LAYOUTS["channels-last"](np.full((16, 3, 300, 300), 0.1, np.float32))
    np.testing.assert_allclose(sums.total(x, (0, 2, 3), False), 16 * 9e4 * x[0, 0, 0, 0], 1e-7)


def test_what_is_not_finite_stays_in_its_sum() -> None:
    x = np.ones((30000, 4), np.float32)
    x[5, 0], x[29999, 1], x[7, 2], x[8, 2] = np.nan, np.inf, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        got = sums.total(x, (0,), False)
    np.testing.assert_array_equal(got, [np.nan, np.inf, np.nan, 30000])


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    before = threads.get_num_threads()
    try:
        for shape, axes, layout, _ in SUMMED:
            x = LAYOUTS[layout](rng.standard_normal(shape).astype(np.float32))
            found = []
            for count in (1, 2):
                threads.set_num_threads(count)
                found.append(sums.total(x, axes, False).tobytes())
            assert found[0] == found[1]
    finally:
        threads.set_num_threads(before)
