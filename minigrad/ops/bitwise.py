"""Bits of integers; of booleans (except for the shifts) the logic. Nothing here has a gradient."""

from __future__ import annotations

import numpy as np

from minigrad.errors import DtypeError
from minigrad.ops.arithmetic import binary
from minigrad.ops.elementwise import Ufunc, unary
from minigrad.spec import Spec
from minigrad.tensor import Operand, Tensor

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
]


class Bitwise(Ufunc):
    """z = x ? y, bit by bit, of integers and of the dtypes in `kinds`; it has no derivative."""

    differentiable = False
    floating_only = False
    kinds = "biu"

    def infer(self, *inputs: Spec) -> Spec:
        for spec in inputs:
            if spec.dtype.kind not in self.kinds:
                taken = "integers or booleans" if "b" in self.kinds else "integers"
                raise DtypeError(f"{self.name}: takes {taken}, got {spec.dtype} of {spec.shape}")
        return super().infer(*inputs)


class BitwiseAnd(Bitwise):
    """z = the bits that x and y both have; of booleans x and y."""

    name = "bitwise_and"
    ufunc = np.bitwise_and


class BitwiseOr(Bitwise):
    """z = the bits that x or y has; of booleans x or y."""

    name = "bitwise_or"
    ufunc = np.bitwise_or


class BitwiseXor(Bitwise):
    """z = the bits that only one of x and y has; of booleans x ≠ y."""

    name = "bitwise_xor"
    ufunc = np.bitwise_xor


class BitwiseInvert(Bitwise):
    """y = the bits that x has not; of booleans not x. For signed integers -x - 1."""

    name = "bitwise_invert"
    ufunc = np.invert


class LeftShift(Bitwise):
    """z = x 2^y, without the bits that leave the dtype; 0 where y is negative or too large."""

    name = "bitwise_left_shift"
    ufunc = np.left_shift
    kinds = "iu"


class RightShift(Bitwise):
    """z = floor(x / 2^y); where y is negative or too large, 0, or -1 for x < 0."""

    name = "bitwise_right_shift"
    ufunc = np.right_shift
    kinds = "iu"


def bitwise_and(x1: Operand, x2: Operand) -> Tensor:
    """The bits that x1 and x2 both have, broadcast, of integers or booleans of one dtype."""
    return binary(BitwiseAnd(), x1, x2)


def bitwise_or(x1: Operand, x2: Operand) -> Tensor:
    """The bits that x1 or x2 has, broadcast, of integers or booleans of one dtype."""
    return binary(BitwiseOr(), x1, x2)


def bitwise_xor(x1: Operand, x2: Operand) -> Tensor:
    """The bits that only one of x1 and x2 has, broadcast, of integers or booleans of one dtype."""
    return binary(BitwiseXor(), x1, x2)


def bitwise_invert(x: Operand) -> Tensor:
    """The bits that x has not, element by element, of integers or booleans."""
    return unary(BitwiseInvert(), x)


def bitwise_left_shift(x1: Operand, x2: Operand) -> Tensor:
    """x1 shifted left by x2 bits, broadcast, of integers of one dtype."""
    return binary(LeftShift(), x1, x2)


def bitwise_right_shift(x1: Operand, x2: Operand) -> Tensor:
    """x1 shifted right by x2 bits, broadcast, of integers of one dtype; the sign stays."""
    return binary(RightShift(), x1, x2)
