"""Ops that subtract a mean and divide by a standard deviation: standardize, batch_normalize.

Both give the mean and the (biased) variance as further outputs: the backward pass reads them, and
running statistics are made of them. Sums run in float64, whatever the dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad import kernels
from minigrad.creation import ones_like, zeros_like
from minigrad.errors import ShapeError
from minigrad.kernels import recycled
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.channels import channel_affine, channel_sums
from minigrad.ops.movement import reshape
from minigrad.ops.number import as_number
from minigrad.spec import (
    Axis,
    Shape,
    Spec,
    common_dtype,
    normalize_axes,
    reduced_shape,
    require_floating,
    size_of,
)
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["batch_normalize", "standardize"]

Moments = tuple[Tensor, Tensor, Tensor]

FLOPS = 8
"""Operations an element: two sums, a difference, a square, a product, scale and shift."""


def _moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """x - mean, the mean and the variance, the last two with their axes kept at length 1."""
    mean = np.asarray(np.mean(x, axis=axes, keepdims=True, dtype=np.float64), x.dtype)
    centered = recycled.call(np.subtract, x, mean)
    square = recycled.call(np.square, centered)
    variance = np.asarray(np.mean(square, axis=axes, keepdims=True, dtype=np.float64), x.dtype)
    return centered, mean, variance


def _by_input(
    centered: Tensor, variance: Tensor, eps: float, axes: tuple[int, ...], cotangents: Sequence
) -> Tensor:
    """The gradient of (y, mean, variance) by x, for y = (x - mean) / sqrt(variance + eps).

    With r = 1 / sqrt(variance + eps), ŷ = (x - mean) r and n elements to a mean:

        dL/dx = r (g - mean g - ŷ mean(g ŷ)) + g_mean / n + 2 g_variance (x - mean) / n

    (Ioffe and Szegedy 2015, section 3, with their chain of derivatives multiplied out.)
    """
    by_y, by_mean, by_variance = cotangents
    count = size_of([centered.shape[axis] for axis in axes])
    constant_part, linear_part = by_mean, by_variance
    if constant_part is not None:
        constant_part = constant_part / count
    if linear_part is not None:
        linear_part = linear_part * (2 / count)
    if by_y is None:
        parts = [constant_part, None if linear_part is None else linear_part * centered]
        given = [part for part in parts if part is not None]
        total = given[0] if len(given) == 1 else given[0] + given[1]
        return total.expand(centered.shape)
    r = (variance + eps) ** -0.5
    shift = -(r * by_y.mean(axis=axes, keepdims=True))
    slope = -(r * r * r * (by_y * centered).mean(axis=axes, keepdims=True))
    shift = shift if constant_part is None else shift + constant_part
    slope = slope if linear_part is None else slope + linear_part
    result: Tensor = r * by_y + slope * centered + shift
    return result


@dataclass(frozen=True)
class Standardize(Op):
    """y = (x - m) / sqrt(v + ε) with the mean m and the biased variance v over the axes.

    Outputs y, m and v.  dL/dx = r (g - mean g - ŷ mean(g ŷ)) with r = 1 / sqrt(v + ε), ŷ = y;
    dm/dx = 1 / n, dv/dx = 2 (x - m) / n  (Ba et al. 2016, section 3).
    """

    name: ClassVar[str] = "standardize"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 2),)
    axes: tuple[int, ...]
    eps: float

    def infer(self, x: Spec) -> tuple[Spec, Spec, Spec]:
        require_floating("standardize", x)
        if any(x.shape[axis] == 0 for axis in self.axes):
            raise ShapeError(f"standardize: of nothing there is no mean: shape {x.shape}")
        moments = Spec.of(reduced_shape(x.shape, self.axes, True), x.dtype)
        return x, moments, moments

    def forward(self, x: Array) -> tuple[Array, Array, Array]:
        y, mean, variance = _moments(x, self.axes)
        y = np.multiply(y, (variance + x.dtype.type(self.eps)) ** x.dtype.type(-0.5))
        return y, mean, variance

    def backward(self, call: Call, *cotangents: Tensor | None) -> Tensor:
        (x,), (_, mean, variance) = call.inputs, call.outputs
        return _by_input(x - mean, variance, self.eps, self.axes, cotangents)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, FLOPS * inputs[0].size, bytes_moved(inputs, outputs))


def standardize(x: Operand, axis: Axis = None, eps: float = 1e-5) -> Moments:
    """(x - mean) / sqrt(variance + eps) over `axis`, and the mean and the biased variance, these
    with their axes kept at length 1. Raises ShapeError where there is nothing to take a mean of.
    """
    x = as_tensor(x)
    axes = normalize_axes("standardize", axis, x.ndim)
    moments: Moments = apply(Standardize(axes, as_number("standardize", "eps", eps, 0)), x)
    return moments


@dataclass(frozen=True)
class BatchNormalize(Op):
    """y = w (x - m) / sqrt(v + ε) + b, where m, v, w and b have one value a channel (axis 1), the
    mean and the biased variance are taken over all other axes (Ioffe and Szegedy 2015, alg. 1).

    Outputs y, m and v.  With r = 1 / sqrt(v + ε), x̂ = (x - m) r and g = dL/dy:
    dL/db = Σ g,  dL/dw = Σ g x̂,  dL/dx = w r (g - mean g - x̂ mean(g x̂)).
    """

    name: ClassVar[str] = "batch_normalize"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 1), (0, 1), ())
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 2), (1, 2), ())
    eps: float

    def infer(self, x: Spec, weight: Spec, bias: Spec) -> tuple[Spec, Spec, Spec]:
        require_floating("batch_normalize", x, weight, bias)
        common_dtype("batch_normalize", x, weight, bias)
        channels = x.shape[1:2]
        if x.ndim < 2 or weight.shape != channels or bias.shape != channels:
            raise ShapeError(
                "batch_normalize: takes x (N, C, ...) and one weight and bias a channel, got "
                f"shapes {x.shape}, {weight.shape} and {bias.shape}"
            )
        if x.size == 0:
            raise ShapeError(f"batch_normalize: of nothing there is no mean: shape {x.shape}")
        return x, Spec.of(channels, x.dtype), Spec.of(channels, x.dtype)

    def forward(self, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
        return kernels.normalization.batch_norm(x, weight, bias, self.eps)

    def backward(self, call: Call, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        (x, weight, _), (_, mean, variance) = call.inputs, call.outputs
        by_y, *by_moments = cotangents
        by_x = by_weight = by_bias = None
        if by_y is not None and (call.needs[0] or call.needs[1]):
            op = BatchNormalizeBackward(self.eps)
            by_x, by_weight, by_bias = apply(op, by_y, x, weight, mean, variance)
        elif by_y is not None:
            by_bias = by_y.sum(axis=_all_but_channels(by_y.ndim))
        if call.needs[0] and by_moments != [None, None]:
            ndim = x.ndim
            given = [None if c is None else channelwise(c, ndim) for c in by_moments]
            centered, spread = x - channelwise(mean, ndim), channelwise(variance, ndim)
            axes = _all_but_channels(ndim)
            more = _by_input(centered, spread, self.eps, axes, [None, *given])
            by_x = more if by_x is None else by_x + more
        return by_x, by_weight, by_bias

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, FLOPS * inputs[0].size, bytes_moved(inputs, outputs))


def batch_normalize(x: Operand, weight: Operand, bias: Operand, eps: float = 1e-5) -> Moments:
    """x (N, C, ...) normalized over all axes but the channels, times `weight`, plus `bias`, both
    (C,); and the mean and the biased variance, both (C,). Raises ShapeError, DtypeError."""
    op = BatchNormalize(as_number("batch_normalize", "eps", eps, 0))
    moments: Moments = apply(op, as_tensor(x), as_tensor(weight), as_tensor(bias))
    return moments


@dataclass(frozen=True)
class BatchNormalizeBackward(Op):
    """The gradients of y of `batch_normalize` by x, w and b, given g = dL/dy, and m and v.

    With r = 1 / sqrt(v + ε), d = x - m, G = Σ g, S = Σ g d and n elements to a channel:
    dx = w r (g - G / n - r² d S / n),  dw = r S,  db = G.  Its own gradient takes g, x, w, m and v
    as independent. For cotangents u, p, q of the three, and U = Σ u, T = Σ u d, a = w r:

        by g:  a (u - U / n - r² T d / n) + p r d + q
        by x:  p r g - a r² (S u + T g) / n,  and by m: minus its sum over the channel
        by w:  r K,  where K = Σ u g - U G / n - r² T S / n
        by v:  -r³ / 2 (w K - 2 a r T S / n + p S)
    """

    name: ClassVar[str] = "batch_normalize_backward"
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 1, 2, 3, 4),) * 5
    eps: float

    def infer(self, grad: Spec, x: Spec, *by_channel: Spec) -> tuple[Spec, Spec, Spec]:
        require_floating(self.name, grad, x, *by_channel)
        common_dtype(self.name, grad, x, *by_channel)
        if x.ndim < 2 or grad != x or any(spec.shape != x.shape[1:2] for spec in by_channel):
            given = ", ".join(str(spec.shape) for spec in (grad, x, *by_channel))
            raise ShapeError(
                f"{self.name}: takes a gradient of the shape of x (N, C, ...), and weight, mean "
                f"and variance (C,), got shapes {given}"
            )
        return x, by_channel[0], by_channel[0]

    def forward(
        self, grad: Array, x: Array, weight: Array, mean: Array, variance: Array
    ) -> tuple[Array, Array, Array]:
        return kernels.normalization.batch_norm_backward(grad, x, weight, mean, variance, self.eps)

    def backward(self, call: Call, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        g, x, weight, mean, variance = call.inputs
        zero = zeros_like(mean)
        u = zeros_like(x) if cotangents[0] is None else cotangents[0]
        p, q = (zero if c is None else c for c in cotangents[1:])
        n = x.size // mean.size
        r = (variance + self.eps) ** -0.5
        a = weight * r
        d = channel_affine(x, ones_like(mean), -mean)
        T, U = channel_sums(u, d)
        S, G = channel_sums(g, d)
        K = channel_sums(u, g)[0] - (U * G + r * r * T * S) / n
        slope = p * r - a * r * r * T / n
        by_g = channel_affine(u, a, q - a * U / n) + channel_affine(d, slope, zero)
        by_x = channel_affine(u, -(a * r * r * S / n), zero) + channel_affine(g, slope, zero)
        by_mean = a * r * r * S * U / n - slope * G
        by_variance = -(r**3) / 2 * (weight * K - 2 * a * r * T * S / n + p * S)
        return by_g, by_x, r * K, by_mean, by_variance

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, FLOPS * inputs[0].size, bytes_moved(inputs, outputs))


def _all_but_channels(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def channelwise(values: Tensor, ndim: int) -> Tensor:
    """Values (C,) in the shape (1, C, 1, ...) that broadcasts along axis 1 of `ndim` axes."""
    shape: Shape = (1, values.size, *[1] * (ndim - 2))
    return reshape(values, shape)
