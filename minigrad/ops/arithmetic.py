"""add, subtract, multiply, divide and power, of two inputs broadcast against each other."""

from __future__ import annotations

import numpy as np

from minigrad.errors import ArgumentError, DtypeError
from minigrad.op import Call
from minigrad.ops.elementwise import Elementwise, Gradients, log, operands, where
from minigrad.ops.movement import clone
from minigrad.spec import Spec, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


class Arithmetic(Elementwise):
    """An elementwise op of two numbers."""

    def infer(self, *inputs: Spec) -> Spec:
        spec = super().infer(*inputs)
        if spec.dtype == np.bool_:
            raise DtypeError(
                f"{self.name}: takes numbers, got bool; convert with x.astype('int64')"
            )
        return spec


def binary(op: Elementwise, x: Operand, y: Operand) -> Tensor:
    """Apply an elementwise op of two inputs."""
    z: Tensor = apply(op, *operands(op.name, x, y))
    return z


class Add(Arithmetic):
    """z = x + y.  dz/dx = dz/dy = 1."""

    name = "add"

    def forward(self, x: Array, y: Array) -> Array:
        return np.add(x, y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        need_x, need_y = call.needs
        return cotangent if need_x else None, cotangent if need_y else None


def add(x: Operand, y: Operand) -> Tensor:
    """x + y, element by element."""
    return binary(Add(), x, y)


class Subtract(Arithmetic):
    """z = x - y.  dz/dx = 1, dz/dy = -1."""

    name = "subtract"

    def forward(self, x: Array, y: Array) -> Array:
        return np.subtract(x, y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        need_x, need_y = call.needs
        return cotangent if need_x else None, -cotangent if need_y else None


def subtract(x: Operand, y: Operand) -> Tensor:
    """x - y, element by element."""
    return binary(Subtract(), x, y)


class Multiply(Arithmetic):
    """z = x y.  dz/dx = y, dz/dy = x."""

    name = "multiply"
    reads_inputs = ((1,), (0,))

    def forward(self, x: Array, y: Array) -> Array:
        return np.multiply(x, y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        need_x, need_y = call.needs
        return cotangent * y if need_x else None, cotangent * x if need_y else None


def multiply(x: Operand, y: Operand) -> Tensor:
    """x y, element by element."""
    return binary(Multiply(), x, y)


class Divide(Arithmetic):
    """z = x / y.  dz/dx = 1 / y, dz/dy = -z / y."""

    name = "divide"
    floating_only = True
    reads_inputs = ((1,), (1,))
    reads_outputs = ((), (0,))

    def forward(self, x: Array, y: Array) -> Array:
        return np.divide(x, y)

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
    x = _number("square", x)
    return multiply(x, x)


def reciprocal(x: Operand) -> Tensor:
    """1 / x, element by element, of floating-point arrays.  Its derivative is -1 / x²."""
    x = as_tensor(x)
    require_floating("reciprocal", x.spec)
    return divide(1, x)


def positive(x: Operand) -> Tensor:
    """+x: the same numbers in a tensor of their own."""
    return clone(_number("positive", x))


def _number(op: str, x: Operand) -> Tensor:
    x = as_tensor(x)
    if x.dtype == np.bool_:
        raise DtypeError(f"{op}: takes numbers, got bool; convert with x.astype('int64')")
    return x


class Power(Arithmetic):
    """z = x^y.  dz/dx = y x^(y - 1), which is 0 where y = 0;  dz/dy = z ln x, which is 0 where
    x = 0 and y >= 0 (its limit for y > 0), and NaN for x < 0, where real powers have none."""

    name = "power"
    reads_inputs = ((0, 1), (0, 1))
    reads_outputs = ((), (0,))
    flops = 10

    def forward(self, x: Array, y: Array) -> Array:
        # NumPy's ** knows 2, 0.5 and -1 as cheap special cases, but only as Python numbers.
        return np.asarray(x ** y.item(), x.dtype) if y.ndim == 0 else np.power(x, y)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        x, y = call.inputs
        z = call.outputs[0]
        need_x, need_y = call.needs
        by_x = by_y = None
        if need_x:
            # 0 · x⁻¹ would be NaN here; elsewhere the 0 of y has a derivative by y, so it stays.
            flat = (y == 0) & (x.abs() < float(np.finfo(x.dtype).tiny))
            by_x = where(flat, 0, cotangent * y * power(where(flat, 1, x), where(flat, 1, y - 1)))
        if need_y:
            limit = (x == 0) & (y >= 0)
            by_y = where(limit, 0, cotangent * z * log(where(limit, 1, x)))
        return by_x, by_y


def power(x: Operand, y: Operand) -> Tensor:
    """x to the power y, element by element. Integers take no negative exponents."""
    x, y = operands("power", x, y)
    if y.dtype.kind == "i" and (y.numpy() < 0).any():
        raise ArgumentError(
            f"power: {y.dtype} has no negative powers; convert with x.astype('float32')"
        )
    return binary(Power(), x, y)
