"""Normalization of activations: over the batch, a sample, groups of channels, neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.creation import ones, zeros
from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.channels import channel_affine
from minigrad.ops.normalization import batch_normalize, channelwise, standardize
from minigrad.ops.number import as_number
from minigrad.ops.response import local_response_norm
from minigrad.spec import Shape, as_integer, as_shape, common_dtype, require_floating
from minigrad.tape import no_grad
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
]


def _input(op: str, input: Operand, least: int = 2) -> Tensor:
    x = as_tensor(input)
    require_floating(op, x.spec)
    if x.ndim < least:
        raise ShapeError(f"{op}: takes an input (N, C, ...) of {least} axes or more, got {x.shape}")
    return x


def _fitting(op: str, argument: str, value: Operand | None, shape: Shape, x: Tensor) -> None:
    if value is None:
        return
    given = as_tensor(value)
    if given.shape != shape:
        raise ShapeError(f"{op}: {argument} takes shape {shape}, got {given.shape}")
    common_dtype(op, x.spec, given.spec)


def _affine(op: str, y: Tensor, weight: Operand | None, bias: Operand | None) -> Tensor:
    """y times a weight plus a bias for each channel."""
    for argument, value in (("weight", weight), ("bias", bias)):
        _fitting(op, argument, value, y.shape[1:2], y)
    if weight is not None and bias is not None:
        return channel_affine(y, weight, bias)
    if weight is not None:
        return y * channelwise(as_tensor(weight), y.ndim)
    return y if bias is None else y + channelwise(as_tensor(bias), y.ndim)


def _update(running: Operand | None, batch: Tensor, factor: float, momentum: float) -> None:
    """running ← (1 - momentum) running + momentum (factor · batch)."""
    if isinstance(running, Tensor):
        with no_grad():
            new = batch if factor == 1 else batch * factor
            running.assign(running * (1 - momentum) + new * momentum)


def _require_running(op: str, x: Tensor, **running: Operand | None) -> None:
    """Raise unless running statistics that are to be updated can be."""
    for argument, value in running.items():
        if value is not None and not isinstance(value, Tensor):
            raise ArgumentError(f"{op}: {argument} is updated, so it takes a tensor, got {value!r}")
        _fitting(op, argument, value, x.shape[1:2], x)


def _with_running(
    op: str,
    x: Tensor,
    eps: float,
    weight: Operand | None,
    bias: Operand | None,
    **running: Operand | None,
) -> Tensor:
    """Normalized by given statistics, as one scale and one shift a channel."""
    for argument, value in {**running, "weight": weight, "bias": bias}.items():
        if value is None and argument in running:
            raise ArgumentError(f"{op}: takes {argument} where it does not use the input's own")
        _fitting(op, argument, value, x.shape[1:2], x)
    mean, variance = (as_tensor(value) for value in running.values())
    scale = (variance + as_number(op, "eps", eps, 0)) ** -0.5
    if weight is not None:
        scale = scale * as_tensor(weight)
    shift = -(mean * scale)
    if bias is not None:
        shift = shift + as_tensor(bias)
    return channel_affine(x, scale, shift)


def batch_norm(
    input: Operand,
    running_mean: Operand | None,
    running_var: Operand | None,
    weight: Operand | None = None,
    bias: Operand | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - m) / sqrt(v + eps) · weight + bias for each channel of (N, C, ...) (Ioffe and Szegedy
    2015).

    In training m and v are the batch's mean and biased variance, and the running statistics, where
    given, become (1 - momentum) of themselves plus momentum of the mean and the unbiased variance;
    else m and v are the running ones. Raises ShapeError, also for one value a channel in training.
    """
    x = _input("batch_norm", input)
    if not training:
        running = {"running_mean": running_mean, "running_var": running_var}
        return _with_running("batch_norm", x, eps, weight, bias, **running)
    _require_running("batch_norm", x, running_mean=running_mean, running_var=running_var)
    count = x.size // max(x.shape[1], 1)
    if count < 2:
        raise ShapeError(
            f"batch_norm: training takes more than one value a channel, got shape {x.shape}"
        )
    channels = x.shape[1]
    share = as_number("batch_norm", "momentum", momentum)
    scale = ones(channels, x.dtype) if weight is None else weight
    shift = zeros(channels, x.dtype) if bias is None else bias
    y, mean, variance = batch_normalize(x, scale, shift, eps)
    _update(running_mean, mean, 1, share)
    _update(running_var, variance, count / (count - 1), share)
    return y


def instance_norm(
    input: Operand,
    running_mean: Operand | None = None,
    running_var: Operand | None = None,
    weight: Operand | None = None,
    bias: Operand | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `batch_norm`, with a mean and a variance for each channel of each sample (Ulyanov et al.
    2016); the running statistics take their means over the batch."""
    x = _input("instance_norm", input, 3)
    if not use_input_stats:
        running = {"running_mean": running_mean, "running_var": running_var}
        return _with_running("instance_norm", x, eps, weight, bias, **running)
    _require_running("instance_norm", x, running_mean=running_mean, running_var=running_var)
    count = x.size // max(x.shape[0] * x.shape[1], 1)
    if count < 2:
        raise ShapeError(
            f"instance_norm: takes more than one value a channel of a sample, got shape {x.shape}"
        )
    share = as_number("instance_norm", "momentum", momentum)
    y, mean, variance = standardize(x, tuple(range(2, x.ndim)), eps)
    with no_grad():
        mean, variance = (m.reshape(x.shape[:2]).mean(axis=0) for m in (mean, variance))
    _update(running_mean, mean, 1, share)
    _update(running_var, variance, count / (count - 1), share)
    return _affine("instance_norm", y, weight, bias)


def group_norm(
    input: Operand,
    num_groups: int,
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - m) / sqrt(v + eps) · weight + bias, the mean and variance over each of `num_groups`
    groups of channels of each sample of (N, C, ...) (Wu and He 2018)."""
    x = _input("group_norm", input)
    groups = as_integer("group_norm", "num_groups", num_groups)
    n, channels, *rest = x.shape
    if groups < 1 or channels % groups:
        raise ShapeError(f"group_norm: {channels} channels do not divide into {groups} groups")
    grouped = x.reshape(n, groups, channels // groups, *rest)
    y, _, _ = standardize(grouped, tuple(range(2, grouped.ndim)), eps)
    return _affine("group_norm", y.reshape(x.shape), weight, bias)


def _last_axes(op: str, x: Tensor, normalized_shape: int | Sequence[int]) -> Shape:
    """`normalized_shape` as a shape, which must be that of the last axes of x."""
    shape = as_shape(op, normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(f"{op}: the last axes take shape {shape}, got an input of {x.shape}")
    return shape


def layer_norm(
    input: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - m) / sqrt(v + eps) · weight + bias, the mean and variance over the last axes, whose
    shape is `normalized_shape`, as is that of weight and bias (Ba et al. 2016)."""
    x = as_tensor(input)
    require_floating("layer_norm", x.spec)
    shape = _last_axes("layer_norm", x, normalized_shape)
    for argument, value in (("weight", weight), ("bias", bias)):
        _fitting("layer_norm", argument, value, shape, x)
    y, _, _ = standardize(x, tuple(range(-len(shape), 0)), eps)
    if weight is not None:
        y = y * as_tensor(weight)
    return y if bias is None else y + as_tensor(bias)


def rms_norm(
    input: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean x² + eps) · weight over the last axes (Zhang and Sennrich 2019); `eps` is by
    default the distance from 1 to the next number of the dtype."""
    x = as_tensor(input)
    require_floating("rms_norm", x.spec)
    shape = _last_axes("rms_norm", x, normalized_shape)
    _fitting("rms_norm", "weight", weight, shape, x)
    least = float(np.finfo(x.dtype).eps) if eps is None else as_number("rms_norm", "eps", eps, 0)
    mean_square = (x * x).mean(axis=tuple(range(-len(shape), 0)), keepdims=True)
    y = x * (mean_square + least) ** -0.5
    return y if weight is None else y * as_tensor(weight)
