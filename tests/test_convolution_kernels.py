"""Convolution and its gradients against NumPy: all options, algorithms, layouts and dtypes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from convolution_cases import Case, check, draw_each

from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.kernels import streaming
from minigrad.kernels.convolution import (
    algorithms,
    convolve,
    convolve_input_grad,
    convolve_weight_grad,
)
from minigrad.kernels.direct_plan import forward_plan, input_grad_plan
from minigrad.kernels.problem import convolution
from minigrad.kernels.target import available, target

ALGORITHMS = {
    "depthwise",
    "winograd",
    "strassen",
    "matrix product",
    "one channel",
    "few channels",
    "direct",
}
NO_PADDING = ((0, 0), (0, 0))
AROUND = ((1, 1), (1, 1))
ONES = (1, 1)
PLAIN = ONES, NO_PADDING, ONES, 1

X = np.zeros((2, 4, 8, 8), np.float32)
W = np.zeros((6, 4, 3, 3), np.float32)
G = np.zeros((2, 6, 6, 6), np.float32)


def count_drawn(
    count: int, record_property: Callable[[str, object], None], few: bool = False
) -> None:
    """So many drawn convolutions of every kind and dtype, all three passes of each."""
    counts: Counter[str] = Counter()
    draw_each(count, lambda case: check(case, counts), few)
    record_property("drawn convolutions", dict(counts))
    assert set(counts) == ALGORITHMS and counts.total() >= len(ALGORITHMS) * count


@pytest.mark.usefixtures("few_tilings")
def test_drawn_convolutions_equal_their_reference(record_property: Any) -> None:
    count_drawn(8, record_property, few=True)


@pytest.mark.slow
def test_thousands_of_drawn_convolutions_equal_their_reference(record_property: Any) -> None:
    count_drawn(170, record_property)


DRAWN_IN_A_PROCESS = """
from collections import Counter
from convolution_cases import check, draw_each
from few_tilings import few_tilings
from minigrad.kernels.target import target

counts = Counter()
with few_tilings():
    draw_each(20, lambda case: check(case, counts), few=True)
print(target.name, counts.total(), len(counts))
"""


def run_python(code: str, **environment: str) -> str:
    """What a process of its own prints; it finds the modules of the tests."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NARROWER = [kind.name for kind in available() if kind.bytes < target.bytes]


@pytest.mark.slow
@pytest.mark.parametrize("name", NARROWER)
def test_drawn_convolutions_with_narrower_vectors(name: str) -> None:
    seen, count, kinds = run_python(DRAWN_IN_A_PROCESS, MINIGRAD_SIMD=name).split()
    assert seen == name and int(count) >= 300 and int(kinds) == len(ALGORITHMS)


@pytest.mark.parametrize(
    ("x", "weight", "out", "window", "dtype", "name"),
    [
        ((1, 8, 9, 9), (8, 1, 3, 3), (9, 9), (ONES, AROUND, ONES, 8), np.float32, "depthwise"),
        ((1, 8, 9), (8, 1, 3), (7,), ((1,), ((0, 0),), (1,), 8), np.float64, "depthwise"),
        ((1, 64, 9, 9), (64, 64, 3, 3), (9, 9), (ONES, AROUND, ONES, 1), np.float32, "winograd"),
        ((1, 64, 9, 9), (64, 64, 3, 3), (9, 9), (ONES, AROUND, ONES, 1), np.float64, "direct"),
        ((1, 3, 9, 9), (64, 3, 3, 3), (9, 9), (ONES, AROUND, ONES, 1), np.float32, "direct"),
        ((1, 64, 9, 9), (64, 64, 3, 3), (5, 5), ((2, 2), AROUND, ONES, 1), np.float32, "direct"),
        ((1, 64, 16, 9), (64, 64, 3, 3), (8, 4), ((2, 2), AROUND, ONES, 1), "f4", "winograd"),
        ((1, 64, 16, 16), (64, 64, 3, 3), (8, 16), ((2, 1), AROUND, ONES, 1), "f4", "direct"),
        ((1, 64, 12, 12), (64, 64, 3, 3), (4, 4), ((3, 3), AROUND, ONES, 1), "f4", "direct"),
        ((1, 8, 9, 9), (8, 8, 1, 1), (5, 5), ((2, 2), *PLAIN[1:]), np.float32, "matrix product"),
        ((1, 256, 23, 28), (320, 256, 1, 1), (23, 28), PLAIN, np.float32, "strassen"),
        ((11, 256, 16, 16), (320, 256, 1, 1), (8, 8), ((2, 2), *PLAIN[1:]), "f4", "strassen"),
        ((1, 256, 23, 28), (320, 256, 1, 1), (23, 28), PLAIN, np.float64, "matrix product"),
        ((1, 256, 23, 27), (320, 256, 1, 1), (23, 27), PLAIN, np.float32, "matrix product"),
        ((1, 128, 23, 28), (320, 128, 1, 1), (23, 28), PLAIN, np.float32, "matrix product"),
        ((1, 264, 23, 28), (320, 264, 1, 1), (23, 28), PLAIN, np.float32, "matrix product"),
        ((1, 8, 9, 9), (8, 8, 1, 1), (11, 11), (ONES, AROUND, ONES, 1), np.float32, "direct"),
        ((1, 1, 9, 9), (1, 1, 3, 3), (7, 7), PLAIN, np.float32, "direct"),
        ((1, 1, 9, 19), (6, 1, 5, 5), (5, 15), PLAIN, np.float32, "one channel"),
        ((1, 1, 9, 19), (6, 1, 5, 4), (5, 16), PLAIN, np.float32, "direct"),
        ((1, 6, 14, 14), (16, 6, 5, 5), (10, 10), PLAIN, np.float32, "few channels"),
        ((1, 6, 14, 14), (16, 6, 5, 5), (6, 6), (ONES, NO_PADDING, (2, 2), 1), "f4", "direct"),
        ((1, 40, 14, 14), (16, 40, 5, 5), (10, 10), PLAIN, np.float32, "winograd"),
        ((1, 40, 14, 14), (16, 40, 5, 4), (10, 11), PLAIN, np.float32, "direct"),
    ],
)
def test_which_algorithm(x: Any, weight: Any, out: Any, window: Any, dtype: Any, name: str) -> None:
    assert algorithms(x, weight, out, *window, dtype) == name


@pytest.mark.parametrize("sides", [(1, 1), (1, 0), (0, 1)])
def test_padding_of_a_depth_of_one(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for depth in range(1, 1 + sum(sides)):
        x = rng.integers(-3, 4, (2, 16, 1, 5, 6)).astype(np.float32)
        weight = rng.integers(-3, 4, (16, 16, 1, 3, 3)).astype(np.float32)
        grad = rng.integers(-3, 4, (2, 16, depth, 5, 6)).astype(np.float32)
        window = (1, 1, 1), (sides, *AROUND), (1, 1, 1), 1
        check(Case(x, weight, grad, None, None, None, window), Counter())


@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu"])
@pytest.mark.parametrize(
    ("x", "weight", "out", "padding"),
    [
        ((2, 3, 0, 4), (4, 3, 1, 1), (3, 4), ((2, 1), (0, 0))),  # no rows but those around
        ((2, 0, 4, 4), (4, 0, 3, 3), (4, 4), AROUND),
        ((0, 3, 4, 4), (4, 3, 3, 3), (4, 4), AROUND),
        ((2, 3, 4, 4), (0, 3, 3, 3), (4, 4), AROUND),
        ((2, 3, 1, 4), (4, 3, 3, 3), (0, 2), NO_PADDING),
    ],
)
def test_lengths_of_zero(
    x: Any, weight: Any, out: Any, padding: Any, activation: str | None
) -> None:
    rng = np.random.default_rng(0)
    shapes = x, weight, (x[0], weight[0], *out), (weight[0],), (x[0], weight[0], *out)
    arrays = [rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes]
    check(Case(*arrays, activation, (ONES, padding, ONES, 1)), Counter())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: convolve(X, W.astype(np.float64), None, (6, 6), *PLAIN), DtypeError),
        (lambda: convolve(X.astype(np.float16), W, None, (6, 6), *PLAIN), DtypeError),
        (lambda: convolve(X.astype(">f4"), W.astype(">f4"), None, (6, 6), *PLAIN), DtypeError),
        (lambda: convolve(X[0, 0], W[0, 0], None, (6, 6), *PLAIN), ShapeError),
        (lambda: convolve(X[0], W, None, (6, 6), *PLAIN), ShapeError),
        (lambda: convolve(X, W[:, :3], None, (6, 6), *PLAIN), ShapeError),
        (lambda: convolve(X, W, W[0, 0, 0], (6, 6), *PLAIN), ShapeError),
        (lambda: convolve(X, W, np.zeros(6), (6, 6), *PLAIN), ShapeError),
        (lambda: convolve(X, W, None, (7, 6), *PLAIN), ShapeError),
        (lambda: convolve(X, W, None, (-1, 6), *PLAIN), ShapeError),
        (lambda: convolve(X, W, None, (6,), *PLAIN), ArgumentError),
        (lambda: convolve(X, W, None, (6, 6), *PLAIN[:3], 4), ArgumentError),
        (lambda: convolve(X, W, None, (6, 6), (0, 1), *PLAIN[1:]), ArgumentError),
        (lambda: convolve(X, W, None, (6, 6), ONES, NO_PADDING, (0, 1), 1), ArgumentError),
        (lambda: convolve(X, W[:, :, :0], None, (6, 6), *PLAIN), ArgumentError),
        (lambda: convolve(X, W, None, (6, 6), ONES, ((-1, 3), (0, 0)), ONES, 1), ArgumentError),
        (lambda: convolve(X, W, None, (6, 6), *PLAIN, G[:, :5]), ShapeError),
        (lambda: convolve(X, W, None, (6, 6), *PLAIN, G.astype(np.float64)), DtypeError),
        (lambda: convolve(X, W, None, (6, 6), *PLAIN, None, "gelu"), ArgumentError),
        (lambda: convolve_input_grad(G, W, (7, 8), *PLAIN), ShapeError),
        (lambda: convolve_input_grad(G[:, :5], W, (8, 8), *PLAIN), ShapeError),
        (lambda: convolve_weight_grad(X[:1], G, (3, 3), *PLAIN), ShapeError),
        (lambda: convolve_weight_grad(X, G, (4, 3), *PLAIN), ShapeError),
        (lambda: convolve_weight_grad(X, G, (3, 3), *PLAIN[:3], 0), ArgumentError),
        (lambda: convolve_weight_grad(X, G, (3, 3), *PLAIN[:3], 3), ShapeError),
    ],
)
def test_wrong_arguments_never_reach_the_loops(call: Callable[[], Any], error: type) -> None:
    with pytest.raises(error) as caught:
        call()
    assert len(str(caught.value)) > 30 and str(caught.value).startswith("convolve")


@pytest.mark.usefixtures("few_tilings")
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [(5, 5), (60, 60)])
@pytest.mark.parametrize(("kernel", "stride"), [((1, 1), ONES), ((3, 3), ONES), ((3, 3), (2, 2))])
def test_results_stored_past_the_caches(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, size: Any, kernel: Any, stride: Any
) -> None:
    rng = np.random.default_rng(0)
    # Whole cache lines of channels, and less; both signs of the epilogue.
    for channels, filters in ((32, 48), (48, 33)):
        x = rng.normal(size=(1, channels, *size)).astype(dtype)
        weight = rng.normal(size=(filters, channels, *kernel)).astype(dtype)
        side = kernel[0] // 2
        out = tuple([(n + 2 * side - kernel[0]) // stride[0] + 1 for n in size])
        window = stride, ((side, side), (side, side)), ONES, 1
        grad = np.ones((len(x), filters, *out), dtype)
        found = []
        for streamed in (0, 1 << 60):
            monkeypatch.setattr(streaming, "STREAMED", streamed)
            y = convolve(x, weight, None, out, *window, None, "relu")
            found.append((y, convolve_input_grad(grad, weight, size, *window)))
        for past, ordinary in zip(*found, strict=True):
            np.testing.assert_array_equal(past, ordinary)


@pytest.mark.parametrize("channels", [3, 40])
def test_infinity_stays_with_the_taps_that_see_it(channels: int) -> None:
    # Six pixels are not whole patches; the first tap of a row does not see the last pixel.
    x, grad = np.ones((2, 1, channels, 3, 6), np.float32)
    x[..., -1] = np.inf
    window = ONES, AROUND, ONES, channels
    found = convolve_weight_grad(x, grad, (3, 3), *window)
    assert np.isfinite(found[..., 0]).all() and np.isinf(found[..., 1:]).all()
    weight = np.ones((channels, 1, 3, 3), np.float32)
    y = convolve(x, weight, None, (3, 6), *window)
    assert np.isfinite(y[..., :4]).all() and np.isinf(y[..., 4:]).all()


def test_padding_far_beyond_the_input() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-3, 4, (2, 3, 5)), rng.integers(-3, 4, (4, 3, 2))
    grad = rng.integers(-3, 4, (2, 4, 5))
    arrays = [a.astype(np.float32) for a in (x, weight, grad)]
    window = (50_000,), ((100_000, 100_001),), (3,), 1
    check(Case(*arrays, None, None, None, window), Counter())


@pytest.mark.parametrize(
    ("side", "error", "message"),
    [
        (1 << 40, ShapeError, "use less padding"),
        (1 << 25, MemoryError, "more than the system has"),
    ],
)
def test_padding_that_no_memory_holds(side: int, error: type, message: str) -> None:
    x, weight, grad = (np.ones((1, 1, 1, 1), np.float32) for _ in range(3))
    window = ONES, ((side, side), (side, side)), ONES, 1
    calls = [
        lambda: convolve(x, weight, None, (1, 1), *window),
        lambda: convolve_weight_grad(x, grad, (1, 1), *window),
    ]
    for call in calls:
        with pytest.raises(error, match=message):
            call()


def test_places_beyond_32_bits() -> None:
    # x (3, 64, 50000, 1000) has 9.6e9 elements, its result 1.9e10; neither is made.
    padded = 3, 64, (128, 64, 3, 3), (50_000, 1_000), (50_000, 1_000)
    bare = 3, 64, (128, 64, 3, 3), (50_002, 1_002), (50_000, 1_000)
    dtype, nothing = np.dtype(np.float32), ((0, 0), (0, 0))
    problem = convolution("test", dtype, *padded, ONES, AROUND, ONES, 1)
    in_place = convolution("test", dtype, *bare, ONES, nothing, ONES, 1)
    for plan, read, written in (
        (forward_plan(in_place, True), 3 * 64 * 50_002 * 1_002, 3 * 128 * 50_000 * 1_000),
        (forward_plan(problem, True), None, 3 * 128 * 50_000 * 1_000),
        (input_grad_plan(problem, True), None, 3 * 64 * 50_000 * 1_000),
    ):
        (product,) = plan.products
        last = product.sizes - 1
        assert written > 1 << 32
        # The last row's last summand is the last element there is, and so is the last column.
        if read is not None:
            row = int(last @ product.x_steps[:4])
            assert product.stride == 0
            assert row + int(product.runs.max()) + product.length == read > 1 << 32
        else:
            seen = last[1:] * product.sight.times + product.sight.shifts[-1]
            seen[2] += product.sight.span - 1
            assert product.stride > 0 and seen.tolist() == [0, 50_000, 1_000]
        assert int(last @ product.out_steps[:4]) + plan.columns == written
