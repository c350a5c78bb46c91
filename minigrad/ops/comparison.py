"""Comparisons and the logic on what they give: boolean results, hence no gradient."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minigrad.errors import DtypeError
from minigrad.kernels import recycled
from minigrad.ops.elementwise import Elementwise, operands
from minigrad.spec import Spec
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


class Comparison(Elementwise):
    """z = (x ? y), boolean; piecewise constant, so there is no gradient."""

    differentiable = False
    ufunc: ClassVar[np.ufunc]

    def infer(self, *inputs: Spec) -> Spec:
        return Spec.of(super().infer(*inputs).shape, np.dtype("bool"))

    def forward(self, *inputs: Array) -> Array:
        return recycled.call(self.ufunc, *inputs, dtype=np.bool_)


class Equal(Comparison):
    """z = (x = y)."""

    name = "equal"
    ufunc = np.equal


class NotEqual(Comparison):
    """z = (x ≠ y)."""

    name = "not_equal"
    ufunc = np.not_equal


class Less(Comparison):
    """z = (x < y)."""

    name = "less"
    ufunc = np.less


class LessEqual(Comparison):
    """z = (x ≤ y)."""

    name = "less_equal"
    ufunc = np.less_equal


class Greater(Comparison):
    """z = (x > y)."""

    name = "greater"
    ufunc = np.greater


class GreaterEqual(Comparison):
    """z = (x ≥ y)."""

    name = "greater_equal"
    ufunc = np.greater_equal


class Logical(Comparison):
    """z = x ? y of truth values."""

    def infer(self, *inputs: Spec) -> Spec:
        for spec in inputs:
            if spec.dtype != np.bool_:
                raise DtypeError(f"{self.name}: takes bool, got {spec.dtype}")
        return super().infer(*inputs)


class LogicalAnd(Logical):
    """z = x and y."""

    name = "logical_and"
    ufunc = np.logical_and


class LogicalOr(Logical):
    """z = x or y."""

    name = "logical_or"
    ufunc = np.logical_or


class LogicalXor(Logical):
    """z = either x or y."""

    name = "logical_xor"
    ufunc = np.logical_xor


class LogicalNot(Logical):
    """z = not x."""

    name = "logical_not"
    ufunc = np.logical_not


def _compare(op: Comparison, x: Operand, y: Operand) -> Tensor:
    z: Tensor = apply(op, *operands(op.name, x, y))
    return z


def equal(x: Operand, y: Operand) -> Tensor:
    """x = y, element by element."""
    return _compare(Equal(), x, y)


def not_equal(x: Operand, y: Operand) -> Tensor:
    """x ≠ y, element by element."""
    return _compare(NotEqual(), x, y)


def less(x: Operand, y: Operand) -> Tensor:
    """x < y, element by element."""
    return _compare(Less(), x, y)


def less_equal(x: Operand, y: Operand) -> Tensor:
    """x ≤ y, element by element."""
    return _compare(LessEqual(), x, y)


def greater(x: Operand, y: Operand) -> Tensor:
    """x > y, element by element."""
    return _compare(Greater(), x, y)


def greater_equal(x: Operand, y: Operand) -> Tensor:
    """x ≥ y, element by element."""
    return _compare(GreaterEqual(), x, y)


def logical_and(x: Operand, y: Operand) -> Tensor:
    """x and y, element by element, of booleans."""
    return _compare(LogicalAnd(), x, y)


def logical_or(x: Operand, y: Operand) -> Tensor:
    """x or y, element by element, of booleans."""
    return _compare(LogicalOr(), x, y)


def logical_xor(x: Operand, y: Operand) -> Tensor:
    """Either x or y, element by element, of booleans."""
    return _compare(LogicalXor(), x, y)


def logical_not(x: Operand) -> Tensor:
    """not x, element by element, of booleans."""
    z: Tensor = apply(LogicalNot(), as_tensor(x))
    return z
