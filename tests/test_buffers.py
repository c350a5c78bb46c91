"""The pool of large arrays: what comes back is used again, within bounds, never in two places."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad.kernels import buffers
from minigrad.kernels.buffers import LEAST, Pool, size_class

SHAPE = (64, 1024)
BYTES = 64 * 1024 * 4


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def output(code: str, **environment: str) -> str:
    done = run(code, **environment)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_, np.uint8])
@pytest.mark.parametrize("shape", [(1 << 20,), (3, 5, 7, 11, 13, 8), (256, 1, 257), (70_000, 1)])
def test_an_array_as_numpy_makes_it(shape: tuple[int, ...], dtype: Any) -> None:
    x = Pool(1 << 30).empty(shape, dtype)
    assert type(x) is np.ndarray and x.shape == shape and x.dtype == dtype
    assert x.strides == np.empty(shape, dtype).strides
    assert x.flags.c_contiguous and x.flags.writeable and x.flags.aligned
    assert x.ctypes.data % 64 == 0
    x[...] = 1
    assert x.all()


def test_small_arrays_are_numpys_own() -> None:
    pool = Pool(1 << 30)
    for shape in [(), (0,), (5, 0, 1 << 40), (LEAST // 4 - 1,)]:
        assert pool.empty(shape, np.float32).base is None
    assert pool.stats() == (0, 0, 1 << 30, 0, 0)
    assert pool.empty((LEAST // 4,), np.float32).base is not None


def test_memory_is_used_again_once_the_last_view_is_gone() -> None:
    pool = Pool(1 << 30)
    x = pool.empty(SHAPE, np.float32)
    address = x.ctypes.data
    view = x.T[3:, ::-1].view(np.int32)[1:]
    keeper = memoryview(view)
    del x, view
    other = pool.empty(SHAPE, np.float32)
    assert other.ctypes.data != address
    assert pool.stats()[:2] == (2 * BYTES, 0)
    del keeper
    assert pool.stats() == (BYTES, BYTES, 1 << 30, 0, 2)
    again = pool.empty((BYTES // 8,), np.float64)
    assert again.ctypes.data == address
    assert pool.stats() == (2 * BYTES, 0, 1 << 30, 1, 2)


def test_it_needs_no_cycle_collector() -> None:
    pool = Pool(1 << 30)
    gc.disable()
    try:
        for _ in range(100):
            pool.empty(SHAPE, np.float32).reshape(-1)[5:].astype(np.float32)
        assert pool.stats() == (0, BYTES, 1 << 30, 99, 1)
    finally:
        gc.enable()


@given(st.integers(1, 1 << 40))
def test_at_most_an_eighth_is_wasted(wanted: int) -> None:
    size = size_class(wanted)
    assert size >= wanted and size % 4096 == 0
    assert size <= max(wanted, LEAST) * 1.125
    assert size_class(size) == size


def test_the_oldest_goes_first() -> None:
    pool = Pool(3 * BYTES)
    arrays = [pool.empty((n, 1024), np.float32) for n in (64, 32, 64, 64)]
    addresses = [x.ctypes.data for x in arrays]
    while arrays:
        arrays.pop(0)  # idle: 1, 1.5, 2.5, 3.5 times BYTES, and then without the first 2.5
    assert pool.stats().idle_bytes == 2.5 * BYTES
    again = [pool.empty((n, 1024), np.float32) for n in (64, 64, 32)]
    assert [x.ctypes.data for x in again] == [addresses[3], addresses[2], addresses[1]]
    assert pool.stats()[:2] == (2.5 * BYTES, 0)
    large = pool.empty((4 * BYTES,), np.uint8)
    del large
    assert pool.stats().idle_bytes == 0


def test_idle_memory_serves_for_arrays_down_to_half_its_size() -> None:
    pool = Pool(1 << 30)
    held = [pool.empty((rows, 1024), np.float32) for rows in (128, 96, 200)]
    places = [x.ctypes.data for x in held]
    held.clear()
    # The smallest that is large enough comes first; one of 200 rows is too large for 64 and 90.
    taken = [pool.empty((rows, 1024), np.float32) for rows in (64, 90, 90)]
    assert [x.ctypes.data for x in taken[:2]] == [places[1], places[0]]
    assert taken[2].ctypes.data not in places
    assert pool.stats().used_bytes == (96 + 128 + size_class(90 * 4096) // 4096) * 4096
    assert pool.stats()[3:] == (2, 4)
    assert pool.empty((128, 1024), np.float32).ctypes.data == places[2]
    del taken
    assert pool.empty((128, 1024), np.float32).ctypes.data == places[0]


def test_a_limit_of_nothing_keeps_nothing() -> None:
    pool = Pool(0)
    for _ in range(3):
        pool.empty(SHAPE, np.float32)
    assert pool.stats() == (0, 0, 0, 0, 3)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_release_gives_the_memory_back_to_the_system() -> None:
    pool = Pool(1 << 30)
    size = 1 << 26
    x = pool.empty((size,), np.uint8)
    x[:] = 1
    before = resident()
    del x
    assert resident() > before - size // 2
    assert pool.release() == size
    assert resident() < before - size // 2
    assert pool.release() == 0 and pool.stats().idle_bytes == 0


def test_more_than_there_is_is_a_memory_error() -> None:
    pool = Pool(1 << 30)
    pool.empty(SHAPE, np.float32)
    for shape in [(1 << 46,), (1 << 60,), (1 << 40, 1 << 40)]:
        with pytest.raises(MemoryError, match=r"an array of shape \(\d+,.* and dtype float64"):
            pool.empty(shape, np.float64)
    assert pool.stats()[:2] == (0, 0)  # what was idle was given back before giving up


def test_a_shape_that_is_none_loses_nothing() -> None:
    pool = Pool(1 << 30)
    with pytest.raises(ValueError):
        pool.empty((-1024, -1024), np.float32)
    assert pool.stats()[0] == 0


def test_threads_never_share_memory() -> None:
    pool = Pool(4 * BYTES)
    wrong = []

    def work(mark: int) -> None:
        generator = np.random.default_rng(mark)
        held: list[np.ndarray] = []
        for _ in range(300):
            x = pool.empty((int(generator.integers(64, 100)), 1024), np.float32)
            x[...] = mark
            held.append(x)
            if len(held) > 3:
                victim = held.pop(int(generator.integers(4)))
                if not (victim == mark).all():
                    wrong.append(mark)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    stats = pool.stats()
    assert not wrong
    assert stats.used_bytes == 0 and stats.idle_bytes <= 4 * BYTES
    assert stats.hits > 0 and stats.hits + stats.misses <= 8 * 300
    assert pool.release() == stats.idle_bytes


def test_a_finalizer_that_uses_the_pool_while_it_is_in_use() -> None:
    pool = Pool(2 * BYTES)

    class Untidy:
        def __init__(self) -> None:
            self.array = pool.empty(SHAPE, np.float32)
            self.me = self

        def __del__(self) -> None:
            pool.empty(SHAPE, np.float32)[...] = 1
            pool.stats()

    threshold = gc.get_threshold()
    gc.set_threshold(1)  # a collection at any allocation
    try:
        for _ in range(200):
            Untidy()
            pool.empty(SHAPE, np.float32)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert pool.stats().used_bytes == 0
    assert pool.stats().idle_bytes <= 2 * BYTES


AT_EXIT = """
import atexit, threading
import numpy as np
import minigrad as mg
from minigrad.kernels import buffers

def large(n=1 << 18):
    x = buffers.empty((n,), np.float32)
    x[:] = 1
    return x

class Holder: pass
holder = Holder()
holder.me, holder.array, holder.view = holder, large(), large()[3:]
a_global = large()
np.kept_beyond_the_module = large()
tensor = mg.ones((512, 512)) * 2
atexit.register(lambda array=large(): array.sum())
threading.Thread(target=lambda: [large() for _ in range(2000)], daemon=True).start()
print("done")
"""


def test_the_end_of_the_interpreter_is_silent() -> None:
    assert output(AT_EXIT) == "done"


FORK = """
import os, threading
import numpy as np
from minigrad.kernels import buffers

def filled(mark):
    x = buffers.empty((1 << 18,), np.float32)
    x[:] = mark
    return x

stop = threading.Event()
def churn():
    while not stop.is_set():
        filled(3)
workers = [threading.Thread(target=churn) for _ in range(2)]
for worker in workers:
    worker.start()
mine = filled(1)
for attempt in range(20):
    child = os.fork()
    if child == 0:
        mine[:] = 2
        fresh = filled(5)
        assert (mine == 2).all() and (fresh == 5).all()
        assert buffers.memory_stats().idle_bytes == 0
        del mine
        assert buffers.memory_stats().idle_bytes == 1 << 20
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (mine == 1).all()
stop.set()
print("done")
"""


def test_a_forked_child_has_a_pool_of_its_own() -> None:
    assert output(FORK) == "done"


LIMIT = "import minigrad as mg; mg.ones((512, 512)) * 2; print(mg.memory_stats().limit_bytes)"


def test_the_environment_sets_the_limit() -> None:
    assert output(LIMIT, MINIGRAD_POOL_BYTES="12345678") == "12345678"
    assert output(LIMIT, MINIGRAD_POOL_BYTES=" 0 ") == "0"
    usual = int(output(LIMIT, MINIGRAD_POOL_BYTES=""))
    assert 0 < usual <= 1 << 30


@pytest.mark.parametrize("text", ["-1", "1G", "1.5"])
def test_a_bad_limit_names_the_variable(text: str) -> None:
    done = run(LIMIT, MINIGRAD_POOL_BYTES=text)
    assert "ArgumentError" in done.stderr
    assert "MINIGRAD_POOL_BYTES" in done.stderr and repr(text) in done.stderr


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({"memory.max": "1073741824\n"}, 1 << 30),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "536870912\n"}, 1 << 29),
        ({}, None),
    ],
)
def test_a_container_s_memory(tmp_path: Path, files: dict[str, str], granted: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert buffers.memory_limit(tmp_path) == granted


def test_a_quarter_of_a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGRAD_POOL_BYTES", raising=False)
    monkeypatch.setattr(buffers, "memory_limit", lambda: 1 << 28)
    assert Pool().limit == 1 << 26


def test_the_public_functions() -> None:
    mg.release_memory()
    x = mg.ones((512, 512))
    before = mg.memory_stats()
    y = x + x
    assert mg.memory_stats().used_bytes == before.used_bytes + y.nbytes
    del y
    assert mg.memory_stats().idle_bytes >= 1 << 20
    hits = mg.memory_stats().hits
    y = x * x
    assert mg.memory_stats().hits == hits + 1
    del y
    assert mg.release_memory() >= 1 << 20
    assert mg.memory_stats().idle_bytes == 0


def test_an_error_of_the_limit_is_not_told_in_a_finalizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_POOL_BYTES", "many")
    with pytest.raises(ArgumentError, match="MINIGRAD_POOL_BYTES"):
        Pool().empty(SHAPE, np.float32)
