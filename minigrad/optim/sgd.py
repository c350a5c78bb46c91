"""Stochastic gradient descent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from minigrad.errors import ArgumentError
from minigrad.kernels.recycled import combine
from minigrad.optim.one_pass import in_one_pass
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.tensor import Array, Tensor


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
    elementwise = True
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

    def overwrite(self, parameter: Tensor, grad: Array, state: State, group: Group) -> bool:
        from minigrad.kernels.descent import descend

        momentum, share = group["momentum"], 1 - group["dampening"]
        name = "momentum_buffer" if momentum else None
        if name not in state:
            share = 1
        sign = -1 if group["maximize"] else 1
        numbers = sign, group["weight_decay"], momentum, share, -group["lr"]
        in_one_pass(descend, parameter, grad, state, [name], numbers, bool(group["nesterov"]))
        return True

    def update(self, value: Array, grad: Array, state: State, group: Group) -> Array:
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
