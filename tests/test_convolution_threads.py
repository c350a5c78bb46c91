"""Convolutions give the same bits whoever computes them: threads of kernels, of Python, a child."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from convolution_cases import PASSES, Case, arguments

from minigrad import threads
from minigrad.kernels.convolution import algorithms

pytestmark = pytest.mark.usefixtures("few_tilings")

AROUND = ((1, 1), (1, 1))
ONES = (1, 1)
PLAIN = ONES, ((0, 0), (0, 0)), ONES, 1


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def every_pass(dtype: Any) -> dict[str, Callable[[], np.ndarray]]:
    """All passes by all algorithms, on numbers whose sums depend on their order."""
    rng = np.random.default_rng(1)
    made = {}
    for name, x, weight, window in (
        ("depthwise", (3, 19, 18, 17), (19, 1, 3, 2), ((2, 1), ((1, 0), (2, 1)), ONES, 19)),
        ("depthwise", (3, 70, 18, 17), (70, 1, 3, 3), (ONES, AROUND, ONES, 70)),
        ("winograd", (2, 32, 16, 15), (32, 32, 3, 3), (ONES, AROUND, ONES, 1)),
        ("winograd", (3, 32, 33, 36), (32, 32, 3, 3), (ONES, AROUND, ONES, 1)),
        ("winograd", (3, 32, 32, 63), (32, 32, 3, 3), ((2, 2), AROUND, ONES, 1)),
        ("strassen", (3, 256, 17, 13), (256, 256, 1, 1), PLAIN),
        ("matrix product", (3, 30, 19, 17), (18, 30, 1, 1), PLAIN),
        ("direct", (3, 6, 19, 17), (18, 3, 3, 2), ((2, 1), ((1, 0), (2, 1)), (1, 2), 2)),
        ("one channel", (19, 1, 9, 33), (7, 1, 2, 3), ((2, 1), ((1, 0), (2, 1)), (2, 1), 1)),
        ("few channels", (37, 2, 8, 19), (9, 2, 3, 16), (ONES, ((1, 0), (2, 1)), (2, 1), 1)),
    ):
        stride, padding, dilation, _ = window
        out = tuple(
            (n + sum(p) - (k - 1) * d - 1) // s + 1
            for n, k, s, p, d in zip(x[2:], weight[2:], stride, padding, dilation, strict=True)
        )
        if algorithms(x, weight, out, *window, dtype) != name:
            assert name in ("winograd", "strassen") and dtype == np.float64
            continue
        shapes = x, weight, (x[0], weight[0], *out), (weight[0],), (x[0], weight[0], *out)
        arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        case = Case(*arrays, "relu", window)
        for entry, given_arguments in arguments(case).items():
            made[f"{name} {x}: {entry}"] = lambda e=entry, a=given_arguments: PASSES[e](*a)
    return made


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("thread_count")
def test_same_bits_whatever_the_number_of_threads(dtype: Any) -> None:
    for name, entry in every_pass(dtype).items():
        results = set()
        for n in (1, 2, 4):
            threads.set_num_threads(n)
            results.add(entry().tobytes())
        assert len(results) == 1, name


def test_eight_python_threads_at_once() -> None:
    passes = every_pass(np.float32)
    expected = {name: entry().tobytes() for name, entry in passes.items()}
    wrong, done = [], []

    def work(first: int) -> None:
        names = [*passes][first:] + [*passes][:first]
        wrong.extend(name for name in names if passes[name]().tobytes() != expected[name])
        done.append(first)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(done) == 8 and not wrong


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_forked_child_computes_the_same(dtype: Any) -> None:
    passes = every_pass(dtype)
    expected = {name: entry().tobytes() for name, entry in passes.items()}
    child = os.fork()
    if child == 0:
        signal.alarm(600)
        status = 1
        try:
            same = all(entry().tobytes() == expected[name] for name, entry in passes.items())
            status = 0 if same else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
