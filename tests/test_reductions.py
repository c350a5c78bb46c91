"""Reductions where a derivative does not exist, or where nothing or no number is reduced."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.tensor import Tensor

INF = float("inf")


def gradient(y: Tensor, x: Tensor) -> list:
    (found,) = mg.grad(y, x)
    return found.tolist()


@pytest.mark.parametrize("function", [mg.min, mg.amin])
def test_ties_of_a_minimum_share_the_gradient(function) -> None:
    x = mg.tensor([1.0, 0.0, 0.0, 2.0], requires_grad=True)
    assert gradient(function(x), x) == [0, 0.5, 0.5, 0]


def test_nan_is_the_extremum() -> None:
    x = mg.tensor([1.0, float("nan"), 0.0])
    assert np.isnan(x.min().item())
    assert x.argmin().item() == x.argmax().item() == 1


def test_the_product_of_zeros() -> None:
    for values, expected in [
        ([2.0, 0.0, 3.0], [0, 6, 0]),
        ([0.0, 0.0, 3.0], [0, 0, 0]),
        ([2.0, 4.0, 3.0], [12, 6, 8]),
    ]:
        x = mg.tensor(values, requires_grad=True)
        assert gradient(x.prod(), x) == expected
        assert gradient(mg.cumulative_prod(x)[-1], x) == expected


def test_the_second_derivative_of_a_product_of_zeros() -> None:
    x = mg.tensor([0.0, 0.0, 3.0], requires_grad=True)
    (first,) = mg.grad(x.prod(), x, create_graph=True)
    assert gradient(first[0], x) == [0, 3, 0]


def test_the_third_derivative_of_a_product() -> None:
    x = mg.tensor([0.0, 0.0, 0.0], requires_grad=True)
    (first,) = mg.grad(x.prod(), x, create_graph=True)
    (second,) = mg.grad(first[0], x, create_graph=True)
    assert gradient(second[1], x) == [0, 0, 1]


def test_the_deviation_of_equal_values_has_gradient_zero() -> None:
    x = mg.tensor([2.0, 2.0, 2.0], requires_grad=True)
    assert gradient(x.std(), x) == [0, 0, 0]
    one = mg.tensor(3.0, requires_grad=True)
    assert gradient(one.std(), one) == 0


def test_moments_of_too_few() -> None:
    assert np.isnan(mg.tensor([1.0]).var(correction=1).item())
    assert np.isnan(mg.zeros(0).var().item())
    assert mg.tensor([1.0, 2.0]).var(correction=3).item() == INF


def test_logsumexp_of_infinities_and_large_numbers() -> None:
    x = mg.tensor([-INF, -INF], requires_grad=True)
    y = x.logsumexp()
    assert y.item() == -INF
    assert gradient(y, x) == [0, 0]
    assert mg.logsumexp([1.0, INF]).item() == INF
    assert mg.logsumexp([1000.0, -INF]).item() == 1000
    np.testing.assert_allclose(mg.logsumexp([-1000.0, -1000.0]).item(), -1000 + np.log(2))


def test_truths() -> None:
    assert mg.tensor([0.0, float("nan")]).any().item() is True
    assert mg.zeros((0, 2)).any(axis=0).tolist() == [False, False]
    assert mg.zeros((0, 2)).all(axis=0).tolist() == [True, True]
    assert mg.count_nonzero(mg.tensor([True, False, True])).item() == 2
    assert not mg.count_nonzero(mg.ones(3, requires_grad=True)).requires_grad


def test_running_sums_and_products_may_start_from_none() -> None:
    x = mg.tensor([1, 2, 3])
    assert mg.cumulative_sum(x, include_initial=True).tolist() == [0, 1, 3, 6]
    assert mg.cumulative_prod(x, include_initial=True).tolist() == [1, 1, 2, 6]
    assert mg.cumulative_sum(mg.zeros((2, 0)), axis=1, include_initial=True).shape == (2, 1)
