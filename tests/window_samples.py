"""Op samples of convolution and pooling, with references that loop over output positions.

A reference is given the geometry as the public function takes it; what slides is written out,
so that a mistake in the engine's arithmetic of windows cannot be in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sample import Array, Sample, distinct, normal, whole

from minigrad import ops
from minigrad.ops.convolution import Conv2dInputGrad, Conv2dWeightGrad
from minigrad.ops.pooling import (
    AvgPool2dBackward,
    MaxPool2dBackward,
    MaxPool2dGather,
)
from minigrad.spec import Window
from minigrad.tensor import Tensor, apply

NO_PADDING = ((0, 0), (0, 0))


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _sides(value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    height, width = _pair(value)
    return _pair(height), _pair(width)


def _padded(x: Array, padding: Any, value: float = 0) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *_sides(padding)), constant_values=value)


# -- convolution ------------------------------------------------------------------------------


def _positions(
    size: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Iterator[tuple[int, int, slice, slice]]:
    """Output positions (i, j) and the rows and columns of the padded input below the window."""
    windows = []
    for axis in range(2):
        before, after = _sides(padding)[axis]
        span = _pair(dilation)[axis] * (kernel[axis] - 1) + 1
        starts = range(0, size[axis] + before + after - span + 1, _pair(stride)[axis])
        windows.append([slice(s, s + span, _pair(dilation)[axis]) for s in starts])
    for i, rows in enumerate(windows[0]):
        for j, columns in enumerate(windows[1]):
            yield i, j, rows, columns


def _conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    padded = _padded(x, padding)
    per_input, per_output = x.shape[1] // groups, weight.shape[0] // groups
    results = {}
    for i, j, rows, columns in _positions(x.shape[2:], weight.shape[2:], stride, padding, dilation):
        block = padded[:, :, rows, columns]
        results[i, j] = np.concatenate(
            [
                np.einsum(
                    "ncrs,kcrs->nk",
                    block[:, g * per_input : (g + 1) * per_input],
                    weight[g * per_output : (g + 1) * per_output],
                )
                for g in range(groups)
            ],
            axis=1,
        )
    height, width = (max(position[axis] for position in results) + 1 for axis in range(2))
    y = np.empty((x.shape[0], weight.shape[0], height, width), x.dtype)
    for (i, j), value in results.items():
        y[:, :, i, j] = value if bias is None else value + bias
    return y


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
}
NAMED_PADDING: dict[Any, Any] = {"valid": 0, "same": (1, 2)}


def _convolution_rows(
    label: str, x: tuple[int, ...], weight: tuple[int, ...], how: dict[str, Any]
) -> Iterator[Sample]:
    plain = {**how, "padding": NAMED_PADDING.get(str(how.get("padding")), how.get("padding", 0))}
    convolve = partial(_conv2d, **plain)
    shape = convolve(np.zeros(x), np.zeros(weight)).shape
    window = Window(
        weight[2:],
        _pair(how.get("stride", 1)),
        _sides(plain["padding"]),
        _pair(how.get("dilation", 1)),
    )
    groups = how.get("groups", 1)
    function = partial(ops.conv2d, **how)
    yield Sample("conv2d", label, function, convolve, (normal(*x), normal(*weight)))
    yield Sample(
        "conv2d",
        f"{label}_bias",
        function,
        convolve,
        (normal(*x), normal(*weight), normal(weight[0])),
    )
    yield Sample(
        "conv2d_input_grad",
        label,
        partial(apply, Conv2dInputGrad(window, groups, x[2:])),
        lambda g, w: _adjoint(lambda basis: convolve(basis, w), x, g),
        (normal(*shape), normal(*weight)),
    )
    yield Sample(
        "conv2d_weight_grad",
        label,
        partial(apply, Conv2dWeightGrad(window, groups)),
        lambda a, g: _adjoint(lambda basis: convolve(a, basis), weight, g),
        (normal(*x), normal(*shape)),
    )


# -- pooling ----------------------------------------------------------------------------------


def _pool_windows(
    size: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """Output positions and the unpadded coordinates below each window, as far as the padded
    plane goes."""
    starts, spans = [], []
    for axis in range(2):
        before, after = _sides(padding)[axis]
        step, dilated = _pair(stride)[axis], _pair(dilation)[axis]
        span = dilated * (_pair(kernel)[axis] - 1) + 1
        places = []
        start = -before
        while start + span <= size[axis] + after or (
            ceil_mode and start < size[axis] and start - step + span < size[axis] + after
        ):
            places.append(start)
            start += step
        starts.append(places)
        spans.append((span, dilated, size[axis] + after))
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            rows, columns = (
                [c for c in range(start, start + span, step) if c < end]
                for start, (span, step, end) in zip((top, left), spans, strict=True)
            )
            yield i, j, rows, columns


def _inside(coordinates: list[int], length: int) -> list[int]:
    return [c for c in coordinates if 0 <= c < length]


def _assembled(shape: tuple[int, ...], values: dict[tuple[int, int], Array], dtype: Any) -> Array:
    height, width = (max(position[axis] for position in values) + 1 for axis in range(2))
    y = np.empty((*shape[:2], height, width), dtype)
    for (i, j), value in values.items():
        y[:, :, i, j] = value
    return y


def _avg_pool2d(
    x: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    values = {}
    for i, j, rows, columns in _pool_windows(
        x.shape[2:], kernel_size, stride or kernel_size, padding, 1, ceil_mode
    ):
        inner_rows, inner_columns = _inside(rows, x.shape[2]), _inside(columns, x.shape[3])
        counted = (rows, columns) if count_include_pad else (inner_rows, inner_columns)
        block = x[:, :, inner_rows][:, :, :, inner_columns]
        count = max(1, len(counted[0]) * len(counted[1]))
        values[i, j] = block.sum(axis=(2, 3)) / x.dtype.type(count)
    return _assembled(x.shape, values, x.dtype)


def _max_pool2d(
    x: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    values, indices = {}, {}
    for i, j, rows, columns in _pool_windows(
        x.shape[2:], kernel_size, stride or kernel_size, padding, dilation, ceil_mode
    ):
        inner_rows, inner_columns = _inside(rows, x.shape[2]), _inside(columns, x.shape[3])
        block = x[:, :, inner_rows][:, :, :, inner_columns].reshape(*x.shape[:2], -1)
        places = np.add.outer(np.multiply(inner_rows, x.shape[3]), inner_columns).reshape(-1)
        values[i, j] = block.max(axis=2)
        indices[i, j] = places[block.argmax(axis=2)]
    return _assembled(x.shape, values, x.dtype), _assembled(x.shape, indices, np.int64)


POOLINGS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "2x2": ((2, 3, 4, 6), {"kernel_size": 2}),
    "rest_is_dropped": ((1, 2, 5, 5), {"kernel_size": 2}),
    "overlapping": ((1, 2, 5, 6), {"kernel_size": 3, "stride": 2}),
    "subsampling": ((1, 2, 4, 5), {"kernel_size": 1, "stride": 2}),
    "uneven": ((1, 1, 5, 7), {"kernel_size": (2, 3), "stride": (1, 2)}),
    "whole_plane": ((2, 2, 3, 4), {"kernel_size": (3, 4)}),
    "padded": ((1, 2, 4, 5), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "padding_per_side": (
        (1, 1, 5, 4),
        {"kernel_size": (4, 3), "stride": 1, "padding": ((2, 0), (0, 1))},
    ),
    "ceil_mode": ((1, 2, 5, 6), {"kernel_size": 2, "ceil_mode": True}),
    "ceil_mode_padded": (
        (1, 1, 4, 5),
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    ),
    "ceil_mode_outside": (
        (1, 1, 3, 4),
        {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    ),
    "stride_over_kernel": ((1, 1, 7, 6), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
}
DILATED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "dilated": ((1, 2, 6, 5), {"kernel_size": 2, "stride": 1, "dilation": (2, 3)}),
    "dilated_padded": (
        (1, 1, 6, 6),
        {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1, "ceil_mode": True},
    ),
}


def _average_rows(label: str, shape: tuple[int, ...], how: dict[str, Any]) -> Iterator[Sample]:
    for include in (True, False):
        pool = partial(_avg_pool2d, **how, count_include_pad=include)
        suffix = label if include else f"{label}_without_padding"
        yield Sample(
            "avg_pool2d",
            suffix,
            partial(ops.avg_pool2d, **how, count_include_pad=include),
            pool,
            (normal(*shape),),
        )
        window = Window(
            _pair(how["kernel_size"]),
            _pair(how.get("stride", how["kernel_size"])),
            _sides(how.get("padding", 0)),
            (1, 1),
            how.get("ceil_mode", False),
        )
        yield Sample(
            "avg_pool2d_backward",
            suffix,
            partial(apply, AvgPool2dBackward(window, include, shape[2:])),
            lambda g, pool=pool: _adjoint(pool, shape, g),
            (normal(*pool(np.zeros(shape)).shape),),
        )


def _second(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def _maximum_rows(label: str, shape: tuple[int, ...], how: dict[str, Any]) -> Iterator[Sample]:
    pool = partial(_max_pool2d, **how)
    inputs = (distinct(*shape),)
    function = partial(ops.max_pool2d, **how)
    yield Sample("max_pool2d", label, function, lambda x: pool(x)[0], inputs)
    yield Sample(
        "max_pool2d",
        f"{label}_indices",
        lambda x: _second(function(x, return_indices=True)),
        lambda x: pool(x)[1],
        inputs,
        differentiable=False,
    )


def _gather(x: Array, indices: Array) -> Array:
    flat = np.take_along_axis(
        x.reshape(*x.shape[:2], -1), indices.reshape(*x.shape[:2], -1), axis=2
    )
    return flat.reshape(indices.shape)


def _gather_tensor(x: Tensor, indices: Tensor) -> Tensor:
    return apply(MaxPool2dGather(), x, indices)


def _scatter_tensor(grad: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    return apply(MaxPool2dBackward(size), grad, indices)


def _index_rows() -> Iterator[Sample]:
    plane = (3, 4)
    for label, shape in [("2x2", (2, 3, 2, 2)), ("one", (1, 1, 1, 1)), ("many", (1, 2, 5, 3))]:
        indices = whole(*shape, low=0, high=12)
        whole_shape = (*shape[:2], *plane)
        yield Sample(
            "max_pool2d_gather", label, _gather_tensor, _gather, (normal(*whole_shape), indices)
        )
        yield Sample(
            "max_pool2d_backward",
            label,
            partial(_scatter_tensor, size=plane),
            lambda g, i, shape=whole_shape: _adjoint(lambda basis: _gather(basis, i), shape, g),
            (normal(*shape), indices),
        )


WINDOWS: list[Sample] = [
    *[s for label, row in CONVOLUTIONS.items() for s in _convolution_rows(label, *row)],
    *[s for label, row in POOLINGS.items() for s in _average_rows(label, *row)],
    *[s for label, row in (POOLINGS | DILATED).items() for s in _maximum_rows(label, *row)],
    *_index_rows(),
]
