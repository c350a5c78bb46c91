"""Contenders, each in processes of its own, run in turns.

Two thread pools in one process spin against each other, and a shared machine drifts; so nothing
is compared within a process, and what is compared alternates.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence


def python(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a new Python process prints that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"a benchmark process failed:\n{done.stderr}")
    return done.stdout.strip()


def seconds_until(command: Sequence[str], marks: Sequence[str], **environment: str) -> list[float]:
    """Seconds from the start of a command to the first line of output with each mark, in order.

    The empty mark stands for the end of the process.
    """
    started = time.perf_counter()
    times = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        assert process.stdout is not None
        for mark in marks:
            if mark:
                while mark not in (line := process.stdout.readline()):
                    if not line:
                        raise SystemExit(f"{command} never printed {mark!r}")
            else:
                process.stdout.read()
                process.wait()
            times.append(time.perf_counter() - started)
        process.stdout.read()
    return times


def in_turns(
    contenders: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, tuple[float, float, float]]:
    """(median, smallest, largest) of each contender over `rounds`, A B A B ..."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            figures[name].append(measure())
    return {name: (statistics.median(f), min(f), max(f)) for name, f in figures.items()}
