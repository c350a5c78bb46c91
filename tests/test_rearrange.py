"""Padding, positions and order where the table of samples does not reach: several results, ties,
NaN, PyTorch's convention, `x.at`.
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn.functional import pad as torch_pad

X = mg.arange(6).reshape(2, 3)
NAN = float("nan")


@pytest.mark.parametrize(
    ("widths", "mode", "value", "expected"),
    [
        ((1, 0), "constant", None, [[0, 0, 1, 2], [0, 3, 4, 5]]),
        ((0, 1, 1, 0), "constant", 9, [[9, 9, 9, 9], [0, 1, 2, 9], [3, 4, 5, 9]]),
        ((-1, 1), "constant", 9, [[1, 2, 9], [4, 5, 9]]),
        ((-2, -1), "constant", None, [[], []]),
        ((0, 0, -1, 0), "constant", None, [[3, 4, 5]]),
        ((2, 1), "reflect", None, [[2, 1, 0, 1, 2, 1], [5, 4, 3, 4, 5, 4]]),
        ((1, 2), "replicate", None, [[0, 0, 1, 2, 2, 2], [3, 3, 4, 5, 5, 5]]),
        ((1, 0, 0, 1), "circular", None, [[2, 0, 1, 2], [5, 3, 4, 5], [2, 0, 1, 2]]),
        ((), "constant", None, [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_padding_in_the_convention_of_pytorch(widths, mode, value, expected) -> None:
    assert torch_pad(X, widths, mode, value).tolist() == expected


def test_padding_with_what_is_no_number() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = mg.pad(x, (1, 0), value=float("inf"))
    assert y.tolist() == [float("inf"), 1, 2]
    (gradient,) = mg.grad(y, x, mg.tensor([5.0, 3.0, 4.0]))
    assert gradient.tolist() == [3, 4]


def test_parts() -> None:
    assert [p.tolist() for p in mg.split(X, [1, 2], axis=1)] == [[[0], [3]], [[1], [4]], [[2], [5]]]
    assert [p.shape for p in mg.split(X, 2)] == [(1, 3), (1, 3)]
    assert [p.tolist() for p in mg.unstack(X)] == [[0, 1, 2], [3, 4, 5]]
    assert mg.unstack(mg.zeros((0, 2))) == ()


def test_order_of_equal_elements_and_of_nan() -> None:
    x = mg.tensor([2.0, NAN, 1.0, 2.0, 1.0])
    assert mg.argsort(x).tolist() == [2, 4, 0, 3, 1]
    assert mg.argsort(x, descending=True).tolist() == [1, 0, 3, 2, 4]
    assert mg.argsort(mg.tensor([0, 255], "uint8"), descending=True).tolist() == [1, 0]


def test_the_largest_and_the_smallest() -> None:
    x = mg.tensor([[1.0, 3.0, 2.0, 3.0]], requires_grad=True)
    values, indices = mg.topk(x, 2)
    assert (values.tolist(), indices.tolist()) == ([[3, 3]], [[1, 3]])
    (gradient,) = mg.grad(values.sum(), x)
    assert gradient.tolist() == [[0, 1, 0, 1]]
    values, indices = mg.topk(x, 2, largest=False)
    assert (values.tolist(), indices.tolist()) == ([[1, 2]], [[0, 2]])
    assert mg.topk(x, 0)[0].shape == (1, 0)


def test_positions_that_are_not_zero() -> None:
    rows, columns = mg.nonzero([[0.0, 2.0], [NAN, 0.0]])
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    assert rows.dtype == columns.dtype == "int64"


def test_different_values() -> None:
    x = mg.tensor([[2.0, 1.0], [2.0, NAN]], requires_grad=True)
    assert mg.unique_values(mg.tensor([3, 1, 3])).tolist() == [1, 3]
    assert len(mg.unique_values([NAN, NAN])) == 2
    values, first, inverse, counts = mg.unique(x, True, True, True)
    np.testing.assert_array_equal(values.numpy(), [1, 2, NAN])
    assert first.tolist() == [1, 0, 3]
    assert inverse.tolist() == [[1, 0], [1, 2]]
    assert counts.tolist() == [1, 2, 1]
    assert isinstance(mg.unique(x), mg.Tensor)


def test_different_values_as_the_standard_has_them() -> None:
    """Each NaN is a value of its own."""
    x = np.array([[2.0, 1.0], [2.0, NAN], [NAN, 1.0]])
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        found, expected = getattr(mg, name)(mg.tensor(x)), getattr(np, name)(x)
        assert found._fields == expected._fields
        for got, wanted in zip(found, expected, strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got.numpy(), wanted)
    assert mg.unique_all(mg.tensor(3)).inverse_indices.shape == ()
    assert np.unique_counts(mg.tensor([1, 1])).counts.tolist() == [2]


def test_differences_undo_running_sums() -> None:
    x = mg.tensor([1.0, 4.0, 9.0], requires_grad=True)
    y = mg.diff(mg.cumulative_sum(x), prepend=0.0)
    assert y.tolist() == x.tolist()
    assert mg.grad((y * y).sum(), x)[0].tolist() == [2, 8, 18]
    assert np.diff(mg.tensor([1, 4, 9]), 2).tolist() == [2]


# -- x.at -------------------------------------------------------------------------------------


def test_at_leaves_the_tensor_as_it_was() -> None:
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert x.at[[0, 0, 2]].add(1).tolist() == [3, 2, 4]
    assert x.at[[0, 0, 2]].subtract(1).tolist() == [-1, 2, 2]
    assert x.at[1:].set(7).tolist() == [1, 7, 7]
    assert x.at[-1].multiply(2).tolist() == [1, 2, 6]
    assert x.at[x > 1].divide(2).tolist() == [1, 1, 1.5]
    assert x.at[1].get().item() == 2
    assert x.tolist() == [1, 2, 3]


def test_gradients_through_at() -> None:
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    v = mg.tensor([4.0, 5.0], requires_grad=True)
    weight = mg.tensor([1.0, 10.0, 100.0])
    for y, by_x, by_v in [
        (x.at[[1, 1]].add(v), [1, 10, 100], [10, 10]),
        (x.at[[0, 2]].set(v), [0, 10, 0], [1, 100]),
        (x.at[[0, 2]].multiply(v), [4, 10, 500], [1, 300]),
    ]:
        found = mg.grad((y * weight).sum(), [x, v])
        assert [g.tolist() for g in found] == [by_x, by_v]


def test_a_place_that_occurs_twice_has_every_factor() -> None:
    """Also with zeros among them: the gradient of a factor is the product of the others."""
    x = mg.tensor([2.0, 3.0], "float64", requires_grad=True)
    v = mg.tensor([0.0, 5.0, 7.0], "float64", requires_grad=True)
    y = x.at[[0, 0, 0]].multiply(v)
    assert y.tolist() == [0, 3]
    by_x, by_v = mg.grad(y.sum(), [x, v], create_graph=True)
    assert (by_x.tolist(), by_v.tolist()) == ([0, 1], [70, 0, 0])
    (second,) = mg.grad(by_v[0], v)
    assert second.tolist() == [0, 14, 10]
    assert x.at[[0, 0]].divide(4).tolist() == [0.125, 3]


def test_extremes_at_places_share_the_gradient_at_ties() -> None:
    x = mg.tensor([3.0, 1.0, 4.0], requires_grad=True)
    v = mg.tensor([3.0, 3.0, 5.0, 0.0], requires_grad=True)
    weight = mg.tensor([6.0, 10.0, 100.0])
    for y, values, by_x, by_v in [
        (x.at[[0, 0, 1, 2]].max(v), [3, 5, 4], [2, 0, 100], [2, 2, 10, 0]),
        (x.at[[0, 0, 1, 2]].min(v), [3, 1, 0], [2, 10, 0], [2, 2, 0, 100]),
        (x.at[[2, 2, 2, 2]].max(v), [3, 1, 5], [6, 10, 0], [0, 0, 100, 0]),
        (x.at[[2, 2, 2, 2]].min(v), [3, 1, 0], [6, 10, 0], [0, 0, 0, 100]),
    ]:
        assert y.tolist() == values
        found = mg.grad((y * weight).sum(), [x, v])
        assert [g.tolist() for g in found] == [by_x, by_v]
    nan = x.at[:1].max(float("nan")).tolist()
    assert nan[0] != nan[0]
    assert nan[1:] == [1, 4]
    assert mg.tensor(2.0).at[()].max(3.0).item() == 3
