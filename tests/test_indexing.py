"""Indexing against NumPy's: random indices, what is written where, and every kind of bad index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.errors import DtypeError, IndexingError, MinigradError, ShapeError
from minigrad.ops import setitem

QUICK = settings(max_examples=150, deadline=None)

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@st.composite
def indexed(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    """A shape and an index that fits it, of any kinds mixed."""
    shape = draw(SHAPES)
    entries: list[Any] = []
    common = draw(hnp.array_shapes(min_dims=1, max_dims=2, max_side=3))
    axis = 0
    used = draw(st.integers(0, len(shape)))
    while axis < used:
        length = shape[axis]
        kind = draw(st.sampled_from(["integer", "slice", "array", "list", "mask", "new"]))
        if kind == "new":
            entries.append(None)
            continue
        if kind == "integer":
            entries.append(draw(st.integers(-length, length - 1)))
        elif kind == "slice":
            entries.append(draw(st.slices(length)))
        elif kind == "list":
            entries.append([draw(st.integers(-length, length - 1)) for _ in range(common[-1])])
        elif kind == "array":
            places = hnp.arrays(
                draw(st.sampled_from(["int64", "int8", "int32"])),
                common,
                elements=st.integers(-length, length - 1),
            )
            entries.append(draw(places))
        else:
            # As many true positions as the other arrays have on their last axis.
            mask = np.zeros(length, bool)
            mask[: common[-1]] = True
            entries.append(mask)
        axis += 1
    if draw(st.booleans()):
        entries.append(...)
    return shape, tuple(entries)


def numpy_takes(shape: tuple[int, ...], index: Any) -> bool:
    try:
        np.empty(shape)[index]
    except IndexError:
        return False
    return True


@QUICK
@given(case=indexed())
def test_getitem_is_that_of_numpy(case: tuple[tuple[int, ...], Any]) -> None:
    shape, index = case
    values = np.arange(float(np.prod(shape))).reshape(shape)
    x = mg.tensor(values, requires_grad=True)
    if not numpy_takes(shape, index):
        with pytest.raises(MinigradError):
            x[index]
        return
    y = x[index]
    expected = values[index]
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    assert y.shape == expected.shape
    cotangent = np.arange(1.0, expected.size + 1).reshape(expected.shape)
    y.backward(mg.tensor(cotangent))
    gradient = np.zeros(shape)
    np.add.at(gradient, index, cotangent)
    np.testing.assert_array_equal(x.grad.numpy(), gradient)


@QUICK
@given(case=indexed(), turned=st.booleans())
def test_setitem_is_that_of_numpy(case: tuple[tuple[int, ...], Any], turned: bool) -> None:
    """Also its gradient, found out from which value stands in the result."""
    shape, index = case
    if not numpy_takes(shape, index):
        return
    values = -np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    written = np.empty(shape)[index].shape
    fresh = np.arange(1.0, np.prod(written) + 1).reshape(written)
    if turned:
        fresh = np.array(fresh, order="F")
    x, v = mg.tensor(values, requires_grad=True), mg.tensor(fresh, requires_grad=True)
    y = setitem(x, index, v)
    expected = values.copy()
    expected[index] = fresh
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), (expected < 0).astype(float))
    np.testing.assert_array_equal(v.grad.numpy(), np.isin(fresh, expected).astype(float))


def test_indices_that_are_tensors() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert x[mg.tensor(1), mg.tensor(0)].item() == 3
    assert x[mg.tensor([1, 0])].tolist() == [[3, 4], [1, 2]]
    assert x[x > 2].tolist() == [3, 4]
    assert x[:, mg.tensor(1) :].tolist() == [[2], [4]]
    x[x > 2].sum().backward()
    assert x.grad.tolist() == [[0, 0], [1, 1]]


def test_a_value_is_broadcast_and_converted_as_a_number_is() -> None:
    x = mg.zeros((2, 3))
    x[0] = 1
    x[:, 1] = mg.tensor([5.0, 6.0])
    x[1, 2:] = np.float32(7)
    assert x.tolist() == [[1, 5, 1], [0, 6, 7]]
    x[x == 0] = -1
    assert x[1, 0].item() == -1
    for wrong in (mg.tensor([1, 2, 3]), np.zeros(3), mg.tensor(True)):
        with pytest.raises(DtypeError):
            x[0] = wrong
    with pytest.raises(DtypeError, match="setitem"):
        mg.zeros(2, "int64")[0] = 1.5


GOOD = (3, 4)


@pytest.mark.parametrize(
    ("index", "fragment"),
    [
        (3, "index 3 is out of range for axis 0 of length 3"),
        (-4, "index -4"),
        ((0, 4), "axis 1 of length 4"),
        (10**30, str(10**30)),
        ([0, 3], "index 3"),
        (np.array([[0], [-5]]), "index -5"),
        (mg.tensor([7]), "index 7"),
        ((0, 0, 0), r"3 indices for an array of shape \(3, 4\)"),
        ((..., ...), "one '...', got 2"),
        (1.0, "float"),
        (np.float32(1), "float"),
        ("a", "str"),
        (b"a", "bytes"),
        (1j, "complex"),
        ({}, "dict"),
        (object(), "object"),
        (True, "bool"),
        (False, "bool"),
        ([0.5], "float"),
        (np.zeros(3), "float64"),
        (mg.zeros(3), "float32"),
        (slice(0.5, 2), "slice"),
        (slice("a"), "slice"),
        (slice(None, None, 0), "slice"),
        (np.ones(4, bool), r"\(4,\)"),
        (np.ones((3, 3), bool), r"\(3, 3\)"),
        (np.ones((3, 4, 1), bool), "3 indices"),
        (([0, 1], [0, 1, 2]), "do not broadcast"),
        ((np.ones(3, bool), [0, 1]), "do not broadcast"),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0][:40],
)
def test_bad_indices(index: Any, fragment: str) -> None:
    x = mg.zeros(GOOD)
    with pytest.raises(MinigradError, match=rf"getitem.*{fragment}") as caught:
        x[index]
    assert isinstance(caught.value, (IndexingError, ShapeError))
    with pytest.raises(MinigradError, match=rf"setitem.*{fragment}"):
        x[index] = 1.0
    assert x.tolist() == np.zeros(GOOD).tolist()


@pytest.mark.parametrize("index", [[[0], [1, 2]], ["a"], [None], [[0, "b"]]], ids=str)
def test_lists_that_are_no_array(index: Any) -> None:
    with pytest.raises(MinigradError):
        mg.zeros(GOOD)[index]


def test_an_element_of_nothing() -> None:
    with pytest.raises(IndexingError, match="length 0"):
        mg.zeros((0, 3))[0]
    with pytest.raises(IndexingError, match=r"1 indices for an array of shape \(\)"):
        mg.tensor(1.0)[0]
    assert mg.tensor(1.0)[()].item() == 1
    assert mg.zeros((0, 3))[[]].shape == (0, 3)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 2, 4), (1, 2, 3)])
def test_values_that_do_not_fit(shape: tuple[int, ...]) -> None:
    x = mg.zeros(GOOD)
    with pytest.raises(ShapeError, match=r"setitem.*\(2, 4\)"):
        x[:2] = mg.ones(shape)
