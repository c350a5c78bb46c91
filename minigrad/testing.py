"""Tests of one's own layers: Hypothesis strategies for shapes, tensors and valid arguments, and
gradient checks over what they draw.

Needs Hypothesis (`pip install 'minigrad[test]'`); nothing else in minigrad imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.checking import GradcheckReport, gradcheck
from minigrad.errors import ArgumentError, MinigradError
from minigrad.spec import FLOATING, Shape, as_dtype, as_shape, bool_
from minigrad.tensor import Tensor, tensor

try:
    from hypothesis import given
    from hypothesis import strategies as st
except ImportError:
    raise MinigradError(
        "minigrad.testing: Hypothesis is not installed; pip install 'minigrad[test]'"
    ) from None

__all__ = [
    "assert_gradients",
    "broadcastable_shapes",
    "conv2d_arguments",
    "gradcheck_property",
    "pool2d_arguments",
    "shapes",
    "tensors",
]


def shapes(
    min_ndim: int = 0, max_ndim: int = 4, min_side: int = 0, max_side: int = 4
) -> st.SearchStrategy[Shape]:
    """Shapes of `min_ndim` to `max_ndim` axes, each `min_side` to `max_side` long."""
    side = st.integers(min_side, max_side)
    return st.lists(side, min_size=min_ndim, max_size=max_ndim).map(tuple)


@st.composite
def broadcastable_shapes(
    draw: st.DrawFn, n: int = 2, max_ndim: int = 4, min_side: int = 0, max_side: int = 4
) -> tuple[Shape, ...]:
    """`n` shapes that broadcast with one another: axes are missing in front, or 1 long."""
    common = draw(shapes(0, max_ndim, min_side, max_side))
    drawn = []
    for _ in range(n):
        ndim = draw(st.integers(0, len(common)))
        sides = common[len(common) - ndim :]
        drawn.append(tuple([draw(st.sampled_from([length, 1])) for length in sides]))
    return tuple(drawn)


@st.composite
def tensors(
    draw: st.DrawFn,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: Any = "float32",
    low: float = -2.0,
    high: float = 2.0,
    away_from: Sequence[float] = (),
    requires_grad: bool = False,
) -> Tensor:
    """Tensors of a shape (or of shapes drawn) with numbers from `low` to `high`.

    No number lies within 0.05 of one of `away_from`: of the kinks of the function at hand.
    Integers are drawn from the whole numbers between, booleans ignore the bounds.
    """
    shape = shapes() if shape is None else shape
    chosen = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    kind = as_dtype(dtype)
    if not low <= high:
        raise ArgumentError(f"tensors: low is at most high, got {low} and {high}")
    # One seed rather than an element at a time: arrays stay quick to draw.
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = as_shape("tensors", chosen)
    if kind == bool_:
        return tensor(rng.random(lengths) < 0.5)
    if kind not in FLOATING:
        whole = rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1, lengths)
        return tensor(np.asarray(whole).astype(kind))
    values = np.asarray(rng.uniform(low, high, lengths))
    for kink in away_from:
        near = np.abs(values - kink) < 0.05
        values = np.where(near, kink + np.where(values < kink, -0.1, 0.1), values)
    return tensor(values.astype(kind), requires_grad=requires_grad)


@st.composite
def _windows(
    draw: st.DrawFn, max_side: int, pooling: bool
) -> tuple[tuple[int, int], dict[str, Any]]:
    """Height and width, and a window's arguments that fit them."""
    pair = st.tuples
    kernel = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    most = [k // 2 if pooling else 2 for k in kernel]
    padding = draw(pair(st.integers(0, most[0]), st.integers(0, most[1])))
    dilation = (1, 1) if pooling else draw(pair(st.integers(1, 2), st.integers(1, 2)))
    sides = []
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        least = max(1, d * (k - 1) + 1 - 2 * p)
        sides.append(draw(st.integers(least, max(least, max_side))))
    options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return (sides[0], sides[1]), options


@st.composite
def conv2d_arguments(
    draw: st.DrawFn, dtype: Any = "float64", max_side: int = 6
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Arguments that conv2d takes: ((input, weight, bias), {stride, padding, dilation, groups})."""
    (height, width), options = draw(_windows(max_side, False))
    groups = draw(st.integers(1, 2))
    channels, outputs = (groups * draw(st.integers(1, 2)) for _ in range(2))
    kernel = options.pop("kernel_size")
    drawn = (
        draw(tensors((draw(st.integers(1, 2)), channels, height, width), dtype)),
        draw(tensors((outputs, channels // groups, *kernel), dtype)),
        draw(tensors((outputs,), dtype)),
    )
    return drawn, {**options, "groups": groups}


@st.composite
def pool2d_arguments(
    draw: st.DrawFn, dtype: Any = "float64", max_side: int = 6
) -> tuple[tuple[Tensor], dict[str, Any]]:
    """Arguments that poolings take: ((input,), {kernel_size, stride, padding}).

    No two elements of the input are equal, so that no window has a tie.
    """
    (height, width), options = draw(_windows(max_side, True))
    del options["dilation"]
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), height, width)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = int(np.prod(shape))
    values = (rng.permutation(size) / 8 - size / 16).reshape(shape)
    return (tensor(values.astype(as_dtype(dtype))),), options


def gradcheck_property(
    order: int = 1, fast: bool = False, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Decorator: makes a function of tensors a test that its gradient is right for all drawn.

        @gradcheck_property(x=tensors(shapes(min_ndim=1, min_side=1), "float64"))
        def test_my_layer(x):
            return my_layer(x)

    The function is called with the drawn values by name and returns what is to be differentiated;
    drawn tensors of a floating-point dtype are differentiated by. What `@settings` and other
    decorators of Hypothesis set goes on top.
    """
    if not strategies:
        raise ArgumentError("gradcheck_property: name a strategy for each argument, as x=tensors()")

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        def check(**drawn: Any) -> None:
            names = list(drawn)

            def positional(*values: Any) -> Any:
                return function(**dict(zip(names, values, strict=True)))

            positional.__name__ = function.__name__
            gradcheck(positional, *drawn.values(), order=order, fast=fast)

        check.__name__ = function.__name__
        check.__doc__ = function.__doc__
        check.__module__ = function.__module__
        return given(**strategies)(check)

    return decorate


def assert_gradients(
    function: Callable[..., Any],
    *shapes: Shape | Tensor,
    order: int = 1,
    seed: int = 0,
    **options: Any,
) -> GradcheckReport:
    """Check a function or module on inputs of these shapes, filled with normal random numbers.

    A tensor among the shapes is taken as it is. `options` are those of `gradcheck`. Raises
    GradcheckError with the table of what is wrong.
    """
    rng = np.random.default_rng(seed)
    inputs = [
        shape
        if isinstance(shape, Tensor)
        else tensor(np.asarray(rng.standard_normal(as_shape("assert_gradients", shape))))
        for shape in shapes
    ]
    return gradcheck(function, *inputs, order=order, seed=seed, **options)
