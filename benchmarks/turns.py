"""Contenders measured in turns, A B C A B C ..., each turn a process that measures all cases."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.shapes import Case

__all__ = ["Figures", "Settings", "environment", "measure"]

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Settings:
    """How one measures: a pass is repeated for so many seconds, and at least so many calls unless
    these take ten times as long."""

    threads: int
    rounds: int = 5
    least_seconds: float = 0.2
    least_calls: int = 5


@dataclass
class Figures:
    """What one contender showed of one case."""

    rounds: dict[str, list[float]] = field(default_factory=dict)  # pass -> seconds
    errors: dict[str, float] = field(default_factory=dict)
    strict_errors: dict[str, float] = field(default_factory=dict)
    error_batch: int = 0
    algorithm: str | None = None

    def seconds(self, which: str) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds[which])


def environment(threads: int, **more: str) -> dict[str, str]:
    """Of a process that computes on so many threads, whichever library it uses."""
    return {**os.environ, "MINIGRAD_NUM_THREADS": str(threads), **more}


def measure(
    contenders: Sequence[str],
    cases: Sequence[Case],
    passes: Sequence[str],
    settings: Settings,
    errors: bool = True,
) -> dict[str, list[Figures]]:
    """By contender, what it showed of each case. Errors are taken in the first round."""
    found = {name: [Figures() for _ in cases] for name in contenders}
    job: dict[str, Any] = {
        "threads": settings.threads,
        "cases": [asdict(case) for case in cases],
        "passes": list(passes),
        "least_seconds": settings.least_seconds,
        "least_calls": settings.least_calls,
    }
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=settings.rounds * len(contenders) * len(cases))
        for turn in range(settings.rounds):
            for name in contenders:
                progress.update(task, description=f"round {turn + 1}, {name}")
                own = {**job, "contender": name, "errors": errors and turn == 0}
                for figures, answer in zip(found[name], _answers(own), strict=True):
                    _enter(figures, answer)
                    progress.advance(task)
    return found


def _enter(figures: Figures, answer: dict[str, Any]) -> None:
    for which, seconds in answer.pop("seconds").items():
        figures.rounds.setdefault(which, []).append(seconds)
    for name, value in answer.items():
        setattr(figures, name, value)


def _answers(job: dict[str, Any]) -> Any:
    """The lines that a worker prints, as they come."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=environment(job["threads"]),
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        with process.stdin as stdin:
            json.dump(job, stdin)
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"the process that measured {job['contender']} failed (see above)")
