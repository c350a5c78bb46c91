"""Stochastic gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.kernels import buffers, parallel
from minigrad.kernels.recycled import combine
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.tensor import Array

LEAST = 1 << 15
"""Bytes of a parameter from which on one call of a kernel takes less time than NumPy's six."""


class SGD(Optimizer):
    """θ ← θ - lr d, with d = g + weight_decay θ and, with momentum μ, the velocity
    v ← μ v + (1 - dampening) d in its place, or d + μ v if `nesterov`.

    The velocity starts as d  (Sutskever et al. 2013, section 2, in PyTorch's form).
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "lr": (0, math.inf),
        "momentum": (0, math.inf),
        "dampening": (-math.inf, math.inf),
        "weight_decay": (0, math.inf),
    }
    entries: ClassVar[dict[str, bool]] = {"momentum_buffer": True}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                "SGD: nesterov takes a momentum above 0 and no dampening, got momentum="
                f"{momentum} and dampening={dampening}"
            )
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def update(self, value: Array, grad: Array, state: State, group: Group) -> Array:
        velocity = state.get("momentum_buffer")
        if velocity is not None and group["momentum"]:
            updated = _in_one_pass(value, grad, velocity, group)
            if updated is not None:
                value, state["momentum_buffer"] = updated
                return value
        decay = group["weight_decay"]
        direction = combine(1, grad, decay, value) if decay else grad
        momentum = group["momentum"]
        if momentum:
            velocity = state.get("momentum_buffer")
            if velocity is None:
                velocity = direction
            else:
                velocity = combine(momentum, velocity, 1 - group["dampening"], direction)
            state["momentum_buffer"] = velocity
            nesterov = group["nesterov"]
            direction = combine(1, direction, momentum, velocity) if nesterov else velocity
        result: Array = combine(1, value, -group["lr"], direction)
        return result


def _in_one_pass(
    value: Array, grad: Array, velocity: Array, group: Group
) -> tuple[Array, Array] | None:
    """The new value and velocity; None for what is not worth a kernel.

    That hangs on the size and the dtype alone, so that a run that is resumed with other layouts in
    memory rounds as if it had not been interrupted.
    """
    if value.nbytes < LEAST or value.dtype not in parallel.TYPES:
        return None
    order = parallel.dense_order(value.shape, value.strides, value.itemsize)
    if order is None:
        value = np.ascontiguousarray(value)
        order = tuple(range(value.ndim)), ()
    from minigrad.kernels import descent, streaming

    given = value, parallel.alike(grad, value), parallel.alike(velocity, value)
    flat = [x.transpose(order[0]).reshape(-1) for x in given]
    made = buffers.empty_like(value), buffers.empty_like(value)
    out = [x.transpose(order[0]).reshape(-1) for x in made]
    settings = group["weight_decay"], group["momentum"], 1 - group["dampening"], -group["lr"]
    numbers = np.array(settings, value.dtype)
    descent.descend(*flat, numbers, bool(group["nesterov"]), streaming.streams(out[0]), *out)
    return made
