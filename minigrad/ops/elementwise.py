"""What all elementwise ops share, and the ops of one input: negative, abs, exp, log, sqrt; where.

An elementwise op states its derivative as if all inputs had one shape (`vjp`); the base undoes
the broadcasting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import DtypeError
from minigrad.kernels import recycled
from minigrad.op import Call, Cost, Op, bytes_moved
from minigrad.ops.movement import unbroadcast
from minigrad.spec import FLOATING, Spec, broadcast_shapes, common_dtype, require_floating
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant

__all__ = ["abs", "exp", "log", "negative", "sqrt", "where"]

Gradients = tuple[Tensor | None, ...]


class Elementwise(Op):
    """y[i] = f(x1[i], x2[i], ...), the inputs broadcast against each other.

    A subclass states `vjp(call, cotangent)` instead of `backward`: one gradient an input, of the
    shape of the output. `floating_only` rejects integers, `flops` counts operations an element.
    """

    floating_only = False
    flops = 1

    def infer(self, *inputs: Spec) -> Spec:
        if self.floating_only:
            require_floating(self.name, *inputs)
        if inputs.count(inputs[0]) == len(inputs):
            return inputs[0]
        dtype = common_dtype(self.name, *inputs)
        return Spec.of(broadcast_shapes(self.name, *[x.shape for x in inputs]), dtype)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor | Gradients | None:
        """The gradients, before the sums over broadcast axes."""
        raise TypeError(f"{self.name} has no derivative")

    def backward(self, call: Call, cotangent: Tensor) -> Gradients:
        gradients = self.vjp(call, cotangent)
        if not isinstance(gradients, tuple):
            gradients = (gradients,)
        return tuple(
            [
                None if gradient is None else unbroadcast(gradient, spec.shape)
                for gradient, spec in zip(gradients, call.input_specs, strict=True)
            ]
        )

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, self.flops * outputs[0].size, bytes_moved(inputs, outputs))


class Ufunc(Elementwise):
    """y = f(x1, ...) of floating-point numbers, where NumPy's `ufunc` is f.

    What a subclass says of its derivative reads the input, unless it says otherwise.
    """

    floating_only = True
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ((0,),)
    ufunc: ClassVar[np.ufunc]

    def forward(self, *inputs: Array) -> Array:
        return recycled.call(self.ufunc, *inputs)


def require_numbers(op: str, spec: Spec) -> None:
    """Raise unless the dtype is one of numbers: floating-point or integers, not booleans."""
    if spec.dtype == np.bool_:
        raise DtypeError(f"{op}: takes numbers, got bool; convert with x.astype('int64')")


class Numeric(Ufunc):
    """An elementwise op of numbers, integers too. What a subclass says of its derivative reads
    nothing, unless it says otherwise."""

    floating_only = False
    reads_inputs: ClassVar[tuple[tuple[int, ...], ...]] = ()

    def infer(self, *inputs: Spec) -> Spec:
        spec = super().infer(*inputs)
        require_numbers(self.name, spec)
        return spec


def nothing_of(cotangent: Tensor) -> Tensor:
    """The gradient of what is constant: 0, also where the cotangent is infinite or NaN."""
    return where(constant(np.array(False)), cotangent, 0)


def operands(op: str, x: Operand, y: Operand) -> tuple[Tensor, Tensor]:
    """Both as tensors; a Python number takes the dtype of the other, if it is of that kind."""
    if isinstance(x, Tensor):
        return x, _like(op, y, x)
    if isinstance(y, Tensor):
        return _like(op, x, y), y
    x, y = (v if isinstance(v, (bool, int, float)) else as_tensor(v) for v in (x, y))
    if isinstance(x, Tensor) or isinstance(y, Tensor):
        return operands(op, x, y)
    x, y = (as_tensor(v) for v in (x, y))
    wider = x.dtype if "biuf".index(x.dtype.kind) >= "biuf".index(y.dtype.kind) else y.dtype
    return x.astype(wider), y.astype(wider)


def _like(op: str, value: Operand, other: Tensor) -> Tensor:
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (bool, int, float)):
        return as_tensor(value)
    dtype = other.dtype
    fits = dtype in FLOATING or isinstance(value, bool)
    if not fits and dtype.kind in "iu" and isinstance(value, int):
        fits = np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    if not fits:
        raise DtypeError(
            f"{op}: the number {value!r} is no {dtype}, and nothing is promoted silently; convert "
            "the tensor first, with x.astype('float32') for example"
        )
    try:
        with np.errstate(over="ignore"):
            return constant(np.array(value, dtype))
    except OverflowError:
        raise DtypeError(f"{op}: the number {value!r} is too large for {dtype}") from None


def unary(op: Elementwise, x: Operand) -> Tensor:
    """Apply an elementwise op of one input."""
    y: Tensor = apply(op, as_tensor(x))
    return y


class Negative(Numeric):
    """y = -x.  dy/dx = -1."""

    name = "negative"
    ufunc = np.negative

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return -cotangent


def negative(x: Operand) -> Tensor:
    """-x, element by element."""
    return unary(Negative(), x)


class Abs(Elementwise):
    """y = |x|.  dy/dx = sign(x), which is 0 at 0 (a subgradient)."""

    name = "abs"
    reads_inputs = ((0,),)

    def forward(self, x: Array) -> Array:
        return recycled.call(np.absolute, x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return where(x > 0, cotangent, where(x < 0, -cotangent, 0))


def abs(x: Operand) -> Tensor:
    """|x|, element by element; the gradient at 0 is 0."""
    return unary(Abs(), x)


class Exp(Ufunc):
    """y = e^x.  dy/dx = y."""

    name = "exp"
    ufunc = np.exp
    reads_inputs = ()
    reads_outputs = ((0,),)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent * call.outputs[0]


def exp(x: Operand) -> Tensor:
    """e^x, element by element."""
    return unary(Exp(), x)


class Log(Ufunc):
    """y = ln x.  dy/dx = 1 / x.  NaN for x < 0 and -inf at 0, as in NumPy."""

    name = "log"
    ufunc = np.log

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        return cotangent / call.inputs[0]


def log(x: Operand) -> Tensor:
    """The natural logarithm, element by element."""
    return unary(Log(), x)


class Sqrt(Ufunc):
    """y = sqrt(x).  dy/dx = 1 / (2 y), taken as 0 at 0."""

    name = "sqrt"
    ufunc = np.sqrt
    reads_inputs = ()
    reads_outputs = ((0,),)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (y,) = call.outputs
        zero = y == 0
        return where(zero, 0, cotangent / (2 * where(zero, 1, y)))


def sqrt(x: Operand) -> Tensor:
    """The square root, element by element; the gradient at 0 is 0."""
    return unary(Sqrt(), x)


class Where(Elementwise):
    """y = x1 where the condition holds, else x2. Each gradient is the cotangent where it was
    chosen, and 0 elsewhere."""

    name = "where"
    reads_inputs = ((), (0,), (0,))

    def infer(self, *inputs: Spec) -> Spec:
        condition, x1, x2 = inputs
        if condition.dtype != np.bool_:
            raise DtypeError(f"where: the condition takes bool, got {condition.dtype}")
        dtype = common_dtype("where", x1, x2)
        return Spec.of(broadcast_shapes("where", condition.shape, x1.shape, x2.shape), dtype)

    def forward(self, condition: Array, x1: Array, x2: Array) -> Array:
        return recycled.select(condition, x1, x2)

    def vjp(self, call: Call, cotangent: Tensor) -> Gradients:
        condition = call.inputs[0]
        _, need1, need2 = call.needs
        return (
            None,
            where(condition, cotangent, 0) if need1 else None,
            where(condition, 0, cotangent) if need2 else None,
        )


def where(condition: Operand, x1: Operand, x2: Operand) -> Tensor:
    """x1 where the boolean `condition` is true, x2 elsewhere, all three broadcast."""
    x1, x2 = operands("where", x1, x2)
    y: Tensor = apply(Where(), as_tensor(condition), x1, x2)
    return y


def is_number(value: Any) -> bool:
    """Whether an operator can take `value` as an operand."""
    return isinstance(value, (Tensor, np.ndarray, np.generic, bool, int, float, list, tuple))
