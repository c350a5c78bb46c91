"""Ops that draw random numbers: dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.op import Call, Op
from minigrad.ops.elementwise import where
from minigrad.random import Draw, generator, next_draw
from minigrad.spec import Spec, bool_, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = ["dropout"]


@dataclass(frozen=True)
class Dropout(Op):
    """y = m x / (1 - p), where m is 0 with probability p and 1 else (Srivastava et al. 2014).

    dy/dx = m / (1 - p). The mask m follows from `draw`; the op keeps it as one byte an element.
    """

    name: ClassVar[str] = "dropout"
    reads_outputs: ClassVar[tuple[tuple[int, ...], ...]] = ((1,),)
    p: float
    draw: Draw

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        require_floating("dropout", x)
        return x, Spec.of(x.shape, bool_)

    def forward(self, x: Array) -> tuple[Array, Array]:
        kept = generator(self.draw).random(x.shape, dtype=np.float32) >= self.p
        return np.where(kept, x * x.dtype.type(self._scale), x.dtype.type(0)), kept

    def backward(self, call: Call, cotangent: Tensor, _: Tensor | None) -> Tensor:
        return where(call.outputs[1], cotangent * self._scale, 0)

    @property
    def _scale(self) -> float:
        return 1 / (1 - self.p) if self.p < 1 else 0.0


def dropout(input: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """In training, zero each element with probability p and scale the others by 1 / (1 - p)."""
    x = as_tensor(input)
    if not isinstance(p, (int, float, np.number)) or not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p is a probability between 0 and 1, got {p!r}")
    if not training or p == 0:
        return x
    y, _ = apply(Dropout(float(p), next_draw()), x)
    return y
