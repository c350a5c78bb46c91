"""What the caches hold: lines fetched before their turn, and stores that go past them.

An ordinary store first reads the line that it overwrites, so a line can be claimed ahead of it.
Results too large to be found there again go past the caches: where the memory's bandwidth is the
limit that read is a third of all traffic of a pass, and what it displaces is lost for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from minigrad.kernels import buffers
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.simd import (
    ARRAY,
    INTEGER,
    VectorType,
    address,
    intrinsic,
    lanes,
    load,
    load_some,
    nothing,
    primitive,
    store,
    store_some,
)

__all__ = [
    "LINE",
    "claim",
    "drain",
    "examples",
    "fetch",
    "fetch_line",
    "part",
    "prefetch",
    "put",
    "streams",
    "write_past",
    "zeros",
]

LINE = 64
"""Bytes of a cache line: what streamed results are aligned to, whatever the vector's width."""

# Elements that a thread clears at a time.
CHUNK = 1 << 13

# From so many bytes on most of a result has left the caches before anybody reads it.
STREAMED = 1 << 23


def streams(out: np.ndarray) -> bool:
    """Whether this C-contiguous result is to be stored past the caches."""
    return out.nbytes >= STREAMED and out.__array_interface__["data"][0] % LINE == 0


def write_past(builder: Any, kind: VectorType, value: ir.Value, pointer: ir.Value) -> None:
    """A vector to memory, past the caches, aligned as it is wide."""
    instruction = builder.store(value, pointer)
    instruction.align = kind.lanes * kind.dtype.bitwidth // 8
    once = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
    instruction.set_metadata("nontemporal", once)


def stream(x: np.ndarray, i: int, v: np.ndarray) -> None:
    """x[i : i + lanes] = v, past the caches; must be aligned as the vector is."""
    x[i : i + lanes(x)] = v


@primitive(stream, nothing, ARRAY, INTEGER, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> None:
    kind, (pointer, i, value) = kinds[2], values
    write_past(builder, kind, value, address(builder, kind, pointer, i))


def drain(x: np.ndarray) -> None:
    """Let all streamed stores of this thread to x be seen before what follows."""


@primitive(drain, nothing, ARRAY)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> None:
    builder.fence("seq_cst")


@inner
def put(x: np.ndarray, i: int, v: np.ndarray, count: int, streamed: bool) -> None:
    """x[i : i + count] = the first `count` lanes of v, or all of them."""
    if count < lanes(x):
        store_some(x, i, v, count)
    elif streamed:
        stream(x, i, v)
    else:
        store(x, i, v)


@inner
def part(x: np.ndarray, i: int, count: int) -> np.ndarray:
    """x[i : i + count] and zeros, or all lanes from x[i] on."""
    return load(x, i) if count >= lanes(x) else load_some(x, i, count)


def fetch_line(builder: Any, pointer: ir.Value, write: bool = False) -> None:
    """Have a line of memory fetched: into the second cache to be read, or to be written."""
    # What for, how near (3 is the first cache), and that it is data.
    how = [ir.Constant(ir.IntType(32), number) for number in (int(write), 2 + write, 1)]
    byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    intrinsic(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, *how])


def prefetch(x: np.ndarray, i: int) -> None:
    """Have x[i] fetched into the second cache; changes nothing, wherever that is."""


@primitive(prefetch, nothing, ARRAY, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    fetch_line(builder, builder.gep(*values[:1], [values[1]]))


def claim(x: np.ndarray, i: int) -> None:
    """Have x[i] fetched to be written; changes nothing, wherever that is."""


@primitive(claim, nothing, ARRAY, INTEGER)
def _(builder: Any, kinds: Any, values: Any) -> None:
    fetch_line(builder, builder.gep(*values[:1], [values[1]]), write=True)


@inner
def fetch(x: np.ndarray, place: int, stop: int, lines: int) -> int:
    """Have so many lines fetched from x[place] on, as far as `stop`; returns where they end."""
    step = LINE // x.itemsize
    end = min(stop, place + lines * step)
    for i in range(place, end, step):
        prefetch(x, i)
    return max(place, end)


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """As `np.zeros`: recycled memory, cleared by all threads."""
    out = buffers.empty(shape, dtype)
    _clear(out.reshape(-1), streams(out))
    return out


@kernel(light=True)
def _clear(out: np.ndarray, streamed: bool) -> None:
    step, nothing = lanes(out), np.zeros(lanes(out), out.dtype)
    for job in prange((len(out) + CHUNK - 1) // CHUNK):
        stop = min(len(out), (job + 1) * CHUNK)
        for i in range(job * CHUNK, stop, step):
            put(out, i, load(nothing, 0), stop - i, streamed)
        drain(out)


def examples(dtype: np.dtype) -> Iterator[Callable[[], object]]:
    """A cleared array."""
    yield partial(zeros, (1,), dtype)
