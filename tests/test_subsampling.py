"""Plain subsampling, as a function and as layers, against NumPy's slices."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, MinigradError, ShapeError
from minigrad.nn.functional import subsample

LAYERS = {1: nn.Subsample1d, 2: nn.Subsample2d, 3: nn.Subsample3d}


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    """An array ([N,] C, *space), in either order of memory, and a stride for each axis of space."""
    axes = draw(st.integers(1, 3))
    lead = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    shape = (*lead, *draw(st.lists(st.integers(1, 6), min_size=axes, max_size=axes)))
    strides = draw(st.lists(st.integers(1, 7), min_size=axes, max_size=axes))
    x = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    return np.asarray(x, order=draw(st.sampled_from("CF"))), tuple(strides)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_values_and_gradients_are_those_of_slices(case: tuple[np.ndarray, tuple]) -> None:
    array, strides = case
    kept = (..., *[slice(None, None, s) for s in strides])
    x = mg.tensor(array, requires_grad=True)
    y = LAYERS[len(strides)](strides)(x)
    np.testing.assert_array_equal(y.detach().numpy(), array[kept])
    expected = np.zeros_like(array)
    expected[kept] = array[kept] + 1
    y.backward(mg.tensor(array[kept] + 1))
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_stride_for_all_axes(axes: int) -> None:
    x = mg.tensor(np.random.default_rng(axes).normal(size=(2, 3, 5, 4, 3)[: axes + 2]))
    pool: Callable[..., nn.Module] = getattr(nn, f"MaxPool{axes}d")
    expected = pool(1, stride=2)(x).numpy()
    layer = LAYERS[axes](2)
    for found in (layer(x), subsample(x, 2), subsample(x, (2,) * axes), subsample(x, [2] * axes)):
        np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(layer(x[0]).numpy(), expected[0])
    assert repr(layer) == f"Subsample{axes}d(stride=2)"
    assert not layer.state_dict()
    assert mg.gradcheck(layer, x, order=2).ok


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_any_dtype_and_any_length(dtype: str) -> None:
    assert subsample(mg.ones((1, 2, 5), dtype), 2).spec == mg.Spec((1, 2, 3), dtype)
    assert subsample(mg.ones((0, 2, 5, 4), dtype), 2).shape == (0, 2, 3, 2)
    assert subsample(mg.ones((1, 2, 5), dtype), 2**80).shape == (1, 2, 1)


def test_the_input_stays_as_it_was() -> None:
    x = mg.arange(8, dtype="float32").reshape(1, 1, 8)
    y = subsample(x, 2)
    x[..., 0] = 9.0
    assert y.tolist() == [[[0, 2, 4, 6]]]


@pytest.mark.parametrize(
    ("shape", "stride", "error", "words"),
    [
        ((3, 4), 2, ShapeError, [r"\(3, 4\)", "stride 2"]),
        ((3,), (2,), ShapeError, [r"\(3,\)"]),
        ((1, 1, 2, 2, 2, 2), 2, ShapeError, [r"\(1, 1, 2, 2, 2, 2\)"]),
        ((1, 1, 4, 4), (2,), ShapeError, [r"\(1, 1, 4, 4\)", r"\(2,\)"]),
        ((1, 1, 4, 4), (), ShapeError, [r"stride \(\)"]),
        ((1, 1, 4, 4), 0, ArgumentError, ["stride", "at least 1", "0"]),
        ((1, 1, 4, 4), (1, -2), ArgumentError, ["stride", "at least 1", "-2"]),
        ((1, 1, 4, 4), 1.5, ArgumentError, ["stride", "integer", "1.5"]),
        ((1, 1, 4, 4), "2", ArgumentError, ["stride", "integer", "'2'"]),
        ((1, 1, 4, 4), None, ArgumentError, ["stride", "integer", "None"]),
    ],
)
def test_refused(shape: tuple, stride: object, error: type[MinigradError], words: list) -> None:
    for word in ["subsample: ", *words]:
        with pytest.raises(error, match=word):
            subsample(mg.zeros(shape), stride)


def test_layers_refuse_at_once() -> None:
    with pytest.raises(ArgumentError, match=r"Subsample2d: stride .* 2, got"):
        nn.Subsample2d((1, 2, 3))
    with pytest.raises(ArgumentError, match="Subsample1d: stride must be at least 1, got 0"):
        nn.Subsample1d(0)
    with pytest.raises(ShapeError, match=r"Subsample3d: .*\(2, 3, 4\)"):
        nn.Subsample3d(2)(mg.zeros((2, 3, 4)))
