"""Runs kernels with every array they are given flush against pages that nobody may touch.

Run as a program, with the number of cases of every kind to draw, and "few" for few kernels or
"all": it prints how often which of them were entered. An access outside of an array ends the
process with a signal.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from convolution_cases import Case, check, draw_each, drawn
from few_tilings import few_tilings
from hypothesis import given
from hypothesis import strategies as st
from test_pooling_kernels import poolings

from minigrad.errors import ShapeError
from minigrad.kernels import (
    buffers,
    channels,
    descent,
    elementwise,
    normalization,
    pooling,
    products,
    response,
    softmax,
)
from minigrad.kernels.jit import Kernel
from minigrad.kernels.warmup import example_calls, modules

EDGES = "end", "begin"
PAGE = mmap.PAGESIZE
FORBIDDEN = 0  # PROT_NONE

enter = Kernel.__call__
libc = ctypes.CDLL(None, use_errno=True)


def guarded(nbytes: int, edge: str) -> np.ndarray:
    """So many bytes that end, or begin, where a forbidden page does; one lies on either side."""
    inside = max(PAGE, -(-nbytes // PAGE) * PAGE)
    memory = mmap.mmap(-1, inside + 2 * PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in first, first + PAGE + inside:
        if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), FORBIDDEN):
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = PAGE + (inside - nbytes if edge == "end" else 0)
    return np.ndarray(nbytes, np.uint8, memory, offset)


class Placed:
    """Copies of arrays at an edge; arrays that share memory share it there too."""

    def __init__(self, edge: str) -> None:
        self.edge = edge
        self.blocks: list[tuple[int, int, np.ndarray]] = []  # first and last address, and the copy

    def place(self, array: np.ndarray) -> np.ndarray:
        first = array.__array_interface__["data"][0]
        last = first + array.nbytes
        for start, stop, copy in self.blocks:
            if start <= first and last <= stop and array.nbytes:
                return self._view(copy[first - start : last - start], array)
            assert last <= start or stop <= first or not array.nbytes, "arguments overlap in part"
        copy = guarded(array.nbytes, self.edge)
        if array.nbytes:
            self.blocks.append((first, last, copy))
        placed = self._view(copy, array)
        placed[...] = array
        return placed

    @staticmethod
    def _view(memory: np.ndarray, array: np.ndarray) -> np.ndarray:
        return np.ndarray(array.shape, array.dtype, memory)


class Guards:
    """What kernels were entered how often while their arguments were guarded."""

    def __init__(self) -> None:
        self.entries: Counter[str] = Counter()
        self.edge = EDGES[0]

    def call(self, kernel: Kernel, *arguments: Any) -> None:
        """In place of a kernel's call: the same in guarded memory, and the results copied back."""
        placed = Placed(self.edge)
        # The largest first: a part of an array is then found in it.
        order = sorted(
            [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)],
            key=lambda i: -arguments[i].nbytes,
        )
        passed = list(arguments)
        for i in order:
            passed[i] = placed.place(np.ascontiguousarray(arguments[i]))
        enter(kernel, *passed)
        for i in order:
            if arguments[i].flags.writeable:
                arguments[i][...] = passed[i]
        self.entries[kernel.name] += 1


@contextmanager
def guards() -> Iterator[Guards]:
    """Guarded arguments for all kernels, and fresh memory that is full of NaN."""
    made, empty = Guards(), buffers.Pool.empty

    def filled(pool: buffers.Pool, shape: Any, dtype: Any) -> np.ndarray:
        out = empty(pool, shape, dtype)
        out.fill(np.nan if out.dtype.kind == "f" else 127)
        return out

    Kernel.__call__ = lambda kernel, *arguments: made.call(kernel, *arguments)
    buffers.Pool.empty = filled
    try:
        yield made
    finally:
        Kernel.__call__ = enter
        buffers.Pool.empty = empty


def _bits(result: Any) -> list[bytes]:
    parts = result if isinstance(result, tuple) else (result,)
    return [part.tobytes() for part in parts]


def at_both_edges(watch: Guards, calls: list[Callable[[], Any]]) -> None:
    """Each call gives the same bits at both edges: it reads nothing but its arguments."""
    for call in calls:
        results = []
        for watch.edge in EDGES:
            results.append(_bits(call()))
        assert results[0] == results[1]


def pooling_calls(case: dict[str, Any]) -> list[Callable[[], Any]]:
    """Every entry to the kernels of poolings."""
    x, grad, windows = case["x"], case["grad"], case["windows"]
    calls: list[Callable[[], Any]] = [
        lambda: pooling.avg_pool(x, windows),
        lambda: pooling.avg_pool_backward(grad, windows),
    ]
    try:
        _, taps = pooling.max_pool(x, windows)
    except ShapeError:  # a window with padding alone
        return calls
    return [
        *calls,
        lambda: pooling.max_pool(x, windows),
        lambda: pooling.max_pool_backward(grad, taps, windows),
        lambda: pooling.max_pool_gather(x, taps, windows),
        lambda: pooling.max_pool_indices(taps, windows),
    ]


@st.composite
def images(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays (N, C, ...), none of them empty."""
    channels = st.one_of(st.integers(1, 70), st.sampled_from([128, 500, 513, 1030]))
    shape = draw(st.integers(1, 3)), draw(channels), *draw(st.lists(st.integers(1, 9), max_size=2))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x, grad = rng.normal(size=(2, *shape)).astype(dtype)
    return x, grad


def image_calls(x: np.ndarray, grad: np.ndarray, size: int) -> list[Callable[[], Any]]:
    """Normalizations, softmax and elementwise functions."""
    C, flat = x.shape[1], (x.reshape(-1), grad.reshape(-1))
    weight, bias = np.abs(x[0].reshape(C, -1)[:, 0]) + 1, grad[0].reshape(C, -1)[:, 0]
    classes = np.arange(x.size // C).reshape(len(x), *x.shape[2:]) % C
    calls: list[Callable[[], Any]] = [
        lambda: normalization.batch_norm(x, weight, bias, 1e-5),
        lambda: normalization.batch_norm_backward(grad, x, weight, bias, weight, 1e-5),
        lambda: normalization.channel_affine(x, weight, bias),
        lambda: normalization.channel_sums(grad, x),
        lambda: response.local_response_norm(x, size, 1e-2, 0.75, 2.0),
        lambda: response.local_response_norm_backward(grad, x, size, 1e-2, 0.6, 2.0),
        lambda: softmax.softmax(x, 1),
        lambda: softmax.log_softmax(x, -1),
        lambda: softmax.cross_entropy(x, classes),
        lambda: channels.sums(flat[0], C),
        lambda: descended(*flat),
        lambda: adapted(*flat),
    ]
    for name, run in elementwise.KERNELS.items():
        inputs = flat[: 1 if name in ("relu", "sigmoid") else 2]
        calls.append(lambda run=run, inputs=inputs: elementwise_result(run, *inputs))
    return calls


def product_calls(x: np.ndarray, grad: np.ndarray, size: int) -> list[Callable[[], Any]]:
    """Matrix products a little larger than a tile, of either layout."""
    rows, columns = products.FORM.rows + size, products.FORM.columns(x.dtype) + size
    a, b = np.resize(x, (rows, size)), np.resize(grad, (size, columns))
    turned = np.asfortranarray(a), np.asfortranarray(b)
    pairs = (a, b), (turned[0], b), (a, turned[1])
    return [partial(products.product, *pair) for pair in pairs]


def descended(value: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, ...]:
    """What a step of gradient descent writes."""
    numbers = np.array([-1, 0.1, 0.9, 1, -0.1], value.dtype)
    return stepped(descent.descend, value, grad, [grad[::-1].copy()], numbers)


def adapted(value: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, ...]:
    """What a step of Adam writes."""
    numbers = np.array([-1, 0.1, 0.9, -0.1, 0.9, 0.1, 0.8, 0.2, 0.5, 1e-3], value.dtype)
    averages = [value[::-1].copy(), np.abs(grad), grad**2]
    return stepped(descent.adapt, value, grad, averages, numbers)


def stepped(
    run: Kernel, value: np.ndarray, grad: np.ndarray, old: list[np.ndarray], numbers: np.ndarray
) -> tuple[np.ndarray, ...]:
    """What a step writes elsewhere, which is what it writes over the old."""
    new = [np.full_like(x, np.nan) for x in (value, *old)]
    run(value, grad, *old, numbers, True, False, *new)
    over = [x.copy() for x in (value, *old)]
    run(over[0], grad, *over[1:], numbers, True, False, *over)
    for elsewhere, here in zip(new, over, strict=True):
        np.testing.assert_array_equal(elsewhere, here)
    return tuple(new)


def elementwise_result(run: Kernel, *inputs: np.ndarray) -> np.ndarray:
    """What an elementwise kernel writes."""
    out = np.full_like(inputs[0], np.nan)
    run(*inputs, out, False)
    return out


def draw_all(watch: Guards, count: int, few: bool) -> Counter[str]:
    """So many convolutions of every kind, and eight times as many of the rest; returns how many
    there were."""
    counts: Counter[str] = Counter()

    def run_convolution(case: Case) -> None:
        for watch.edge in EDGES:
            check(case, counts)

    @drawn(8 * count)
    @given(case=poolings(dilated=True))
    def run_poolings(case: dict[str, Any]) -> None:
        counts["pooling"] += 1
        at_both_edges(watch, pooling_calls(case))

    @drawn(8 * count)
    @given(pair=images(), size=st.integers(1, 9))
    def run_images(pair: tuple[np.ndarray, np.ndarray], size: int) -> None:
        counts["normalization and elementwise"] += 1
        at_both_edges(watch, image_calls(*pair, size) + product_calls(*pair, size))

    draw_each(count, run_convolution, few)
    run_poolings()
    run_images()
    return counts


def main(count: int, few: bool) -> None:
    """Draw, and where all kernels are wanted take the example of each too."""
    loaded = list(modules())
    with guards() as watch, few_tilings() if few else nullcontext():
        counts = draw_all(watch, count, few)
        for _, call in [] if few else example_calls(np.float32, np.float64):
            for watch.edge in EDGES:
                call()
    known = {o.name for o in gc.get_objects() if isinstance(o, Kernel)}
    print("cases:", counts.total(), dict(counts))
    print("entries:", watch.entries.total())
    print("kernels:", len(watch.entries), "of", len(known), "in", len(loaded), "modules")
    print("never entered:", *sorted(known - set(watch.entries)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "few")
