"""One scale and one shift a channel, and the sums that their gradients are: one pass each.

The two ops are each other's derivatives. Batch normalization by given statistics is the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad import kernels
from minigrad.creation import zeros, zeros_like
from minigrad.errors import ShapeError
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.spec import Spec, common_dtype, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


def _require_channels(op: str, x: Spec, *by_channel: Spec) -> None:
    require_floating(op, x, *by_channel)
    common_dtype(op, x, *by_channel)
    if x.ndim < 2 or any(spec.shape != x.shape[1:2] for spec in by_channel):
        given = ", ".join(str(spec.shape) for spec in (x, *by_channel))
        raise ShapeError(f"{op}: takes x (N, C, ...) and values (C,), got shapes {given}")


class ChannelAffine(Op):
    """y = x s + t with one scale s and one shift t a channel (axis 1).
    dL/dx = s g,  dL/ds = Σ g x,  dL/dt = Σ g  over all axes but the channels, for g = dL/dy."""

    name = "channel_affine"
    reads_inputs = ((1,), (0,), ())

    def infer(self, x: Spec, scale: Spec, shift: Spec) -> Spec:
        _require_channels(self.name, x, scale, shift)
        return x

    def forward(self, x: Array, scale: Array, shift: Array) -> Array:
        return kernels.normalization.channel_affine(x, scale, shift) if x.size else x.copy()

    def backward(self, call: Call, g: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, _ = call.inputs
        by_x = by_scale = by_shift = None
        if call.needs[0]:
            by_x = channel_affine(g, scale, zeros_like(scale))
        if call.needs[1]:
            by_scale, by_shift = channel_sums(g, x)
        elif call.needs[2]:
            by_shift = g.sum(axis=(0, *range(2, g.ndim)))
        return by_x, by_scale, by_shift

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 2 * inputs[0].size, bytes_moved(inputs, outputs))


def channel_affine(x: Operand, scale: Operand, shift: Operand) -> Tensor:
    """x scale + shift for each channel of x (N, C, ...), scale and shift (C,), in one pass. Raises
    ShapeError, DtypeError."""
    y: Tensor = apply(ChannelAffine(), as_tensor(x), as_tensor(scale), as_tensor(shift))
    return y


class ChannelSums(Op):
    """P = Σ g x and Q = Σ g for each channel (axis 1), over all other axes.
    dL/dg = p x + q and dL/dx = p g  for p = dL/dP, q = dL/dQ."""

    name = "channel_sums"
    reads_inputs = ((1,), (0,))

    def infer(self, g: Spec, x: Spec) -> tuple[Spec, Spec]:
        _require_channels(self.name, g)
        _require_channels(self.name, x)
        if g != x:
            raise ShapeError(f"channel_sums: takes two arrays of one shape, got {g} and {x}")
        sums = Spec.of(x.shape[1:2], x.dtype)
        return sums, sums

    def forward(self, g: Array, x: Array) -> tuple[Array, Array]:
        if not x.size:
            return np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
        return kernels.normalization.channel_sums(g, x)

    def backward(self, call: Call, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        g, x = call.inputs
        channels = call.output_specs[0]
        p, q = (zeros(channels.shape, channels.dtype) if c is None else c for c in cotangents)
        by_g = channel_affine(x, p, q) if call.needs[0] else None
        return by_g, channel_affine(g, p, zeros_like(p)) if call.needs[1] else None

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, 3 * inputs[0].size, bytes_moved(inputs, outputs))


def channel_sums(g: Operand, x: Operand) -> tuple[Tensor, Tensor]:
    """Σ g x and Σ g, both (C,), for each channel of g and x (N, C, ...), in one pass. Raises
    ShapeError, DtypeError."""
    sums: tuple[Tensor, Tensor] = apply(ChannelSums(), as_tensor(g), as_tensor(x))
    return sums
