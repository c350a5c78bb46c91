"""How long one waits: for `import minigrad`, for the first step, for the whole of `make train`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.processes import in_turns, python, seconds_until

IMPORT = """
import time
started = time.perf_counter()
import minigrad
seconds = time.perf_counter() - started
import sys
print(seconds, "numba" in sys.modules)
"""


def _train(folder: str, *options: str) -> list[str]:
    out = str(Path(tempfile.mkdtemp(dir=folder)) / "run")
    return [sys.executable, "-m", "minigrad", "train", "lenet5", "--out", out, *options]


def rows() -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for the table."""
    imports = in_turns({"import": lambda: float(python(IMPORT).split()[0])}, 9)["import"]
    numba = python(IMPORT).split()[1]
    with tempfile.TemporaryDirectory() as folder:
        # One batch of all images: the first row of the table comes after the first step and an
        # evaluation, so it bounds the time to the first step from above.
        short = ("--epochs", "1", "--batch-size", "1437")
        seconds_until(_train(folder, *short), ["    1  "])  # fills the kernel cache
        first = in_turns(
            {"first": lambda: seconds_until(_train(folder, *short), ["    1  "])[0]}, 5
        )["first"]
        begun, ended = seconds_until(
            _train(folder), ["lenet5", ""], MINIGRAD_CACHE_DIR=f"{folder}/cold"
        )
    return [
        ("import minigrad", _spread(imports), "at most 0.3 s"),
        ("numba imported with it", numba, "False"),
        ("command to first step, warm cache", _spread(first), "at most 2 s"),
        ("training line to the end, cold cache", f"{ended - begun:.1f} s", "at most 60 s"),
    ]


def _spread(figures: tuple[float, float, float]) -> str:
    return "{:.2f} s ({:.2f} to {:.2f})".format(*figures)
