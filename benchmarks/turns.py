"""Contenders measured in turns, A B C A B C ... for each case, each in a process of its own.

A shared machine drifts within seconds, so what is compared is measured side by side; a process
stands still while it is not its turn.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.paused import REPOSITORY, Paused
from benchmarks.shapes import Case

__all__ = ["REPOSITORY", "Figures", "Settings", "environment", "measure"]


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
        "passes": list(passes),
        "least_seconds": settings.least_seconds,
        "least_calls": settings.least_calls,
    }
    console = Console(stderr=True)
    with ExitStack() as stack:
        progress = stack.enter_context(
            Progress(console=console, transient=True, disable=not console.is_terminal)
        )
        task = progress.add_task("", total=settings.rounds * len(contenders) * len(cases))
        own = environment(settings.threads)
        workers = {
            name: stack.enter_context(Paused("benchmarks.worker", own)) for name in contenders
        }
        for name, worker in workers.items():
            _ask(worker, name, {**job, "contender": name})
        for i, case in enumerate(cases):
            for turn in range(settings.rounds):
                for name, worker in workers.items():
                    progress.update(task, description=f"{case.label}, round {turn + 1}, {name}")
                    order = {"case": asdict(case), "errors": errors and turn == 0}
                    _enter(found[name][i], _ask(worker, name, order))
                    progress.advance(task)
    return found


def _ask(worker: Paused, name: str, order: dict[str, Any]) -> dict[str, Any]:
    answer = worker.ask(order)
    if "failed" in answer:
        raise SystemExit(f"the process that measured {name} failed (see above)")
    return answer


def _enter(figures: Figures, answer: dict[str, Any]) -> None:
    for which, seconds in answer.pop("seconds").items():
        figures.rounds.setdefault(which, []).append(seconds)
    for name, value in answer.items():
        setattr(figures, name, value)
