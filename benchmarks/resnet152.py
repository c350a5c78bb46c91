"""How long one waits for the largest network: its summary, its weights, a checkpoint of it.

All in new processes. What a part of minigrad that is not there would do is skipped, with a word.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import in_turns, python

ROUNDS = 5
NAME = "resnet152"
COMMAND = [sys.executable, "-m", "minigrad", "summary"]

NAMES = "from minigrad import models; print(*models.names())"
BUILD = f"""
import time
from minigrad import models
started = time.perf_counter()
models.create("{NAME}")
print(time.perf_counter() - started)
"""
SAVE = f"""
import sys
import minigrad as mg
from minigrad import models
mg.save(models.create("{NAME}").state_dict(), sys.argv[1])
"""
CONVERT = """
import sys
import torch
from safetensors.torch import load_file
torch.save(load_file(sys.argv[1]), sys.argv[2])
"""
# The first reading brings the file into the system's memory, so that no disk is measured.
LOAD = f"""
import sys, time
from pathlib import Path
import minigrad as mg
from minigrad import models
model, path = models.create("{NAME}"), Path(sys.argv[1])
path.read_bytes()
started = time.perf_counter()
path.read_bytes()
read = time.perf_counter()
model.load_state_dict(mg.load(path))
loaded = time.perf_counter()
print((loaded - read) - (read - started))
"""

Row = tuple[str, str, str]


def rows() -> list[Row]:
    """(what, measured, wanted) for the table."""
    if NAME not in python(NAMES).split():
        return [("ResNet-152", "skipped: there is no such network", "")]
    return [*_summary(), _building(), *_loading()]


def _summary() -> list[Row]:
    known = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=False)
    if known.returncode:
        if "No such command" in known.stderr:
            return [("minigrad summary resnet152", "skipped: there is no such command", "")]
        raise SystemExit(f"{' '.join(COMMAND)} --help failed:\n{known.stderr}")
    peaks: list[int] = []
    measure = partial(_seconds, [*COMMAND, NAME], peaks)
    figures = in_turns({"summary": measure}, ROUNDS)["summary"]
    return [
        ("minigrad summary resnet152, whole process", _spread(figures), "at most 2 s"),
        ("its peak resident memory", f"{max(peaks) / 1e6:.0f} MB", "at most 300 MB"),
    ]


def _seconds(command: list[str], peaks: list[int]) -> float:
    """Of a whole process; the most bytes that were resident in it are added to the peaks."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed (see above)")
    # Linux counts in KiB, and from what this process had when it made the other: too little to
    # matter, as it imports none of what is measured.
    peaks.append(usage.ru_maxrss * 1024)
    return seconds


def _building() -> Row:
    figures = in_turns({"build": lambda: float(python(BUILD))}, ROUNDS)["build"]
    return "building ResNet-152", _spread(figures), "at most 2 s"


def _loading() -> list[Row]:
    table = []
    with tempfile.TemporaryDirectory() as folder:
        saved, converted = (Path(folder) / f"weights.{end}" for end in ("safetensors", "pth"))
        python(SAVE, str(saved))
        files = [saved]
        if find_spec("torch"):
            python(CONVERT, str(saved), str(converted))
            files.append(converted)
        for file in files:
            figures = in_turns({"load": partial(_beyond_reading, file)}, ROUNDS)
            size = f"{file.stat().st_size / 1e6:.0f} MB"
            what = f"loading {size} of {file.suffix} beyond reading it"
            table.append((what, _spread(figures["load"]), "at most 1 s"))
    return table


def _beyond_reading(file: Path) -> float:
    return float(python(LOAD, str(file)))


def _spread(figures: tuple[float, float, float]) -> str:
    return "{:.2f} s ({:.2f} to {:.2f})".format(*figures)
