"""Elementwise functions over flat memory: one parallel pass, large results past the caches.

For arrays that are worth it and lie in memory alike; `parallel` decides which those are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from llvmlite import ir

from minigrad.kernels.exponential import exp
from minigrad.kernels.jit import Kernel, inner, kernel, prange
from minigrad.kernels.simd import VectorType, lanes, primitive
from minigrad.kernels.streaming import drain, part, put

__all__ = ["KERNELS", "examples"]

# Elements that a thread takes at a time: a multiple of every vector's lanes.
CHUNK = 1 << 12


def positive_part(v: np.ndarray) -> np.ndarray:
    """0 where v < 0, else v: NaN stays NaN."""
    return np.where(v < 0, 0, v)


@primitive(positive_part, lambda v: v, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    zero = ir.Constant(kinds[0].llvm, None)
    return builder.select(builder.fcmp_ordered("<", values[0], zero), zero, values[0])


def where_positive(y: np.ndarray, g: np.ndarray) -> np.ndarray:
    """g where y > 0, else 0."""
    return np.where(y > 0, g, 0)


@primitive(where_positive, lambda y, g: g, VectorType, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    zero = ir.Constant(kinds[0].llvm, None)
    return builder.select(builder.fcmp_ordered(">", values[0], zero), values[1], zero)


def below_zero(v: np.ndarray) -> np.ndarray:
    """-|v|; NaN stays NaN."""
    return -np.abs(v)


@primitive(below_zero, lambda v: v, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    (v,), zero = values, ir.Constant(kinds[0].llvm, None)
    return builder.select(builder.fcmp_ordered(">", v, zero), builder.fsub(zero, v), v)


def share(v: np.ndarray, e: np.ndarray) -> np.ndarray:
    """1 / (1 + e) where v > 0, else e / (1 + e)."""
    return np.where(v > 0, 1, e) / (1 + e)


@primitive(share, lambda v, e: v, VectorType, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    (v, e), kind = values, kinds[0]
    zero, one = ir.Constant(kind.llvm, None), ir.Constant(kind.llvm, [1.0] * kind.lanes)
    part_of = builder.select(builder.fcmp_ordered(">", v, zero), one, e)
    return builder.fdiv(part_of, builder.fadd(one, e))


@inner
def _sigmoid(x: np.ndarray) -> np.ndarray:
    return share(x, exp(below_zero(x)))


@inner
def _sigmoid_backward(y: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * (y - y * y)


@inner
def _tanh_backward(y: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g - g * (y * y)


@inner
def _sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x + y


@inner
def _difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x - y


@inner
def _product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * y


def _unary(name: str, function: Callable[..., np.ndarray]) -> Kernel:
    @kernel(name=f"elementwise.{name}", light=True)
    def run(x: np.ndarray, out: np.ndarray, streamed: bool) -> None:
        step = lanes(x)
        for job in prange((len(x) + CHUNK - 1) // CHUNK):
            stop = min(len(x), (job + 1) * CHUNK)
            for i in range(job * CHUNK, stop, step):
                put(out, i, function(part(x, i, stop - i)), stop - i, streamed)
            drain(out)

    return run


def _binary(name: str, function: Callable[..., np.ndarray]) -> Kernel:
    @kernel(name=f"elementwise.{name}", light=True)
    def run(x: np.ndarray, y: np.ndarray, out: np.ndarray, streamed: bool) -> None:
        step = lanes(x)
        for job in prange((len(x) + CHUNK - 1) // CHUNK):
            stop = min(len(x), (job + 1) * CHUNK)
            for i in range(job * CHUNK, stop, step):
                count = stop - i
                put(out, i, function(part(x, i, count), part(y, i, count)), count, streamed)
            drain(out)

    return run


KERNELS = {
    "add": _binary("add", _sum),
    "subtract": _binary("subtract", _difference),
    "multiply": _binary("multiply", _product),
    "relu": _unary("relu", positive_part),
    "relu_backward": _binary("relu_backward", where_positive),
    "sigmoid": _unary("sigmoid", _sigmoid),
    "sigmoid_backward": _binary("sigmoid_backward", _sigmoid_backward),
    "tanh_backward": _binary("tanh_backward", _tanh_backward),
}
"""By name: `kernel(x, [y,] out, streamed)` over flat arrays of one length and dtype."""


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A call of each."""
    x = np.zeros(1, dtype)
    for name, run in KERNELS.items():
        inputs = (x,) if name in ("relu", "sigmoid") else (x, x)
        yield partial(run, *inputs, np.zeros_like(x), False)
