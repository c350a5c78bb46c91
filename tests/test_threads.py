"""The number of threads and what it governs; kernels in threads, forks, and uncompiled."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from minigrad import threads
from minigrad.errors import ArgumentError


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    bare = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**bare, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def output(code: str, **environment: str) -> str:
    done = python(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SHOW = "from minigrad import threads; print(threads.get_num_threads())"


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu.max": "1 0"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], granted: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.cpu_quota(tmp_path) == granted


def test_the_default_is_what_the_process_may_use() -> None:
    allowed = len(os.sched_getaffinity(0))
    assert 1 <= int(output(SHOW)) <= allowed
    one = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}]); {SHOW}"
    assert output(one) == "1"
    quota = "from minigrad import threads; threads.cpu_quota = lambda: 0.5; "
    assert output(quota + SHOW.partition("; ")[2]) == "1"


def test_the_environment_sets_it() -> None:
    assert output(SHOW, MINIGRAD_NUM_THREADS="3") == "3"
    assert output(SHOW, NUMBA_NUM_THREADS="1") == "1"
    assert output(SHOW, MINIGRAD_NUM_THREADS="3", NUMBA_NUM_THREADS="1") == "3"


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_bad_environment_names_the_variable(text: str) -> None:
    done = python(SHOW, MINIGRAD_NUM_THREADS=text)
    assert "ArgumentError" in done.stderr
    assert "MINIGRAD_NUM_THREADS" in done.stderr and repr(text) in done.stderr


@pytest.mark.parametrize("n", [0, -1, True, 1.0, "2", None])
def test_bad_numbers(n: Any) -> None:
    before = threads.get_num_threads()
    with pytest.raises(ArgumentError, match="integer of at least 1"):
        threads.set_num_threads(n)
    assert threads.get_num_threads() == before


def test_too_many_names_the_limit() -> None:
    with pytest.raises(ArgumentError, match=r"100000 threads asked for, but at most \d+"):
        threads.set_num_threads(100_000)


def test_neither_numba_nor_threadpoolctl_is_imported() -> None:
    code = "; print([m for m in ('numba', 'threadpoolctl') if m in sys.modules])"
    setting = "import sys, minigrad.threads as t; t.set_num_threads(2); t.get_num_threads()"
    assert output(setting + code) == "[]"


def test_numba_is_launched_large_enough() -> None:
    code = """
from minigrad import threads
{first}
from minigrad.kernels import jit
for n in (1, 2, 4):
    threads.set_num_threads(n)
import numba
print(numba.config.NUMBA_NUM_THREADS >= {least})
"""
    assert output(code.format(first="", least=4)) == "True"
    first = "threads.set_num_threads(6)"
    assert output(code.format(first=first, least=6), MINIGRAD_NUM_THREADS="6") == "True"


def test_a_pool_numba_already_has_is_the_limit() -> None:
    code = "import numba; from minigrad import threads; {}"
    bad = python(code.format("threads.set_num_threads(2)"), NUMBA_NUM_THREADS="1")
    assert "at most 1" in bad.stderr
    show = code.format("import minigrad.kernels.jit; print(threads.get_num_threads())")
    assert output(show, NUMBA_NUM_THREADS="1") == "1"


BLAS = """
import os, numpy, threadpoolctl
from minigrad import threads
from minigrad.kernels import matmul
one = numpy.ones((600, 600))
matmul.matmul(one, one)

def pinned():
    blas = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    return all(p["num_threads"] == 1 for p in blas)

child = os.fork()
if child == 0:
    os._exit(0 if pinned() and (matmul.matmul(one, one) == 600).all() and pinned() else 1)
print(pinned() and os.waitpid(child, 0)[1] == 0)
"""


def test_blas_keeps_to_one_thread_also_in_a_fork() -> None:
    assert output(BLAS) == "True"


def test_run_all_runs_each_task_once_and_raises_what_they_raise() -> None:
    before = threads.get_num_threads()
    try:
        for n in (1, 2):
            threads.set_num_threads(n)
            done: list[int] = []
            threads.run_all([partial(done.append, i) for i in range(50)])
            assert sorted(done) == list(range(50))
            threads.run_all([])
            with pytest.raises(ZeroDivisionError):
                threads.run_all([lambda: 1 // 0, lambda: 1 // 0])
    finally:
        threads.set_num_threads(before)


def test_run_all_spreads_over_threads() -> None:
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(2)
        meeting = threading.Barrier(2, timeout=20)
        threads.run_all([meeting.wait, meeting.wait])  # each waits for the other to run
    finally:
        threads.set_num_threads(before)


IN_THREADS_AND_A_FORK = """
import os, signal, threading
import numpy as np, numba
import minigrad as mg
from minigrad.nn import functional as F

mg.set_num_threads(2)
rng = np.random.default_rng(0)
x, weight, a, b = [
    rng.normal(size=shape) for shape in ((4, 5, 24, 24), (7, 5, 3, 3), (400, 301), (301, 403))
]

def results():
    images, filters = mg.tensor(x, requires_grad=True), mg.tensor(weight, requires_grad=True)
    y = F.relu(F.conv2d(images, filters, padding=1))
    loss = (F.max_pool2d(y, 2) * F.avg_pool2d(y, 2)).sum()
    loss.backward()
    parts = loss, images.grad, filters.grad, mg.tensor(a) @ mg.tensor(b)
    return b"".join(part.detach().numpy().tobytes() for part in parts)

expected, wrong, done = results(), [], []
assert numba.threading_layer() == LAYER

def work():
    for _ in range(5):
        if results() != expected:
            wrong.append(True)
    done.append(True)

def fork(depth):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 1
        try:
            status = 0 if results() == expected and (depth == 0 or fork(depth - 1)) else 2
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0

workers = [threading.Thread(target=work) for _ in range(8)]
for worker in workers:
    worker.start()
forked = fork(1) and fork(0)  # while the eight are in their kernels, and a fork's fork
for worker in workers:
    worker.join()
assert len(done) == 8
print(forked and fork(0) and results() == expected and not wrong)
"""


@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_eight_threads_and_a_forked_child(layer: str) -> None:
    if layer != "workqueue":  # which every Numba has
        pytest.importorskip(f"numba.np.ufunc.{layer}pool", exc_type=ImportError)
    code = IN_THREADS_AND_A_FORK.replace("LAYER", repr(layer))
    assert output(code, NUMBA_THREADING_LAYER=layer) == "True"


SAME_BITS = """
import hashlib
import minigrad as mg
from minigrad import nn

mg.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
x = mg.randn((8, 3, 64, 64), requires_grad=True)
(net(x) ** 2).mean().backward()
grads = [x.grad, *[parameter.grad for parameter in net.parameters()]]
print(hashlib.sha256(b"".join(grad.numpy().tobytes() for grad in grads)).hexdigest())
"""


def test_a_training_step_has_the_same_bits_on_any_number_of_threads() -> None:
    digests = {output(SAME_BITS, MINIGRAD_NUM_THREADS=str(n)) for n in (1, 2, 3)}
    assert len(digests) == 1


QUOTA = """
import sys
from pathlib import Path
from minigrad import threads
read = threads.cpu_quota
threads.cpu_quota = lambda: read(Path(sys.argv[1]))
from minigrad.kernels import jit
import numba
jit.threading_layer()
print(threads.get_num_threads(), numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS >= 4)
"""


def test_a_container_s_limit_reaches_numba(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("90000 100000\n")
    code = f"import sys; sys.argv = ['', {str(tmp_path)!r}]\n" + QUOTA
    assert output(code) == "1 1 True"


WITHOUT_COMPILER = """
import numpy as np
from minigrad.kernels import convolution, pooling, pooling_windows, reference
rng = np.random.default_rng(0)
x, w = rng.integers(-3, 4, (2, 3, 5, 5)) * 1.0, rng.integers(-3, 4, (4, 3, 2, 2)) * 1.0
window = (2, 1), ((1, 0), (0, 1)), (1, 1), 1
out = convolution.convolve(x, w, None, (3, 5), *window)
assert (out == reference.convolve_reference(x, w, None, (3, 5), *window)).all()
halves = pooling_windows.adaptive(5, 2), pooling_windows.adaptive(5, 2)
values, taps = pooling.max_pool(x, halves)
assert (pooling.max_pool_gather(x, taps, halves) == values).all()
print("done")
"""


def test_runs_as_python_without_the_compiler() -> None:
    assert output(WITHOUT_COMPILER, NUMBA_DISABLE_JIT="1") == "done"
