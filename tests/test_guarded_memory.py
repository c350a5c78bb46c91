"""No kernel touches memory outside of the arrays it is given: guarded pages on either side."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("guarded_memory.py")
PEEK = """
import sys
import numpy as np
from guarded_memory import guarded, guards
from minigrad.kernels.jit import kernel, prange

@kernel
def read(x, out, index):
    for _ in prange(1):
        out[0] = x[index]

edge, index = sys.argv[1], int(sys.argv[2])
with guards() as watch:
    watch.edge = edge
    out = np.zeros(1, np.float32)
    read(np.arange(5, dtype=np.float32), out, index)
    print(out[0])
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    # What is allocated within kernels is filled with a byte that no result may show.
    environment = {**os.environ, "MALLOC_PERTURB_": "1", "PYTHONPATH": str(PROGRAM.parent)}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=3600
    )


def guarded_run(count: int, kernels: str, record_property: Callable[[str, object], None]) -> str:
    """The program's report, after a run without an access outside."""
    done = run(str(PROGRAM), str(count), kernels)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-5000:])
    cases, entries = (
        int(re.search(rf"^{what}: (\d+)", done.stdout, re.MULTILINE)[1])
        for what in ("cases", "entries")
    )
    record_property("guarded memory", {"cases": cases, "entries of kernels": entries})
    print(done.stdout)
    assert cases >= 30 * count and entries >= 100 * count
    return done.stdout


def test_kernels_stay_inside_their_arrays(record_property: Callable[[str, object], None]) -> None:
    guarded_run(8, "few", record_property)


@pytest.mark.slow
def test_every_kernel_stays_inside_its_arrays(
    record_property: Callable[[str, object], None],
) -> None:
    report = guarded_run(100, "all", record_property)
    assert report.rstrip().endswith("never entered:"), report


@pytest.mark.parametrize(
    ("edge", "index", "lives"),
    [("end", 4, True), ("end", 5, False), ("begin", 0, True), ("begin", -1 - 5, False)],
)
def test_an_access_outside_ends_the_process(edge: str, index: int, lives: bool) -> None:
    done = run("-c", PEEK, edge, str(index))
    assert (done.returncode == 0) == lives, done.stderr
    if lives:
        assert np.float32(done.stdout) == index
    else:
        assert done.returncode < 0  # by a signal
