"""Elementwise results in recycled memory: NumPy's to the bit, and in its layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.errors import DtypeError
from minigrad.kernels import buffers, recycled
from minigrad.op import CATALOGUE
from minigrad.ops.comparison import Comparison
from minigrad.ops.elementwise import Ufunc
from minigrad.spec import Spec

CALLED = [op for op in CATALOGUE.values() if issubclass(op, (Ufunc, Comparison))]


@pytest.mark.parametrize("op", CALLED, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_ops_on_large_arrays_give_what_numpy_gives(op: Any, dtype: Any) -> None:
    generator = np.random.default_rng(0)
    inputs = [
        np.asarray(generator.uniform(0, 2, (40, 8, 400)).astype(dtype)).transpose(0, 2, 1)
        for _ in range(op.ufunc.nin)
    ]
    op = object.__new__(op)  # those with parameters compute no differently
    try:
        spec = op.infer(*[Spec.of(x.shape, x.dtype) for x in inputs])
    except DtypeError:
        return
    with np.errstate(all="ignore"):
        result, expected = op.forward(*inputs), op.ufunc(*inputs)
    assert result.dtype == spec.dtype
    assert result.strides[2] > result.strides[1]
    np.testing.assert_array_equal(result, expected)


# -- layouts ----------------------------------------------------------------------------------


@st.composite
def arrays(draw: st.DrawFn, ndim: int = 4) -> np.ndarray:
    """An array above the threshold with its axes in any order, cut, reversed or repeated."""
    shape = draw(st.permutations([1, 8, 24, 128]))
    order = draw(st.permutations(range(ndim)))
    length = [n * 2 for n in shape]
    x = np.arange(np.prod(length), dtype=np.float32).reshape(length) % 97 - 48
    x = x.transpose(order)
    kinds = [np.s_[: n // 2] for n in x.shape]
    if draw(st.booleans()):
        axis = draw(st.integers(0, ndim - 1))
        kinds[axis] = draw(st.sampled_from([np.s_[::2], np.s_[1::2], np.s_[::-2]]))
        return x[tuple(kinds)]
    return np.copy(x[tuple(kinds)], order="K")


@settings(max_examples=60, deadline=None)
@given(arrays())
def test_empty_like_keeps_the_order_of_the_axes(x: np.ndarray) -> None:
    for dtype in (None, np.float64, np.bool_):
        ours, numpys = buffers.empty_like(x, dtype), np.empty_like(x, dtype)
        assert ours.shape == numpys.shape and ours.dtype == numpys.dtype
        assert steps(ours) == steps(numpys)


def steps(x: np.ndarray) -> list[int]:
    """The strides that matter: of an axis of length 1 NumPy may say anything."""
    return [s for n, s in zip(x.shape, x.strides, strict=True) if n > 1]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_results_are_numpys_to_the_bit_and_in_their_layout(data: st.DataObject) -> None:
    x = data.draw(arrays())
    others = [
        x.copy(order="K"),
        np.ascontiguousarray(x[:, :1]),
        np.array(3, np.float32),
        x[:1],
        np.broadcast_to(np.float32(2), x.shape),
        data.draw(arrays()).transpose(0, 1, 2, 3),
    ]
    y = data.draw(st.sampled_from(others))
    try:
        expected = np.subtract(x, y)
    except ValueError:
        with pytest.raises(ValueError):
            recycled.call(np.subtract, x, y)
        return
    for result, wanted in [
        (recycled.call(np.subtract, x, y), expected),
        (recycled.call(np.less, y, x, dtype=np.bool_), np.less(y, x)),
        (recycled.call(np.negative, x), np.negative(x)),
        (recycled.combine(0.3, x, -2.5, x), 0.3 * x + -2.5 * x),
        (recycled.select(x > 5, x, y), np.where(x > 5, x, y)),
        (recycled.select(y > 2, y, x), np.where(y > 2, y, x)),
    ]:
        assert result.dtype == wanted.dtype and result.tobytes() == wanted.tobytes()
        assert steps(result) == steps(wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, np.bool_])
def test_select_takes_every_bit_over(dtype: Any) -> None:
    generator = np.random.default_rng(0)
    shape = 300, 1000
    x, y = generator.integers(0, 2 if dtype == np.bool_ else 100, (2, *shape)).astype(dtype)
    if dtype in (np.float32, np.float64):
        x[0, :4] = np.nan, -np.nan, np.inf, -0.0
    condition = generator.random(shape) < 0.5
    odd = condition.view(np.uint8) * np.uint8(4)  # true, as bytes other than 1 are
    zero, minus = dtype(0), np.array(-0.0).astype(dtype)
    for c in (condition, odd.view(np.bool_), np.array(True), np.array(False)):
        for x1, x2 in [(x, y), (x, np.asarray(zero)), (np.asarray(zero), y), (x, minus)]:
            assert recycled.select(c, x1, x2).tobytes() == np.where(c, x1, x2).tobytes()


def test_scalars_and_small_arrays_are_numpys_business() -> None:
    x = np.arange(3, dtype=np.float32)
    assert recycled.call(np.multiply, x, 2).tolist() == [0, 2, 4]
    assert recycled.call(np.multiply, np.float32(2), 3) == 6
    assert recycled.combine(1, np.float32(2), 0.5, np.float32(4)) == 4
    assert recycled.select(x > 0, x, x).tolist() == [0, 1, 2]
    with pytest.raises(ValueError):
        recycled.call(np.add, np.zeros((300, 300)), np.zeros((300, 299)))
