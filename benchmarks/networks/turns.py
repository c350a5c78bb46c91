"""Contenders measured in turns, A B C A B C ..., each in a process that lives through all rounds.

So nothing is compiled twice. A process stands still while it is not its turn.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.networks.cases import Network
from benchmarks.networks.contenders import CONTENDERS
from benchmarks.paused import Paused
from benchmarks.turns import Settings, environment

__all__ = ["Figures", "Process", "measure"]


@dataclass
class Figures:
    """What one contender showed of one network and pass."""

    rounds: list[float] = field(default_factory=list)  # seconds of a call
    idle_cpu: float = 0.0  # processor seconds spent in all, while others were measured
    peak: int = 0  # bytes resident
    above_imports: int = 0  # bytes of these that came after the imports
    start: dict[str, float] = field(default_factory=dict)  # seconds: import, build, first
    cold_first: float | None = None  # seconds of a first call that has everything to compile
    result: float | None = None
    failed: str | None = None

    @property
    def seconds(self) -> float | None:
        """The median over the rounds; None of what failed."""
        return None if self.failed or not self.rounds else statistics.median(self.rounds)


class Process(Paused):
    """A worker that has built its network, imported all and called it once."""

    def __init__(self, job: dict[str, Any], cache: str | None) -> None:
        threads = str(job["threads"])
        own = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        variable = CONTENDERS[job["contender"]].cache
        if cache is not None and variable is not None:
            own[variable] = cache
        super().__init__("benchmarks.networks.worker", environment(job["threads"], **own))
        self.start = self.ask(job)


def measure(
    contenders: Sequence[str],
    network: Network,
    which: str,
    settings: Settings,
    cold: bool,
    advance: Callable[[str], object],
) -> dict[str, Figures]:
    """By contender, what it showed of this pass of the network.

    `cold`: compiled code is kept in a new folder, which an extra process fills, so that a first
    call is timed with everything to compile and with everything compiled; without it, users'
    folders serve. `advance` is told what begins: each start, and each turn.
    """
    found = {name: Figures() for name in contenders}
    with ExitStack() as stack:
        processes = {}
        for name, figures in found.items():
            advance(f"{network.title}, {which}: start of {name}")
            job: dict[str, Any] = {"contender": name, "network": asdict(network), "pass": which}
            job["threads"] = settings.threads
            cache = None
            if cold and CONTENDERS[name].cache:
                cache = stack.enter_context(tempfile.TemporaryDirectory())
                _fill(cache, job, figures)
            processes[name] = stack.enter_context(Process(job, cache))
            _enter(figures, {"start": processes[name].start})
        for turn in range(settings.rounds):
            for name, figures in found.items():
                advance(f"{network.title}, {which}: round {turn + 1}, {name}")
                if figures.failed is None:
                    _enter(figures, processes[name].ask({**_order(settings), "turn": turn}))
    return found


def _order(settings: Settings) -> dict[str, Any]:
    return {"least_seconds": settings.least_seconds, "least_calls": settings.least_calls}


def _fill(cache: str, job: dict[str, Any], figures: Figures) -> None:
    """Compile all that a few calls need, in a process that is gone when the others start."""
    with Process(job, cache) as process:
        if "failed" not in process.start:
            figures.cold_first = process.start["first"]
            process.ask({"least_seconds": 0.0, "least_calls": 1, "turn": 0})


def _enter(figures: Figures, answer: dict[str, Any]) -> None:
    failed = answer.get("failed") or answer.get("start", {}).get("failed")
    if failed is not None:
        figures.failed = failed
        return
    if "seconds" in answer:
        figures.rounds.append(answer.pop("seconds"))
        figures.idle_cpu += answer.pop("idle_cpu")
    for name, value in answer.items():
        setattr(figures, name, value)
