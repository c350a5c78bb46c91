"""Adam, and AdamW, which decays the weights apart from the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from minigrad.kernels.recycled import call, combine
from minigrad.optim.one_pass import in_one_pass
from minigrad.optim.optimizer import Group, Optimizer, State
from minigrad.tensor import Array, Tensor


class Adam(Optimizer):
    """θ ← θ - lr m̂ / (sqrt(v̂) + eps), with the running means m of the gradient and v of its
    square, corrected for their start at zero: m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ).

    `weight_decay` adds weight_decay θ to the gradient; `amsgrad` takes the largest v so far
    (Kingma and Ba 2015, algorithm 1; Reddi et al. 2018, algorithm 2).
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "lr": (0, math.inf),
        "betas": (0, 1),
        "eps": (0, math.inf),
        "weight_decay": (0, math.inf),
    }
    pairs: ClassVar[tuple[str, ...]] = ("betas",)
    elementwise = True
    entries: ClassVar[dict[str, bool]] = {
        "step": True,
        "exp_avg": True,
        "exp_avg_sq": True,
        "max_exp_avg_sq": False,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def overwrite(self, parameter: Tensor, grad: Array, state: State, group: Group) -> bool:
        from minigrad.kernels.descent import adapt

        step = state.get("step", 0) + 1
        beta1, beta2 = group["betas"]
        sign = -1 if group["maximize"] else 1
        rate, spread = -group["lr"] / (1 - beta1**step), math.sqrt(1 - beta2**step)
        means = beta1, 1 - beta1, beta2, 1 - beta2
        numbers = sign, *self.decays(group), rate, *means, spread, group["eps"]
        names = "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["amsgrad"] else None
        in_one_pass(adapt, parameter, grad, state, names, numbers, bool(group["amsgrad"]))
        state["step"] = step
        return True

    def decays(self, group: Group) -> tuple[float, float]:
        """How much of the value is added to the gradient, and how much is left of the value."""
        return group["weight_decay"], 1

    def update(self, value: Array, grad: Array, state: State, group: Group) -> Array:
        decay, left = self.decays(group)
        if decay:
            grad = combine(1, grad, decay, value)
        if left != 1:
            value = call(np.multiply, value, left)
        if not state:
            state |= {
                "step": 0,
                "exp_avg": np.zeros_like(value),
                "exp_avg_sq": np.zeros_like(value),
            }
        beta1, beta2 = group["betas"]
        state["step"] = step = state["step"] + 1
        state["exp_avg"] = mean = combine(beta1, state["exp_avg"], 1 - beta1, grad)
        squared = call(np.square, grad)
        state["exp_avg_sq"] = square = combine(beta2, state["exp_avg_sq"], 1 - beta2, squared)
        if group["amsgrad"]:
            largest = state.get("max_exp_avg_sq", 0)
            state["max_exp_avg_sq"] = square = call(np.maximum, largest, square)
        root = call(np.sqrt, square)
        root /= math.sqrt(1 - beta2**step)
        root += group["eps"]
        change = call(np.multiply, mean, group["lr"] / (1 - beta1**step))
        change /= root
        result: Array = call(np.subtract, value, change)
        return result


class AdamW(Adam):
    """Adam with θ ← θ - lr weight_decay θ before each step, in place of a term in the gradient
    (Loshchilov and Hutter 2019, algorithm 2)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def decays(self, group: Group) -> tuple[float, float]:
        return 0, 1 - group["lr"] * group["weight_decay"]
