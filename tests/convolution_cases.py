"""Convolutions drawn at random for every algorithm and option, and the check of one of them.

The values are small whole numbers: sums of their products are exact in any order, so a direct
algorithm must give the very numbers of the reference. Winograd's gets a bound on its error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad.kernels import depthwise, reference
from minigrad.kernels.bilinear_pass import FEW_TILES
from minigrad.kernels.convolution import (
    algorithms,
    convolve,
    convolve_input_grad,
    convolve_weight_grad,
)
from minigrad.kernels.finish import ACTIVATIONS
from minigrad.kernels.one_channel import WIDTHS
from minigrad.kernels.strassen import LEAST_CHANNELS, LEAST_TILES, PARTS
from minigrad.kernels.target import target
from minigrad.kernels.tile import MOST_ROWS
from minigrad.kernels.winograd_points import FILTERINGS

__all__ = ["PASSES", "Case", "arguments", "check", "draw_each", "drawn"]

LAYOUTS = ("channels first", "channels last", "strided", "reversed", "read-only", "unaligned")
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
WINOGRAD = "winograd"
# The bound on Winograd's largest error where the outputs have variance 1.
FAST_BOUND = 2e-5
VARIANCE = 4.0  # of a whole number from -3 to 3

Lengths = tuple[int, ...]


def drawn(count: int, **how: Any) -> settings:
    """Hypothesis's settings for so many examples, each of which may have to compile a kernel."""
    checks = list(HealthCheck)
    return settings(deadline=None, max_examples=count, suppress_health_check=checks, **how)


def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another kind of memory."""
    last = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if layout == "strided":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed":
        return array[..., ::-1].copy()[..., ::-1]
    if layout == "channels last":
        return np.moveaxis(last, -1, 1)
    if layout == "read-only":
        last.flags.writeable = False
        return np.moveaxis(last, -1, 1)
    if layout == "unaligned":
        shifted = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(last.shape)
        shifted[...] = last
        return np.moveaxis(shifted, -1, 1)
    return array


class Case(NamedTuple):
    """A convolution with its arrays, and what stands on its way out."""

    x: np.ndarray
    weight: np.ndarray
    grad: np.ndarray  # of the shape of the result
    bias: np.ndarray | None
    residual: np.ndarray | None
    activation: str | None
    window: tuple[Lengths, tuple[tuple[int, int], ...], Lengths, int]

    @property
    def algorithm(self) -> str:
        """The algorithm that the kernels say they take for it."""
        shapes = self.x.shape, self.weight.shape, self.grad.shape[2:]
        return algorithms(*shapes, *self.window, self.x.dtype)


class Shape(NamedTuple):
    """What is drawn first: all the lengths."""

    images: int
    depth: int  # channels of a group
    filters: int  # of a group
    groups: int
    out: Lengths
    kernel: Lengths
    stride: Lengths
    padding: tuple[tuple[int, int], ...]
    dilation: Lengths
    slack: Lengths  # pixels after the last window


@st.composite
def _direct(draw: Any, groups: st.SearchStrategy[int]) -> Shape:
    axes = draw(st.integers(1, 3))
    upper = (5, 3, 2)[axes - 1]
    lengths = st.tuples(*[st.integers(1, upper)] * axes)
    sides = st.tuples(st.integers(0, 3), st.integers(0, 3))
    return Shape(
        draw(st.integers(0, 3)),
        draw(st.sampled_from([1, 2, 3, 4, 5, 7, 16, 17, 40])),
        draw(st.sampled_from([1, 2, 7, 16, 17, 33, 50])),
        draw(groups),
        (draw(st.integers(0, 4)), *draw(st.tuples(*[st.integers(1, 9 - 2 * axes)] * (axes - 1)))),
        draw(lengths),
        draw(lengths),
        draw(st.tuples(*[sides] * axes)),
        draw(st.tuples(*[st.integers(1, 3)] * axes)),
        draw(st.tuples(*[st.integers(0, 2)] * axes)),
    )


@st.composite
def _copied(draw: Any) -> Shape:
    """So deep that what the pixels see is copied, in one slab and in several."""
    shape = draw(_direct(st.sampled_from([1, 1, 2])))
    kernel = tuple([min(length, 3) for length in shape.kernel])
    deep = {
        "depth": draw(st.sampled_from([33, 130, 512])),
        "filters": draw(st.sampled_from([33, 300])),
    }
    return shape._replace(
        images=1, out=tuple([1 + n % 3 for n in shape.out]), kernel=kernel, **deep
    )


@st.composite
def _matrix_products(draw: Any) -> Shape:
    shape = draw(_direct(st.sampled_from([1, 1, 2, 3])))
    ones = (1,) * len(shape.out)
    return shape._replace(kernel=ones, padding=((0, 0),) * len(ones))


@st.composite
def _depthwise(draw: Any) -> Shape:
    """Of every kind, and with rows of taps that see pixels next to each other."""
    channels = st.sampled_from([2, 3, 5, 15, 16, 17, 33, 70])
    shape = draw(_direct(channels))._replace(depth=1, filters=1)
    sides = draw(st.integers(0, min(2, len(shape.out))))
    if sides == 0:
        return shape
    side, width = st.sampled_from([1, 3, 4, 6, 13]), draw(st.sampled_from(depthwise.WIDTHS))
    return shape._replace(
        out=(*shape.out[:-sides], *(draw(side) for _ in range(sides))),
        kernel=(*shape.kernel[:-sides], *[width] * sides),
        stride=(*shape.stride[:-sides], *[1] * sides),
        dilation=(*shape.dilation[:-sides], *[1] * sides),
    )


@st.composite
def _one_channel(draw: Any) -> Shape:
    """Rows of pixels and of taps that lie side by side, as long as a tile has rows or longer."""
    shape = draw(_direct(st.just(1)))
    return shape._replace(
        depth=1,
        filters=draw(st.sampled_from([1, 6, 16, 17])),
        out=(*shape.out[:-1], draw(st.sampled_from([MOST_ROWS, MOST_ROWS + 1, 2 * MOST_ROWS + 5]))),
        kernel=(*shape.kernel[:-1], draw(st.sampled_from(WIDTHS))),
        stride=(*shape.stride[:-1], 1),
        dilation=(*shape.dilation[:-1], 1),
    )


@st.composite
def _few_channels(draw: Any) -> Shape:
    """Windows whose rows fill vectors that their channels do not."""
    shape = draw(_direct(st.just(1)))
    depth = draw(st.sampled_from([1, 2, 3]))
    return shape._replace(
        images=draw(st.sampled_from([1, 2, 5, 33])),
        depth=depth,
        filters=draw(st.sampled_from([8, 17, 130])),
        kernel=(*shape.kernel[:-1], max(4, 2 * target.lanes(4) // depth)),
        dilation=(*shape.dilation[:-1], 1),
    )


@cache
def _winograd_shapes(stride: int, few_tiles: bool, few: bool) -> list[Shape]:
    """Shapes for few tiles, or for many; where few kernels are wanted, with 3 taps only."""
    wide, ones = target.lanes(4), (1, 1)
    paddings = ((1, 1), (1, 1)), ((0, 0), (0, 0)), ((2, 1), (0, 3)), ((4, 0), (1, 2))
    channels = wide, wide + 1, 2 * wide - 3, 2 * wide, 3 * wide + 1
    sizes = (4, 4), (7, 3), (8, 12), (13, 11), (16, 15), (33, 36), (48, 62)
    lengths = [n for n, step, back in FILTERINGS if step == stride and not back]
    shapes = [
        Shape(images, depth, filters, 1, out, (n,) * 2, (stride,) * 2, padding, ones, (0, 0))
        for images, depth, filters, n, out, padding in product(
            (1, 2, 3), channels, channels, [3] if few else lengths, sizes, paddings
        )
    ]
    return [shape for shape in shapes if _has_few_tiles(shape) == few_tiles]


def _has_few_tiles(shape: Shape) -> bool:
    return shape.images * math.prod([-(-n // _side(shape)) for n in shape.out]) <= FEW_TILES


def _side(shape: Shape) -> int:
    """Of a tile of the output."""
    return FILTERINGS[shape.kernel[0], shape.stride[0], False].outputs


@st.composite
def _winograd(draw: Any, stride: int, few: bool) -> Shape:
    shape = draw(st.sampled_from(_winograd_shapes(stride, draw(st.booleans()), few)))
    shape = shape._replace(slack=draw(st.tuples(st.integers(0, 5), st.integers(0, 5))))
    if draw(st.booleans()):
        return shape
    return shape._replace(
        out=(1, *shape.out),
        kernel=(1, *shape.kernel),
        stride=(draw(st.integers(1, 2)), *shape.stride),
        padding=(draw(st.sampled_from([(0, 0), (0, 0), (0, 1)])), *shape.padding),
        dilation=(draw(st.integers(1, 2)), *shape.dilation),
        slack=(0, *shape.slack),
    )


@st.composite
def _strassen(draw: Any, few: bool) -> Shape:
    """The last tile lacks pixels."""
    step = PARTS * target.lanes(4)
    channels = st.sampled_from([LEAST_CHANNELS] if few else range(LEAST_CHANNELS, 449, step))
    width, images = draw(st.integers(9, 24)), draw(st.sampled_from([1, 2, 3]))
    height = -(-PARTS * LEAST_TILES // width // images) + 1
    shape = draw(_direct(st.just(1)))
    return shape._replace(
        images=images,
        depth=draw(channels),
        filters=draw(channels),
        out=(height, width),
        kernel=(1, 1),
        stride=draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3)])),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        slack=draw(st.tuples(st.integers(0, 1), st.integers(0, 1))),
    )


def _input_size(shape: Shape) -> Lengths:
    """The size that the windows and the padding ask for, at least 0."""
    axes = zip(shape.out, shape.kernel, shape.stride, shape.padding, shape.dilation, strict=True)
    return tuple([max(0, (o - 1) * s + (k - 1) * d + 1 - sum(p)) for o, k, s, p, d in axes])


def _kinds(few: bool) -> list[tuple[st.SearchStrategy[Shape], np.dtype]]:
    """All there is to draw from; where few kernels are wanted, of a few shapes."""
    of_both = (
        _direct(st.sampled_from([1, 1, 1, 2, 3])),
        _copied(),
        _matrix_products(),
        _depthwise(),
        _one_channel(),
        _few_channels(),
    )
    of_float32 = _winograd(1, few), _winograd(2, few), _strassen(few)
    both = product(of_both, (FLOAT32, FLOAT64))
    return [*both, *[(shapes, FLOAT32) for shapes in of_float32]]


def draw_each(count: int, check: Callable[[Case], object], few: bool = False) -> None:
    """`check` so many convolutions of every kind and dtype; where few kernels are wanted, which
    have to be compiled, the same ones each time."""
    for shapes, dtype in _kinds(few):

        @drawn(count, derandomize=few)
        @given(case=_convolutions(shapes, dtype))
        def run(case: Case) -> None:
            check(case)

        run()


@st.composite
def _convolutions(draw: Any, shapes: st.SearchStrategy[Shape], dtype: np.dtype) -> Case:
    """A convolution of such a shape, with all options."""
    shape = draw(shapes)
    size = [n + more for n, more in zip(_input_size(shape), shape.slack, strict=True)]
    size = [max(n, draw(st.integers(0, 1))) for n in size]
    C, K = shape.depth * shape.groups, shape.filters * shape.groups
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def whole_numbers(*lengths: int) -> np.ndarray:
        values = rng.integers(-3, 4, lengths).astype(dtype)
        return lay_out(values, draw(st.sampled_from(LAYOUTS))) if values.ndim > 1 else values

    out = shape.images, K, *shape.out
    return Case(
        whole_numbers(shape.images, C, *size),
        whole_numbers(K, shape.depth, *shape.kernel),
        whole_numbers(*out),
        whole_numbers(K) if draw(st.booleans()) else None,
        whole_numbers(*out) if draw(st.booleans()) else None,
        draw(st.sampled_from(list(ACTIVATIONS))),
        (shape.stride, shape.padding, shape.dilation, shape.groups),
    )


def arguments(case: Case) -> dict[str, tuple[Any, ...]]:
    """What each of the three passes is called with."""
    x, weight, grad, bias, residual, activation, window = case
    return {
        "convolve": (x, weight, bias, grad.shape[2:], *window, residual, activation),
        "convolve_input_grad": (grad, weight, x.shape[2:], *window),
        "convolve_weight_grad": (x, grad, weight.shape[2:], *window),
    }


def _finished(sums: np.ndarray, case: Case) -> np.ndarray:
    y = sums if case.residual is None else sums + case.residual
    slope, most = ACTIVATIONS[case.activation]
    return np.minimum(np.where(y < 0, y * sums.dtype.type(slope), y), sums.dtype.type(most))


def _expected(case: Case, name: str) -> np.ndarray:
    x, weight, grad, bias, _, _, window = case
    if name == "convolve":
        sums = reference.convolve_reference(x, weight, bias, grad.shape[2:], *window)
        return _finished(sums, case)
    if name == "convolve_input_grad":
        return reference.convolve_input_grad_reference(*arguments(case)[name])
    return reference.convolve_weight_grad_reference(*arguments(case)[name])


def _products_of_one_sum(case: Case, name: str) -> int:
    K, depth, *taps = case.weight.shape
    pixels = len(case.grad) * math.prod(case.grad.shape[2:])
    return {
        "convolve": depth * math.prod(taps),
        "convolve_input_grad": K * math.prod(taps),
        "convolve_weight_grad": pixels,
    }[name]


PASSES = {
    "convolve": convolve,
    "convolve_input_grad": convolve_input_grad,
    "convolve_weight_grad": convolve_weight_grad,
}


def check(case: Case, counts: Counter[str]) -> None:
    """All three passes are those of the reference: exactly, or within Winograd's bound."""
    counts[case.algorithm] += 1
    for name, entry in PASSES.items():
        out, expected = entry(*arguments(case)[name]), _expected(case, name)
        assert out.dtype == expected.dtype and out.shape == expected.shape
        last = out if name == "convolve_weight_grad" else np.moveaxis(out, 1, -1)
        assert last.flags.c_contiguous
        if case.algorithm == WINOGRAD:
            spread = VARIANCE * math.sqrt(_products_of_one_sum(case, name))
            np.testing.assert_allclose(out, expected, rtol=1e-6, atol=FAST_BOUND * spread)
        else:
            np.testing.assert_array_equal(out, expected)
