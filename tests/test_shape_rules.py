"""Shapes, dtypes and values over random shapes, against NumPy's rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.errors import AxisError, ShapeError
from minigrad.spec import Window, broadcast_shapes

QUICK = settings(max_examples=100, deadline=None)

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
BINARY = [
    (mg.add, np.add),
    (mg.subtract, np.subtract),
    (mg.multiply, np.multiply),
    (mg.less, np.less),
]


def values(shape: tuple[int, ...], start: int = 0) -> np.ndarray:
    return np.arange(start, start + math.prod(shape), dtype=np.float64).reshape(shape)


@QUICK
@given(left=SHAPES, right=SHAPES, functions=st.sampled_from(BINARY))
def test_any_two_shapes_broadcast_as_in_numpy(left, right, functions) -> None:
    function, reference = functions
    x, y = values(left), values(right, 1)
    try:
        expected = reference(x, y)
    except ValueError:
        with pytest.raises(ShapeError, match="do not broadcast"):
            function(x, y)
        return
    got = function(x, y)
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got.numpy(), expected)


@QUICK
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=3))
def test_gradients_of_what_was_broadcast(shapes) -> None:
    left, middle, right = shapes.input_shapes
    x, y = (mg.tensor(values(s), requires_grad=True) for s in (left, middle))
    z = mg.where(values(right) > 1, x, y)
    assert z.shape == shapes.result_shape
    z.backward(mg.ones(z.shape, "float64"))
    assert x.grad.spec == x.spec
    assert y.grad.spec == y.spec
    assert x.grad.sum().item() + y.grad.sum().item() == z.size


@QUICK
@given(shapes=st.lists(SHAPES, min_size=1, max_size=4))
def test_broadcast_shapes(shapes) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="op: shapes"):
            broadcast_shapes("op", *shapes)
    else:
        assert broadcast_shapes("op", *shapes) == expected


@QUICK
@given(
    array=hnp.arrays(
        st.sampled_from(["float64", "int8", "uint8", "bool"]),
        hnp.array_shapes(min_dims=0, max_dims=4, max_side=3),
        elements=st.integers(0, 1),
    ),
    data=st.data(),
    keepdims=st.booleans(),
)
def test_reductions(array, data, keepdims) -> None:
    axes = st.integers(-array.ndim, array.ndim - 1) if array.ndim else st.just(())
    axis = data.draw(
        st.none()
        | axes
        | st.lists(axes, max_size=array.ndim, unique_by=lambda a: a % array.ndim).map(tuple)
        if array.ndim
        else st.sampled_from([None, ()])
    )
    for function, reference in ((mg.sum, np.sum), (mg.max, np.max)):
        got = function(array, axis=axis, keepdims=keepdims)
        expected = reference(array, axis=axis, keepdims=keepdims)
        assert (got.shape, got.dtype) == (np.shape(expected), expected.dtype)
        np.testing.assert_array_equal(got.numpy(), expected)


@QUICK
@given(
    shape=hnp.array_shapes(max_dims=4, max_side=3),
    axis=st.integers(-6, 5) | st.tuples(st.integers(-4, 3), st.integers(-4, 3)),
)
def test_axes_that_do_not_exist_or_repeat(shape, axis) -> None:
    x = values(shape)
    try:
        expected = np.sum(x, axis=axis)
    except (np.exceptions.AxisError, ValueError):
        with pytest.raises(AxisError, match="sum"):
            mg.sum(x, axis=axis)
    else:
        np.testing.assert_array_equal(mg.sum(x, axis=axis).numpy(), expected)


@QUICK
@given(before=SHAPES, after=st.lists(st.integers(-1, 6), max_size=4).map(tuple))
def test_reshape(before, after) -> None:
    x = values(before)
    try:
        expected = x.reshape(after)
    except ValueError:
        with pytest.raises(ShapeError, match="reshape"):
            mg.reshape(x, after)
    else:
        np.testing.assert_array_equal(mg.reshape(x, after).numpy(), expected)


@QUICK
@given(shape=hnp.array_shapes(min_dims=0, max_dims=4, max_side=3), data=st.data())
def test_permutations(shape, data) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    x = mg.tensor(values(shape), requires_grad=True)
    y = mg.permute_dims(x, axes)
    np.testing.assert_array_equal(y.detach().numpy(), values(shape).transpose(axes))
    y.backward(y.detach())
    np.testing.assert_array_equal(x.grad.numpy(), values(shape))


@QUICK
@given(
    shapes=hnp.mutually_broadcastable_shapes(signature="(n,k),(k,m)->(n,m)", max_dims=3, max_side=3)
)
def test_matrix_products_of_batches(shapes) -> None:
    a, b = (values(s) for s in shapes.input_shapes)
    expected = a @ b
    x, y = (mg.tensor(array, requires_grad=True) for array in (a, b))
    z = x @ y
    assert z.shape == expected.shape
    np.testing.assert_allclose(z.detach().numpy(), expected)
    z.backward(mg.ones(z.shape, "float64"))
    assert (x.grad.spec, y.grad.spec) == (x.spec, y.spec)
    # <gradient, x> = Σ z, since z is linear in x; the same for y.
    np.testing.assert_allclose((x.grad * x).sum().item(), expected.sum(), rtol=1e-12)
    np.testing.assert_allclose((y.grad * y).sum().item(), expected.sum(), rtol=1e-12)


@QUICK
@given(left=SHAPES, right=SHAPES)
def test_matrix_products_that_do_not_fit(left, right) -> None:
    a, b = values(left), values(right)
    try:
        expected = np.matmul(a, b)
    except ValueError:
        with pytest.raises(ShapeError, match="matmul"):
            mg.matmul(a, b)
    else:
        np.testing.assert_allclose(mg.matmul(a, b).numpy(), expected)


@QUICK
@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    dilation=st.integers(1, 3),
    ceil_mode=st.booleans(),
)
def test_a_window_takes_every_place_it_fits(
    size, kernel, stride, before, after, dilation, ceil_mode
) -> None:
    """Counted by sliding it."""
    window = Window((kernel, 1), (stride, 1), ((before, after), (0, 0)), (dilation, 1), ceil_mode)
    span = dilation * (kernel - 1) + 1
    assume(not ceil_mode or after < span)  # no pooling pads by a whole window
    end = size + before + after
    if span > end:
        with pytest.raises(ShapeError, match=f"op: a window of {span}"):
            window.output_size("op", (size, 1))
        return
    starts = [s for s in range(0, end, stride) if s + span <= end]
    over = starts[-1] + stride
    if ceil_mode and starts[-1] + span < end and over < size + before:
        starts.append(over)
    assert window.output_size("op", (size, 1)) == (len(starts), 1)
