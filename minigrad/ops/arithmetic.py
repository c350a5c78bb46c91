"""add, subtract, multiply, divide and power, of two inputs broadcast against each other."""

from __future__ import annotations

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.kernels import parallel
from minigrad.op import Call
from minigrad.ops.elementwise import (
    Elementwise,
    Gradients,
    Numeric,
    Ufunc,
    log,
    operands,
    require_numbers,
    where,
)
from minigrad.ops.movement import clone
from minigrad.spec import require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = [
    "add",
    "divide",
    "multiply",
    "positive",
    "pow",
    "power",
    "reciprocal",
    "square",
    "subtract",
]


def binary(op: Elementwise, x: Operand, y: Operand) -> Tensor:
    """Apply an elementwise op of two inputs."""
    z: Tensor = apply(op, *operands(op.name, x, y))
    return z


class Parallel(Numeric):
    """An op of two inputs that has a parallel kernel of its name for large arrays."""

    def forward(self, *inputs: Array) -> Array:
        return parallel.run(self.name, super().forward, *inputs)


class Add(Parallel):
    """z = x + y.  dz/dx = dz/dy = 1."""

    name = "add"
    ufunc = np.add

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        need_x, need_y = call.needs
        return cotangent if need_x else None, cotangent if need_y else None


def add(x: Operand, y: Operand) -> Tensor:
    """x + y, element by element."""
    return binary(Add(), x, y)


class Subtract(Parallel):
    """z = x - y.  dz/dx = 1, dz/dy = -1."""

    name = "subtract"
    ufunc = np.subtract

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        need_x, need_y = call.needs
        return cotangent if need_x else None, -cotangent if need_y else None


def subtract(x: Operand, y: Operand) -> Tensor:
    """x - y, element by element."""
    return binary(Subtract(), x, y)


class Multiply(Parallel):
    """z = x y.  dz/dx = y, dz/dy = x."""

    name = "multiply"
    ufunc = np.multiply
    reads_inputs = ((1,), (0,))

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        need_x, need_y = call.needs
        return cotangent * y if need_x else None, cotangent * x if need_y else None


def multiply(x: Operand, y: Operand) -> Tensor:
    """x y, element by element."""
    return binary(Multiply(), x, y)


class Divide(Ufunc):
    """z = x / y.  dz/dx = 1 / y, dz/dy = -z / y."""

    name = "divide"
    ufunc = np.divide
    reads_inputs = ((1,), (1,))
    reads_outputs = ((), (0,))

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        y, z = call.inputs[1], call.outputs[0]
        need_x, need_y = call.needs
        scaled = cotangent / y
        return scaled if need_x else None, -scaled * z if need_y else None


def divide(x: Operand, y: Operand) -> Tensor:
    """x / y, element by element, of floating-point arrays."""
    return binary(Divide(), x, y)


def square(x: Operand) -> Tensor:
    """x², element by element.  Its derivative is 2 x."""
    x = as_tensor(x)
    require_numbers("square", x.spec)
    return multiply(x, x)


def reciprocal(x: Operand) -> Tensor:
    """1 / x, element by element, of floating-point arrays.  Its derivative is -1 / x²."""
    x = as_tensor(x)
    require_floating("reciprocal", x.spec)
    return divide(1, x)


def positive(x: Operand) -> Tensor:
    """+x: the same numbers in a tensor of their own."""
    x = as_tensor(x)
    require_numbers("positive", x.spec)
    return clone(x)


class Power(Numeric):
    """z = x^y.  dz/dx = y x^(y - 1), which is 0 where y = 0;  dz/dy = z ln x, which is 0 where
    x = 0 and y >= 0 (its limit for y > 0), and NaN for x < 0, where real powers have none."""

    name = "power"
    ufunc = np.power
    reads_inputs = ((0, 1), (0, 1))
    reads_outputs = ((), (0,))
    flops = 10

    def forward(self, *inputs: Array) -> Array:
        x, y = inputs
        # NumPy's ** knows 2, 0.5 and -1 as cheap special cases, but only as Python numbers.
        return np.asarray(x ** y.item(), x.dtype) if y.ndim == 0 else super().forward(x, y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        z = call.outputs[0]
        need_x, need_y = call.needs
        by_x = by_y = None
        if need_x:
            # 0 · x⁻¹ would be NaN here; elsewhere the 0 of y has a derivative by y, so it stays.
            flat = (y == 0) & ((x.abs() < float(np.finfo(x.dtype).tiny)) | (x != x))
            by_x = where(flat, 0, cotangent * y * power(where(flat, 1, x), where(flat, 1, y - 1)))
        if need_y:
            limit = (x == 0) & (y >= 0)
            by_y = where(limit, 0, cotangent * z * log(where(limit, 1, x)))
        return by_x, by_y


def power(x: Operand, y: Operand) -> Tensor:
    """x to the power y, element by element. Integers take no negative exponents."""
    x, y = operands("power", x, y)
    if y.dtype.kind == "i" and not y.is_abstract and (y.detach().numpy() < 0).any():
        raise ArgumentError(
            f"power: {y.dtype} has no negative powers; convert with x.astype('float32')"
        )
    return binary(Power(), x, y)


pow = power
"""The array API standard's name of `power`."""
