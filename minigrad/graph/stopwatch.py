"""Times every op of a step as it runs, and follows how much memory its results hold."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError
from minigrad.gradients import grad
from minigrad.graph.tracing import loss_of, named_tensors
from minigrad.op import Op
from minigrad.spec import Spec
from minigrad.tape import Frame
from minigrad.tensor import Tensor, value_of


@dataclass(frozen=True)
class Event:
    """One op that ran: from `start`, for so many `seconds`, for the module in whose call it, or
    the forward op whose backward it is part of, was."""

    op: Op
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    scope: Frame | None
    backward: bool
    start: float
    seconds: float


@dataclass(frozen=True)
class Step:
    """The ops of one forward and backward, when both phases began, and their seconds as a whole."""

    events: tuple[Event, ...]
    starts: tuple[float, float]
    forward: float
    backward: float

    @property
    def start(self) -> float:
        return self.starts[0]

    @property
    def seconds(self) -> float:
        return self.forward + self.backward

    @property
    def between(self) -> list[float]:
        """For every op, the seconds since the op before it ended, or its phase began."""
        found = []
        last, phase = self.start, False
        for event in self.events:
            if event.backward != phase:
                last, phase = self.starts[1], event.backward
            found.append(max(0.0, event.start - last))
            last = max(last, event.start + event.seconds)
        return found


class Stopwatch:
    """Notes the start and the end of every op."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.backward = False
        self._started = 0.0

    def runs(self, op: Op) -> None:
        self._started = time.perf_counter()

    def ran(self, op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        ended = time.perf_counter()
        # An op of a user's, which is seen only after its parts, takes no time besides theirs.
        started = self._started or ended
        self._started = 0.0
        origin = tape.state.origin
        scope = tape.state.scope if origin is None else origin.scope
        specs = tuple([x.spec for x in inputs]), tuple([y.spec for y in outputs])
        event = Event(op, *specs, scope, self.backward, started, ended - started)
        self.events.append(event)


class MemoryWatch:
    """After every op, the bytes of all results that are alive; views share one memory."""

    def __init__(self) -> None:
        self.live = 0
        self.curve: list[int] = []
        self._owners: dict[int, weakref.ref[Any]] = {}

    def runs(self, op: Op) -> None:
        pass

    def ran(self, op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        known = {id(_owner(x._array)) for x in inputs}
        for output in outputs:
            owner = _owner(output._array)
            if id(owner) not in known and id(owner) not in self._owners:
                self._follow(owner)
        self.curve.append(self.live)

    def _follow(self, owner: np.ndarray) -> None:
        key, size = id(owner), owner.nbytes

        def forget(_: Any) -> None:
            del self._owners[key]
            self.live -= size

        self._owners[key] = weakref.ref(owner, forget)
        self.live += size


def _owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def timed_step(fn: Callable[..., Any], inputs: Sequence[Any], backward: bool) -> Step:
    """One step, with the time of every op."""
    watch = Stopwatch()
    starts, forward, reverse = run_step(fn, inputs, backward, watch)
    return Step(tuple(watch.events), starts, forward, reverse)


def memory_of_step(fn: Callable[..., Any], inputs: Sequence[Any], backward: bool) -> list[int]:
    """The bytes of live results after every op of one step."""
    watch = MemoryWatch()
    run_step(fn, inputs, backward, watch)
    return watch.curve


def run_step(
    fn: Callable[..., Any], inputs: Sequence[Any], backward: bool, watch: Any
) -> tuple[tuple[float, float], float, float]:
    """When the phases began, the seconds of the forward (with the sum of all outputs, if they are
    to be differentiated), and those of the backward; ops are seen by `watch`, and no tensor's
    `grad` is touched."""
    with tape.watching(watch), tape.Recording(backward):
        started = time.perf_counter()
        result = fn(*inputs)
        total = _loss(result) if backward else None
        forward = time.perf_counter() - started
        if total is None:
            return (started, started + forward), forward, 0.0
        del result
        leaves = _leaves(total)
        watch.backward = True
        turned = time.perf_counter()
        gradients = grad([total], leaves)
        seconds = time.perf_counter() - turned
        del gradients
    return (started, turned), forward, seconds


def _loss(result: Any) -> Tensor:
    total = loss_of([y for _, y in named_tensors("output", result)])
    if total is None:
        raise ArgumentError(
            "profile: no output depends on anything that requires a gradient; give inputs that "
            "do, or pass backward=False"
        )
    return total


def _leaves(total: Tensor) -> list[Tensor]:
    """The tensors that a backward from here would give gradients to."""
    found = []
    for node in tape.ancestors([value_of(total)[0]]):
        for receiver in (node.receivers or {}).values():
            leaf = receiver()
            if node.op is None and leaf is not None and leaf.requires_grad:
                found.append(leaf)
    return found[::-1]
