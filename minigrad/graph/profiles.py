"""`profile`: where the time and the memory of a training step go, op by op and module by module."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from minigrad.errors import ArgumentError, MinigradError
from minigrad.graph.algorithm import algorithm
from minigrad.graph.graph import Graph
from minigrad.graph.stopwatch import Event, Step, memory_of_step, timed_step
from minigrad.graph.tracing import trace
from minigrad.nn.module import Module
from minigrad.random import get_rng_state, set_rng_state
from minigrad.spec import as_integer
from minigrad.threads import get_num_threads

__all__ = ["ModuleTime", "OpTime", "Profile", "profile"]


@dataclass(frozen=True)
class OpTime:
    """What one op of the step took. `seconds` is the mean of the faster repeats, `between` that of
    the Python from the end of the op before to its start (modules, the reverse sweep); `start`
    (from the step's begin) and `took` are those of one repeat, and make a time line.

    `label` is the node's in the traced graph ("" for an op on constants alone), `live_bytes` the
    memory of all results that are alive after it, `algorithm` how a convolution is computed.
    """

    label: str
    op: str
    module: str
    backward: bool
    seconds: float
    between: float
    start: float
    took: float
    macs: int
    flops: int
    bytes_moved: int
    output_bytes: int
    live_bytes: int
    algorithm: str = ""

    @property
    def gflops(self) -> float:
        """Floating-point operations a second, in billions."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0


@dataclass(frozen=True)
class ModuleTime:
    """Seconds of a module's ops and of the Python between them, those of the modules below it
    included, in both phases. The path "" stands for ops in no module: a loss, sums of gradients."""

    path: str
    forward: float
    backward: float
    flops: int

    @property
    def seconds(self) -> float:
        return self.forward + self.backward


@dataclass(frozen=True)
class Profile:
    """The times of a step; prints as tables.

    `forward` and `backward` are the mean seconds of the phases as a whole. `in_ops` is what ops
    took, `between` the Python that led to each, and `outside` what is left. `peak_gflops` is the
    machine's, where it was measured. `graph` is the traced step, whose labels the ops have.
    """

    name: str
    ops: tuple[OpTime, ...]
    forward: float
    backward: float
    repeats: int
    threads: int
    graph: Graph
    peak_gflops: float | None = None

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.forward + self.backward

    @property
    def in_ops(self) -> float:
        """Seconds that ops took."""
        return sum([op.seconds for op in self.ops])

    @property
    def between(self) -> float:
        """Seconds of Python between ops: each counts for the op that follows."""
        return sum([op.between for op in self.ops])

    @property
    def outside(self) -> float:
        """Seconds of the step that are in no op and not between two."""
        return max(0.0, self.seconds - self.in_ops - self.between)

    @property
    def peak_bytes(self) -> int:
        """The most memory that results held at once, besides inputs and parameters."""
        return max([op.live_bytes for op in self.ops], default=0)

    @property
    def times(self) -> dict[str, float]:
        """Seconds by the labels of the graph: what its views can be coloured by."""
        return {op.label: op.seconds for op in self.ops if op.label}

    @cached_property
    def modules(self) -> tuple[ModuleTime, ...]:
        """The modules in the order in which they first ran, each before those below it."""
        paths: dict[str, list[float]] = {}
        for op in self.ops:
            parts = op.module.split(".")
            for depth in range(1, len(parts) + 1):
                entry = paths.setdefault(".".join(parts[:depth]), [0.0, 0.0, 0])
                entry[op.backward] += op.seconds + op.between
                entry[2] += op.flops
        return tuple([ModuleTime(path, f, b, int(n)) for path, (f, b, n) in paths.items()])

    def share_of_peak(self, op: OpTime) -> float | None:
        """What part of the machine's peak an op reached."""
        return op.gflops / self.peak_gflops if self.peak_gflops else None

    def __str__(self) -> str:
        from minigrad.graph.profile_table import text

        return text(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        from minigrad.graph.profile_export import plain

        return plain(self)

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` to a file."""
        _write(path, self.to_dict())

    def save_chrome(self, path: str | os.PathLike[str]) -> None:
        """Write the time line as Chrome's trace events, which Perfetto (ui.perfetto.dev) shows."""
        from minigrad.graph.profile_export import chrome

        _write(path, chrome(self))

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write the graph as a page, to be coloured by these times."""
        self.graph.save(path, times=self.times)


def _write(path: str | os.PathLike[str], data: Any) -> None:
    try:
        Path(path).write_text(json.dumps(data, indent=1), encoding="utf-8")
    except OSError as error:
        raise MinigradError(f"profile: cannot write {os.fspath(path)}: {error.strerror}") from None


def profile(
    fn: Callable[..., Any],
    *inputs: Any,
    backward: bool = True,
    repeats: int = 5,
    warmup: int = 2,
    measure_peak: bool = False,
) -> Profile:
    """Run fn(*inputs), a function or a module, and with `backward` the gradients of the sum of its
    outputs, and time every op: means over the faster half of `repeats` steps (what else the
    machine does disturbs the others), which add up as one step's times do,
    after `warmup` steps, the first of which may compile kernels.
    `measure_peak` takes a few seconds more, once, and relates speeds to the machine's.

    Nothing changes: neither gradients nor running statistics nor the state of random numbers.
    Raises ArgumentError where nothing can be differentiated, or the steps differ from one another.
    """
    if as_integer("profile", "repeats", repeats) < 1 or as_integer("profile", "warmup", warmup) < 0:
        raise ArgumentError(f"profile: takes at least 1 repeat, got {repeats} (warmup {warmup})")
    with _unchanged(fn):
        graph = trace(fn, *inputs, backward=backward)
        for _ in range(warmup):
            timed_step(fn, inputs, backward)
        steps = [timed_step(fn, inputs, backward) for _ in range(repeats)]
        curve = memory_of_step(fn, inputs, backward)
    kept = sorted(steps, key=lambda step: step.seconds)[: (repeats + 1) // 2]
    return Profile(
        graph.name,
        _ops(kept, curve, graph),
        statistics.fmean([step.forward for step in kept]),
        statistics.fmean([step.backward for step in kept]),
        repeats,
        get_num_threads(),
        graph,
        _peak(get_num_threads()) if measure_peak else None,
    )


@cache
def _peak(threads: int) -> float:
    """The machine's GFLOP/s on so many threads, measured once in a process."""
    from minigrad.kernels.peak import measure

    return measure()


@contextmanager
def _unchanged(fn: Any) -> Iterator[None]:
    """Put back what a step changes: buffers, and the state of random numbers."""
    draws = get_rng_state()
    buffers = list(fn.buffers()) if isinstance(fn, Module) else []
    values = [buffer.detach() for buffer in buffers]
    try:
        yield
    finally:
        set_rng_state(draws)
        for buffer, value in zip(buffers, values, strict=True):
            buffer.assign(value)


def _ops(steps: Sequence[Step], curve: Sequence[int], graph: Graph) -> tuple[OpTime, ...]:
    """Means op by op, and the time line of the step that took the median time."""
    names = [[event.op.name for event in step.events] for step in steps]
    if any(listed != names[0] for listed in names) or len(curve) != len(names[0]):
        raise ArgumentError("profile: the steps ran different ops, so their times cannot be joined")
    if not names[0]:
        return ()
    typical = sorted(steps, key=lambda step: step.seconds)[len(steps) // 2]
    origin = typical.start
    labels = _labels(typical.events, graph)
    betweens = [step.between for step in steps]
    found = []
    for i, (event, live) in enumerate(zip(typical.events, curve, strict=True)):
        cost = event.op.cost(event.inputs, event.outputs)
        found.append(
            OpTime(
                labels[i],
                event.op.name,
                event.scope.path if event.scope is not None else "",
                event.backward,
                statistics.fmean([step.events[i].seconds for step in steps]),
                statistics.fmean([between[i] for between in betweens]),
                event.start - origin,
                event.seconds,
                cost.macs,
                cost.flops,
                cost.bytes_moved,
                sum([spec.nbytes for spec in event.outputs]),
                live,
                algorithm(event.op, event.inputs, event.outputs),
            )
        )
    return tuple(found)


def _labels(events: Sequence[Event], graph: Graph) -> list[str]:
    """The label of each op that ran, by the order of calls; a trace has none for ops on constants,
    so what does not match the next call is passed over."""
    calls = iter(graph.calls)
    expected = next(calls, None)
    labels = []
    for event in events:
        matches = expected is not None and (
            (expected.name, expected.outputs) == (event.op.name, event.outputs)
        )
        labels.append(graph.labels[expected] if matches and expected is not None else "")
        expected = next(calls, None) if matches else expected
    return labels
