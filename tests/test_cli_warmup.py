"""`minigrad warmup` and `minigrad info`, and the examples by which every kernel is compiled."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim, threads
from minigrad.kernels import cache, jit, warmup
from minigrad.kernels.jit import Kernel
from minigrad.kernels.launch import numba

MODULES = {module.__name__.rpartition(".")[2]: module for module in warmup.modules()}

# What stands in the source: `@kernel` above a function, or `@kernel(name=f"...")` in a factory.
DECORATED = re.compile(
    r"^ *@kernel(?:\((?:name=f\"([^\"]*)\")?(?:, )?(?:light=True)?\))?\n *def (\w+)", re.MULTILINE
)


def declared(name: str) -> list[str]:
    """Patterns of the names of a module's kernels."""
    found = DECORATED.findall(inspect.getsource(MODULES[name]))
    return [
        re.sub(r"\{\w+\}", r"\\w+", template) if template else f"{name}.{function.lstrip('_')}"
        for template, function in found
    ]


KERNELS = [(name, pattern) for name in MODULES for pattern in declared(name)]


def minigrad(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "minigrad", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_every_kernel_in_the_source_is_seen() -> None:
    for name, module in MODULES.items():
        decorators = re.findall(r"^ *@kernel\b", inspect.getsource(module), re.MULTILINE)
        assert len(decorators) == len(declared(name)), name
    assert len(KERNELS) >= 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_examples_are_calls(dtype: str) -> None:
    for name, module in MODULES.items():
        if hasattr(module, "examples"):
            calls = list(module.examples(np.dtype(dtype)))
            assert calls and all(callable(call) for call in calls), name


Entries = set[tuple[str, tuple[str, ...]]]


@contextmanager
def entered(run: bool) -> Iterator[Entries]:
    """The kernels that are entered, with the types of their arguments; runs them only if asked."""
    found: Entries = set()
    original = Kernel.__call__

    def observed(self: Kernel, *arguments: Any) -> None:
        found.add((self.name, tuple([str(numba.typeof(argument)) for argument in arguments])))
        if run:
            original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", observed)
        yield found


@pytest.fixture(scope="module")
def reached() -> Entries:
    """What the examples of all modules enter."""
    with entered(run=False) as found:
        for _, call in warmup.example_calls(np.dtype(np.float32)):
            call()
    return found


@pytest.mark.parametrize(("module", "pattern"), KERNELS)
def test_an_example_reaches_every_kernel(module: str, pattern: str, reached: Entries) -> None:
    assert any(re.fullmatch(pattern, name) for name, _ in reached), (
        f"kernels/{module}.py: {pattern} has no example: add a call to an `examples(dtype)`"
    )


def train() -> None:
    """Two steps of a network with most of the layers there are."""
    mg.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 64, 5, padding=2),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(64, 32, 1, stride=2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        loss = nn.functional.cross_entropy(net(mg.randn((4, 1, 32, 32))), mg.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.slow
def test_a_training_step_enters_nothing_else(reached: Entries) -> None:
    with entered(run=True) as found:
        train()
    assert found and not found - reached


@pytest.mark.slow
def test_after_warmup_a_training_step_compiles_nothing() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        assert process.submit(compiled_by_training).result() == ([], 0)


def compiled_by_training() -> tuple[list[str], int]:
    """What a training step compiles, and how many kernels it loads, in a process of its own."""
    for _, call in warmup.example_calls(np.dtype(np.float32)):
        call()
    names: list[str] = []
    jit.on_compile(names.append)
    before = cache.counts["loaded"]
    train()
    return names, cache.counts["loaded"] - before


def test_kernels_are_compiled_kept_found_and_cleared(tmp_path: Path) -> None:
    """With a copy of the package that has one kernel only, to be done in seconds."""
    package = Path(mg.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "*.npz")
    shutil.copytree(package, tmp_path / "minigrad", ignore=ignored)
    for path in (tmp_path / "minigrad" / "kernels").glob("*.py"):
        path.write_text(path.read_text().replace("def examples(", "def no_examples("))
    (tmp_path / "minigrad" / "kernels" / "example.py").write_text(EXAMPLE)

    def run(*arguments: str, place: Path) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "minigrad", "warmup", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "MINIGRAD_CACHE_DIR": str(place)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not done.stderr
        return done.returncode, done.stdout

    place = tmp_path / "cache"
    status, printed = run(place=place)
    assert status == 0 and "1 kernels compiled and 0 taken from the cache" in printed
    assert str(place) in printed
    status, printed = run("--dtype", "all", place=place)
    assert status == 0 and "1 kernels compiled and 1 taken from the cache" in printed
    status, printed = run("--clear", place=place)
    assert status == 0 and "removed 2 kernels" in printed
    assert "1 kernels compiled and 0 taken" in printed
    (tmp_path / "file").touch()
    status, printed = run("--clear", place=tmp_path / "file" / "below")
    assert status == 1 and "1 kernels compiled" in printed
    assert "cannot be written" in printed and "MINIGRAD_CACHE_DIR" in printed


EXAMPLE = """
from functools import partial
import numpy as np
from minigrad.kernels.jit import kernel, prange

def examples(dtype):
    yield partial(fill, np.zeros(3, dtype))

@kernel
def fill(out: np.ndarray) -> None:
    for i in prange(len(out)):
        out[i] = 2 * i
"""


def test_another_dtype_is_refused() -> None:
    done = minigrad("warmup", "--dtype", "int8")
    assert done.returncode == 2 and "float32, float64, all" in done.stderr
    assert done.stderr.count("\n") == 1


def test_info_as_json(tmp_path: Path) -> None:
    place = {"MINIGRAD_CACHE_DIR": str(tmp_path), "MINIGRAD_POOL_BYTES": "1000000"}
    done = minigrad("info", "--json", MINIGRAD_NUM_THREADS="2", MINIGRAD_SIMD="", **place)
    assert done.returncode == 0 and not done.stderr
    facts = json.loads(done.stdout)
    assert facts["versions"]["minigrad"] == mg.__version__
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["threads"]["in use"] == 2
    assert facts["threads"]["threading layer"] in ("omp", "tbb", "workqueue")
    assert facts["processor"]["name"] and facts["processor"]["vector bits"] in (128, 256, 512)
    folder = Path(facts["kernel cache"].pop("folder"))
    assert folder.parent == tmp_path and cache.FOLDER.fullmatch(folder.name)
    assert facts["kernel cache"] == {"kernels": 0, "bytes": 0}
    assert facts["buffer pool"] == {"limit bytes": 1_000_000}
    assert facts["precision"] == {"float32": "fast"}
    assert facts["blas"]["name"]
    assert facts["threads"]["at most"] >= threads.SPARE_POOL


def test_info_as_a_table() -> None:
    done = minigrad("info", COLUMNS="200")
    assert done.returncode == 0 and not done.stderr
    for topic in ("versions", "processor", "threads", "blas", "kernel cache", "precision"):
        assert re.search(rf"^{topic} ", done.stdout, re.MULTILINE), topic
    assert re.search(r"limit bytes +[\d,.]+ MiB", done.stdout)
    assert re.search(r"threading layer +\w+", done.stdout)
    assert max(map(len, minigrad("info", COLUMNS="60").stdout.splitlines())) <= 60
