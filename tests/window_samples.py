"""Op samples of convolution over one to three axes of space, with references that loop over output
positions (the transposed one: over input positions).

A reference is given the geometry as the public function takes it; what slides is written out,
so that a mistake in the engine's arithmetic of windows cannot be in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sample import Array, Sample, normal

from minigrad import ops
from minigrad.ops.convolution import FAMILIES
from minigrad.spec import Window
from minigrad.tensor import apply


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * axes


def _sides(value: Any, axes: int) -> tuple[tuple[int, int], ...]:
    return tuple((n, n) if isinstance(n, int) else n for n in _each(value, axes))


def _padded(x: Array, padding: Any) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *_sides(padding, x.ndim - 2)))


def _in_groups(formula: str, x: Array, weight: Array, groups: int) -> Array:
    """A product of channels with filters, group by group."""
    parts = zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    return np.concatenate([np.einsum(formula, a, b) for a, b in parts], axis=1)


def _positions(
    size: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Output positions and the slices of the padded input below the window."""
    windows = []
    axes = len(size)
    for axis in range(axes):
        before, after = _sides(padding, axes)[axis]
        spread = _each(dilation, axes)[axis]
        span = spread * (kernel[axis] - 1) + 1
        starts = range(0, size[axis] + before + after - span + 1, _each(stride, axes)[axis])
        windows.append([(i, slice(s, s + span, spread)) for i, s in enumerate(starts)])
    for place in product(*windows):
        yield tuple(i for i, _ in place), tuple(window for _, window in place)


def _convolve(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    padded = _padded(x, padding)
    space = "abd"[: x.ndim - 2]
    formula = f"nc{space},kc{space}->nk"
    places = _positions(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    results = {
        position: _in_groups(formula, padded[(..., *window)], weight, groups)
        for position, window in places
    }
    lengths = [max(axis) + 1 for axis in zip(*results, strict=True)]
    y = np.empty((x.shape[0], weight.shape[0], *lengths), x.dtype)
    for position, value in results.items():
        y[(..., *position)] = value if bias is None else value + bias
    return y


def _transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    axes = x.ndim - 2
    step, spread, more = (_each(v, axes) for v in (stride, dilation, output_padding))
    lengths = [
        (x.shape[2 + i] - 1) * step[i] + spread[i] * (weight.shape[2 + i] - 1) + 1 + more[i]
        for i in range(axes)
    ]
    whole = np.zeros((x.shape[0], weight.shape[1] * groups, *lengths), x.dtype)
    for place, tap in product(np.ndindex(x.shape[2:]), np.ndindex(weight.shape[2:])):
        position = [place[i] * step[i] + tap[i] * spread[i] for i in range(axes)]
        whole[(..., *position)] += _in_groups(
            "nk,kc->nc", x[(..., *place)], weight[(..., *tap)], groups
        )
    cut = [
        slice(before, n - after)
        for n, (before, after) in zip(lengths, _sides(padding, axes), strict=True)
    ]
    y = whole[(..., *cut)]
    return y if bias is None else y + bias.reshape(-1, *[1] * axes)


def _adjoint(linear: Any, shape: tuple[int, ...], cotangent: Array) -> Array:
    """The transpose of a linear map from `shape`, applied to a cotangent: one basis vector after
    the other."""
    result = np.zeros(shape, cotangent.dtype)
    for position in np.ndindex(shape):
        basis = np.zeros(shape, cotangent.dtype)
        basis[position] = 1
        result[position] = np.sum(linear(basis) * cotangent)
    return result


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "3x3": ((2, 2, 5, 4), (3, 2, 3, 3), {}),
    "3x3_padded": ((1, 2, 4, 4), (2, 2, 3, 3), {"padding": 1}),
    "1x1": ((2, 3, 3, 2), (2, 3, 1, 1), {}),
    "1x1_strided": ((1, 2, 4, 3), (2, 2, 1, 1), {"stride": 2}),
    "whole_input": ((2, 1, 3, 2), (2, 1, 3, 2), {}),
    "strided": ((1, 2, 6, 5), (2, 2, 3, 3), {"stride": 2, "padding": 1}),
    "stride_leaves_a_rest": ((1, 1, 6, 7), (1, 1, 2, 2), {"stride": 3}),
    "stride_over_kernel": ((1, 1, 7, 5), (2, 1, 1, 2), {"stride": (3, 3)}),
    "uneven": ((1, 2, 5, 6), (1, 2, 2, 3), {"stride": (2, 1), "padding": (1, 2)}),
    "padding_per_side": ((1, 1, 4, 4), (2, 1, 3, 2), {"padding": ((0, 2), (1, 0))}),
    "padding_over_kernel": ((1, 1, 2, 2), (1, 1, 2, 2), {"padding": 3}),
    "dilated": ((1, 2, 6, 5), (2, 2, 3, 2), {"dilation": (2, 3), "padding": (1, 0)}),
    "groups": ((1, 4, 4, 3), (6, 2, 2, 2), {"groups": 2}),
    "depthwise": ((1, 3, 4, 4), (3, 1, 3, 3), {"groups": 3, "padding": 1}),
    "depthwise_multiplied": ((1, 2, 3, 4), (4, 1, 2, 2), {"groups": 2, "stride": (1, 2)}),
    "valid": ((1, 1, 4, 4), (1, 1, 2, 2), {"padding": "valid"}),
    "same": ((1, 1, 4, 5), (2, 1, 3, 3), {"padding": "same", "dilation": (1, 2)}),
    "all_at_once": (
        (2, 4, 7, 6),
        (2, 2, 3, 2),
        {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2},
    ),
    "1d": ((2, 2, 6), (3, 2, 3), {}),
    "1d_strided": ((1, 2, 7), (2, 2, 3), {"stride": 2, "padding": 1}),
    "1d_stride_leaves_a_rest": ((1, 1, 7), (2, 1, 2), {"stride": (3,)}),
    "1d_per_side": ((1, 2, 4), (1, 2, 3), {"padding": ((0, 2),), "dilation": 2}),
    "1d_groups": ((1, 4, 5), (2, 2, 2), {"groups": 2}),
    "1d_one": ((1, 1, 1), (1, 1, 1), {}),
    "1d_same": ((1, 1, 5), (1, 1, 4), {"padding": "same"}),
    "3d": ((1, 2, 3, 3, 2), (2, 2, 2, 2, 2), {}),
    "3d_uneven": (
        (1, 2, 4, 3, 3),
        (1, 2, 2, 1, 3),
        {"stride": (2, 1, 3), "padding": (1, 0, 2), "dilation": (2, 1, 1)},
    ),
    "3d_per_side": ((1, 1, 2, 2, 2), (2, 1, 2, 2, 1), {"padding": ((0, 1), (1, 0), (2, 1))}),
    "3d_depthwise": ((2, 2, 3, 2, 3), (2, 1, 3, 1, 2), {"groups": 2, "padding": 1, "stride": 2}),
    "3d_same": ((1, 1, 3, 2, 2), (1, 1, 3, 1, 2), {"padding": "same"}),
}
NAMED_PADDING: dict[str, Any] = {
    "valid": 0,
    "same": (1, 2),
    "1d_same": ((1, 2),),
    "3d_same": ((1, 1), (0, 0), (0, 1)),
}
"""What the rows of these names pad by."""


def _convolution_rows(
    label: str, x: tuple[int, ...], weight: tuple[int, ...], how: dict[str, Any]
) -> Iterator[Sample]:
    axes = len(weight) - 2
    plain = {**how, "padding": NAMED_PADDING.get(label, how.get("padding", 0))}
    convolve = partial(_convolve, **plain)
    shape = convolve(np.zeros(x), np.zeros(weight)).shape
    window = Window(
        weight[2:],
        _each(how.get("stride", 1), axes),
        _sides(plain["padding"], axes),
        _each(how.get("dilation", 1), axes),
    )
    groups = how.get("groups", 1)
    conv, input_grad, weight_grad = FAMILIES[axes]
    function = partial(getattr(ops, conv.name), **how)
    filters = normal(*weight)
    yield Sample(conv.name, label, function, convolve, (normal(*x), filters))
    yield Sample(
        conv.name, f"{label}_bias", function, convolve, (normal(*x), filters, normal(weight[0]))
    )
    yield Sample(
        input_grad.name,
        label,
        partial(apply, input_grad(window, groups, x[2:])),
        lambda g, w: _adjoint(lambda basis: convolve(basis, w), x, g),
        (normal(*shape), filters),
    )
    yield Sample(
        weight_grad.name,
        label,
        partial(apply, weight_grad(window, groups)),
        lambda a, g: _adjoint(lambda basis: convolve(a, basis), weight, g),
        (normal(*x), normal(*shape)),
    )


TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1d": ((2, 2, 3), (2, 3, 2), {}),
    "1d_strided": ((1, 2, 3), (2, 1, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "1d_one": ((1, 1, 1), (1, 1, 1), {"output_padding": 2, "stride": 3}),
    "1d_gaps": ((1, 1, 3), (1, 2, 2), {"stride": 4, "dilation": (2,)}),
    "2d": ((2, 2, 3, 2), (2, 3, 2, 3), {}),
    "2d_strided": (
        (1, 2, 2, 3),
        (2, 2, 3, 3),
        {"stride": 2, "padding": 1, "output_padding": 1},
    ),
    "2d_groups": ((1, 4, 2, 2), (4, 3, 2, 1), {"groups": 2, "stride": (1, 2)}),
    "2d_depthwise": ((1, 2, 3, 2), (2, 1, 2, 2), {"groups": 2, "padding": 1}),
    "2d_per_side": (
        (1, 1, 3, 3),
        (1, 2, 3, 2),
        {"padding": ((0, 2), (1, 0)), "stride": (2, 3), "output_padding": (0, 2)},
    ),
    "2d_longer_than_a_stride": (
        (1, 2, 3, 2),
        (2, 1, 2, 2),
        {"dilation": (3, 4), "output_padding": (1, 3), "stride": (1, 2), "padding": (0, 1)},
    ),
    "2d_nothing_but_output_padding": (
        (1, 2, 1, 1),
        (2, 1, 1, 1),
        {"dilation": (3, 1), "output_padding": (2, 0), "padding": (1, 0)},
    ),
    "3d": ((1, 2, 2, 1, 2), (2, 1, 2, 2, 1), {}),
    "3d_all_at_once": (
        (1, 2, 2, 2, 1),
        (2, 2, 2, 1, 2),
        {
            "stride": (2, 1, 3),
            "padding": (1, 0, 0),
            "output_padding": (1, 0, 2),
            "groups": 2,
            "dilation": (1, 2, 2),
        },
    ),
}


def _transposed_rows(
    label: str, x: tuple[int, ...], weight: tuple[int, ...], how: dict[str, Any]
) -> Iterator[Sample]:
    op = f"conv_transpose{len(weight) - 2}d"
    function, transpose = partial(getattr(ops, op), **how), partial(_transpose, **how)
    channels = weight[1] * how.get("groups", 1)
    filters = normal(*weight)
    yield Sample(op, label, function, transpose, (normal(*x), filters))
    yield Sample(op, f"{label}_bias", function, transpose, (normal(*x), filters, normal(channels)))


def _single_rows(axes: int) -> Iterator[Sample]:
    """Inputs (C, *space) without a batch."""
    for op, reference in ((f"conv{axes}d", _convolve), (f"conv_transpose{axes}d", _transpose)):
        yield Sample(
            op,
            "single",
            partial(getattr(ops, op), stride=2),
            lambda x, w, b, reference=reference: reference(x[None], w, b, 2)[0],
            (normal(2, *[3] * axes), normal(2, 2, *[2] * axes), normal(2)),
        )


WINDOWS: list[Sample] = [
    *[s for label, row in CONVOLUTIONS.items() for s in _convolution_rows(label, *row)],
    *[s for label, row in TRANSPOSED.items() for s in _transposed_rows(label, *row)],
    *[s for axes in (1, 2, 3) for s in _single_rows(axes)],
]
