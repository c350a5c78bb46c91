"""`minigrad.testing`: what the strategies draw, and the checks built on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad import testing as mgt
from minigrad.errors import ArgumentError, GradcheckError
from minigrad.nn import functional
from minigrad.tensor import Tensor

few = settings(max_examples=25, deadline=None)


@few
@given(mgt.shapes(1, 3, 2, 5))
def test_shapes_keep_their_bounds(shape: tuple[int, ...]) -> None:
    assert 1 <= len(shape) <= 3
    assert all(2 <= length <= 5 for length in shape)


@few
@given(mgt.broadcastable_shapes(3))
def test_shapes_broadcast(shapes: tuple[tuple[int, ...], ...]) -> None:
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


@few
@given(st.data(), st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]))
def test_tensors_have_the_dtype_and_the_bounds(data: st.DataObject, dtype: str) -> None:
    x = data.draw(mgt.tensors((3, 2), dtype, low=0, high=3))
    assert (x.shape, str(x.dtype)) == ((3, 2), dtype)
    assert np.all((x.numpy() >= 0) & (x.numpy() <= 3))


@few
@given(mgt.tensors((50,), "float64", away_from=(0,), requires_grad=True))
def test_tensors_keep_away_from_kinks(x: Tensor) -> None:
    assert x.requires_grad
    assert np.abs(x.detach().numpy()).min() >= 0.05


@few
@given(mgt.conv2d_arguments())
def test_convolution_takes_what_is_drawn(drawn: Any) -> None:
    arguments, options = drawn
    mg.gradcheck(lambda *a: functional.conv2d(*a, **options), *arguments, fast=True)


@few
@given(mgt.pool2d_arguments())
def test_pooling_takes_what_is_drawn(drawn: Any) -> None:
    (x,), options = drawn
    for pool in (functional.max_pool2d, functional.avg_pool2d):
        mg.gradcheck(lambda x, p=pool: p(x, **options), x, fast=True)


@few
@mgt.gradcheck_property(x=mgt.tensors(mgt.shapes(0, 3), "float64"), order=2)
def test_a_property_that_holds(x: Tensor) -> Tensor:
    return x.exp() * x


def test_a_property_that_does_not_hold() -> None:
    @settings(max_examples=10, deadline=None, database=None, phases=[Phase.generate])
    @mgt.gradcheck_property(x=mgt.tensors((2, 3), "float64", low=0.5))
    def square(x: Tensor) -> Tensor:
        return x * x.detach()

    with pytest.raises(GradcheckError, match="1/2 times"):
        square()


def test_a_property_needs_strategies() -> None:
    with pytest.raises(ArgumentError, match="strategy"):
        mgt.gradcheck_property()


def test_assert_gradients() -> None:
    report = mgt.assert_gradients(nn.Linear(3, 2), (4, 3), order=2)
    assert report.ok and len(report.results) == 7
    with pytest.raises(GradcheckError):
        mgt.assert_gradients(lambda x, y: x * y.detach(), (2, 2), mg.ones((2, 2)))
