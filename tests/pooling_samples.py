"""Op samples of pooling over one to three axes, with references that go window by window.

A reference is given the geometry as the public function takes it; which positions a window has is
written out, so that a mistake in the engine's arithmetic of windows cannot be in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sample import Array, Sample, distinct, normal, positive

from minigrad import ops
from minigrad.ops import max_pooling
from minigrad.ops.average_pooling import AvgPoolBackward
from minigrad.ops.max_pooling import MaxPoolBackward, MaxPoolGather, MaxPoolIndices
from minigrad.ops.pooling import Adaptive
from minigrad.spec import Window
from minigrad.tensor import apply

Along = list[tuple[list[int], int]]  # of each window: its positions, how many with padding


def _each(value: Any, axes: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * axes


def _sides(value: Any, axes: int) -> tuple[tuple[int, int], ...]:
    return tuple([_each(v, 2) for v in _each(value, axes)])


def _along(
    size: int, kernel: int, stride: int, sides: tuple[int, int], dilation: int, ceil_mode: bool
) -> Along:
    """The windows along an axis: the positions of each inside the input, and its padded count."""
    before, after = sides
    span = dilation * (kernel - 1) + 1
    windows, start = [], -before
    while start + span <= size + after or (
        ceil_mode and start < size and start - stride + span < size + after
    ):
        reached = range(start, start + span, dilation)
        inside = [p for p in reached if 0 <= p < size]
        windows.append((inside, sum(p < size + after for p in reached)))
        start += stride
    return windows


def _sliding(
    size: tuple[int, ...],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> list[Along]:
    n = len(size)
    how = (
        _each(kernel_size, n),
        _each(stride or kernel_size, n),
        _sides(padding, n),
        _each(dilation, n),
    )
    return [_along(*along, ceil_mode) for along in zip(size, *how, strict=True)]


def _adaptive(size: tuple[int, ...], output_size: Any) -> list[Along]:
    result = []
    for n, m in zip(size, _each(output_size, len(size)), strict=True):
        starts = [int(np.floor(o * n / (m or n))) for o in range(m or n)]
        stops = [int(np.ceil((o + 1) * n / (m or n))) for o in range(m or n)]
        result.append([([*range(a, b)], b - a) for a, b in zip(starts, stops, strict=True)])
    return result


def _pooled(x: Array, along: list[Along], pick: Callable[[Array, int], Array]) -> Array:
    """`pick` of each window's elements, (..., count), and its padded count."""
    lead = x.shape[: x.ndim - len(along)]
    values = [
        pick(
            x[(..., *np.ix_(*[inside for inside, _ in window]))].reshape(*lead, -1),
            int(np.prod([count for _, count in window])),
        )
        for window in product(*along)
    ]
    return np.stack(values, axis=-1).reshape(*lead, *map(len, along))


def _average(
    x: Array,
    windows: Callable[..., list[Along]],
    axes: int,
    include: bool = True,
    divisor: int | None = None,
) -> Array:
    def pick(block: Array, padded: int) -> Array:
        count = divisor or max(1, padded if include else block.shape[-1])
        return np.asarray(block.sum(axis=-1) / x.dtype.type(count))

    return _pooled(x, windows(x.shape[x.ndim - axes :]), pick)


def _maximum(x: Array, windows: Callable[..., list[Along]], axes: int) -> tuple[Array, Array]:
    size = x.shape[x.ndim - axes :]
    flat = np.broadcast_to(np.arange(np.prod(size)).reshape(size), x.shape)
    along = windows(size)
    lead = x.shape[: x.ndim - axes]
    values, where = [], []
    for window in product(*along):
        cell = (..., *np.ix_(*[inside for inside, _ in window]))
        block, numbers = x[cell].reshape(*lead, -1), flat[cell].reshape(*lead, -1)
        best = block.argmax(axis=-1)[..., None]
        values.append(np.take_along_axis(block, best, -1)[..., 0])
        where.append(np.take_along_axis(numbers, best, -1)[..., 0])
    shape = *lead, *map(len, along)
    return np.stack(values, axis=-1).reshape(shape), np.stack(where, axis=-1).reshape(shape)


def _adjoint(linear: Any, shape: tuple[int, ...], cotangent: Array) -> Array:
    """The transpose of a linear map from `shape`, applied to a cotangent: one basis vector after
    the other."""
    result = np.zeros(shape, cotangent.dtype)
    for position in np.ndindex(shape):
        basis = np.zeros(shape, cotangent.dtype)
        basis[position] = 1
        result[position] = np.sum(linear(basis) * cotangent)
    return result


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
    "one_image": ((2, 5, 4), {"kernel_size": 2, "stride": 1}),
    "1d": ((2, 3, 7), {"kernel_size": 2}),
    "1d_padded": ((1, 2, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "1d_one_signal": ((2, 6), {"kernel_size": 3}),
    "3d": ((1, 2, 4, 2, 3), {"kernel_size": 2, "stride": 1}),
    "3d_uneven": (
        (1, 1, 3, 4, 4),
        {"kernel_size": (1, 2, 3), "stride": (2, 2, 1), "padding": (0, 1, 1), "ceil_mode": True},
    ),
    "3d_one_volume": ((2, 2, 3, 2), {"kernel_size": 2}),
}
DILATED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "dilated": ((1, 2, 6, 5), {"kernel_size": 2, "stride": 1, "dilation": (2, 3)}),
    "dilated_padded": (
        (1, 1, 6, 6),
        {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1, "ceil_mode": True},
    ),
    "1d_dilated": ((1, 2, 8), {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1}),
    "3d_dilated": ((1, 1, 4, 3, 4), {"kernel_size": 2, "stride": 1, "dilation": (2, 1, 3)}),
}
AXES = {"1d": 1, "3d": 3}
ADAPTIVE: dict[str, tuple[tuple[int, ...], int, Any]] = {
    "dividing": ((2, 2, 4, 6), 2, 2),
    "overlapping": ((1, 2, 5, 7), 2, (3, 4)),
    "global": ((2, 3, 3, 4), 2, 1),
    "kept": ((1, 2, 3, 5), 2, (None, 2)),
    "growing": ((1, 1, 2, 3), 2, (3, 5)),
    "one_image": ((2, 5, 4), 2, 3),
    "1d": ((2, 2, 7), 1, 3),
    "1d_one_signal": ((2, 5), 1, 2),
    "3d": ((1, 2, 3, 2, 4), 3, (2, 1, 3)),
    "3d_one_volume": ((2, 2, 3, 2), 3, 2),
}


def _window(axes: int, how: dict[str, Any]) -> Window:
    return Window(
        _each(how["kernel_size"], axes),
        _each(how.get("stride", how["kernel_size"]), axes),
        _sides(how.get("padding", 0), axes),
        _each(how.get("dilation", 1), axes),
        how.get("ceil_mode", False),
    )


def _average_rows(label: str, shape: tuple[int, ...], how: dict[str, Any]) -> Iterator[Sample]:
    axes = AXES.get(label[:2], 2)
    name, windows = f"avg_pool{axes}d", partial(_sliding, **how)
    options: list[tuple[str, bool, int | None]] = [
        (label, True, None),
        (f"{label}_without_padding", False, None),
    ]
    if label in ("padded", "3d"):
        options.append((f"{label}_divided_by_five", True, 5))
    for row, include, divisor in options:
        pool = partial(_average, windows=windows, axes=axes, include=include, divisor=divisor)
        divided = {} if divisor is None else {"divisor_override": divisor}
        function = partial(getattr(ops, name), **how, count_include_pad=include, **divided)
        yield Sample(name, row, function, pool, (normal(*shape),))
        backward = AvgPoolBackward(_window(axes, how), include, divisor, shape[-axes:])
        yield _spread(row, backward, pool, shape)


def _spread(
    label: str, backward: AvgPoolBackward, pool: Callable[..., Array], shape: tuple[int, ...]
) -> Sample:
    cotangent = normal(*pool(np.zeros(shape)).shape)
    return Sample(
        "avg_pool_backward",
        label,
        partial(apply, backward),
        lambda g: _adjoint(pool, shape, g),
        (cotangent,),
    )


def _adaptive_rows(
    label: str, shape: tuple[int, ...], axes: int, output_size: Any
) -> Iterator[Sample]:
    windows = partial(_adaptive, output_size=output_size)
    average = partial(_average, windows=windows, axes=axes)
    name = f"adaptive_avg_pool{axes}d"
    function = partial(getattr(ops, name), output_size=output_size)
    yield Sample(name, label, function, average, (normal(*shape),))
    window = Adaptive(_each(output_size, axes))
    backward = AvgPoolBackward(window, True, None, shape[-axes:])
    yield _spread(f"adaptive_{label}", backward, average, shape)
    name = f"adaptive_max_pool{axes}d"
    function = partial(getattr(ops, name), output_size=output_size)
    yield from _largest(name, label, function, partial(_maximum, windows=windows, axes=axes), shape)
    yield from _tap_rows(f"adaptive_{label}", shape, axes, window, windows)


def _largest(
    name: str, label: str, function: Any, pool: Any, shape: tuple[int, ...]
) -> Iterator[Sample]:
    inputs = (distinct(*shape),)
    yield Sample(name, label, function, lambda x: pool(x)[0], inputs)
    yield Sample(
        name,
        f"{label}_indices",
        lambda x: _second(function(x, return_indices=True)),
        lambda x: pool(x)[1],
        inputs,
        differentiable=False,
    )


def _second(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def _maximum_rows(label: str, shape: tuple[int, ...], how: dict[str, Any]) -> Iterator[Sample]:
    axes = AXES.get(label[:2], 2)
    name, windows = f"max_pool{axes}d", partial(_sliding, **how)
    pool = partial(_maximum, windows=windows, axes=axes)
    yield from _largest(name, label, partial(getattr(ops, name), **how), pool, shape)
    yield from _tap_rows(label, shape, axes, _window(axes, how), windows)


def _tap_rows(
    label: str,
    shape: tuple[int, ...],
    axes: int,
    window: Window | Adaptive,
    windows: Callable[..., list[Along]],
) -> Iterator[Sample]:
    """The gradient of a max pooling and the gradient of that, at the taps of an input."""
    x, size = distinct(*shape), shape[-axes:]
    lead = shape[: len(shape) - axes]
    kinds = max_pooling.ADAPTIVE if isinstance(window, Adaptive) else max_pooling.SLIDING
    taps = kinds[axes](window).forward(x)[1]
    indices = _maximum(x, windows, axes)[1]

    def gather(x: Array, taps: Array) -> Array:
        flat = np.take_along_axis(x.reshape(*lead, -1), indices.reshape(*lead, -1), axis=-1)
        return np.asarray(flat.reshape(taps.shape))

    yield Sample(
        "max_pool_gather",
        label,
        partial(apply, MaxPoolGather(window, size)),
        gather,
        (normal(*shape), taps),
    )
    yield Sample(
        "max_pool_backward",
        label,
        partial(apply, MaxPoolBackward(window, size)),
        lambda g, t: _adjoint(lambda basis: gather(basis, t), shape, g),
        (normal(*taps.shape), taps),
    )
    yield Sample(
        "max_pool_indices",
        label,
        partial(apply, MaxPoolIndices(window, size)),
        lambda t: indices,
        (taps,),
        differentiable=False,
    )


def _power_rows() -> Iterator[Sample]:
    for label, shape, p, how in [
        ("2d", (1, 2, 4, 5), 2, {"kernel_size": 2}),
        ("overlapping", (1, 2, 5, 5), 3, {"kernel_size": 3, "stride": 2}),
        ("1d", (2, 2, 6), 1.5, {"kernel_size": 2}),
        ("3d", (1, 1, 3, 2, 4), 2, {"kernel_size": 2, "stride": 1}),
        ("sums", (1, 2, 4, 4), 1, {"kernel_size": 2}),
    ]:
        axes = AXES.get(label[:2], 2)

        def pool(x: Array, how: Any = how, p: float = p, axes: int = axes) -> Array:
            along = _sliding(x.shape[-axes:], **how)
            exponent = x.dtype.type(p)
            return _pooled(x, along, lambda block, _: (block**exponent).sum(-1) ** (1 / exponent))

        function = partial(getattr(ops, f"lp_pool{axes}d"), norm_type=p, **how)
        yield Sample(f"avg_pool{axes}d", f"of_powers_{label}", function, pool, (positive(*shape),))


def _unpool_rows() -> Iterator[Sample]:
    for axes, shape, full in [
        (1, (2, 2, 3), (2, 2, 6)),
        (2, (1, 2, 2, 3), (1, 2, 4, 6)),
        (2, (2, 2, 2), (2, 4, 4)),
        (3, (1, 1, 2, 1, 2), (1, 1, 4, 2, 4)),
    ]:
        lead = len(shape) - axes
        places = np.argsort(normal(*full[:lead], int(np.prod(full[lead:]))), axis=-1)
        indices = places[..., : int(np.prod(shape[lead:]))].reshape(shape)

        def put(x: Array, i: Array, lead: int = lead, full: Any = full) -> Array:
            flat = np.zeros((*full[:lead], int(np.prod(full[lead:]))), x.dtype)
            np.put_along_axis(
                flat, i.reshape(*full[:lead], -1), x.reshape(*full[:lead], -1), axis=-1
            )
            return flat.reshape(full)

        function = partial(getattr(ops, f"max_unpool{axes}d"), kernel_size=2)
        label = f"max_unpool_{axes}d_{len(shape)}_axes"
        yield Sample("setitem", label, function, put, (normal(*shape), indices))


POOLED: list[Sample] = [
    *[s for label, row in POOLINGS.items() for s in _average_rows(label, *row)],
    *[s for label, row in (POOLINGS | DILATED).items() for s in _maximum_rows(label, *row)],
    *[s for label, row in ADAPTIVE.items() for s in _adaptive_rows(label, *row)],
    *_power_rows(),
    *_unpool_rows(),
]
