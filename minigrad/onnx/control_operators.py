"""What ONNX's If, Loop and Scan are in minigrad: their bodies, called as often as they run. Which
branch is taken and how often a body runs has to be known; the graph has every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule, UnknownError
from minigrad.tensor import as_tensor

MOST_STEPS = 10_000
"""Of a loop, so that a file cannot ask for an endless graph."""

Body = Callable[..., list[Any]]


def branch(op: Operator, condition: Any) -> Any:
    taken = bool(op.needed(0).reshape(-1)[0])
    return op.get("then_branch" if taken else "else_branch")()


def loop(op: Operator, trips: Any, condition: Any = None, *states: Any) -> Any:
    """The states after the last step, and what every step gives, stacked."""
    most, goes = op.array(0), op.array(1)
    count = math.inf if most is None else int(most.reshape(-1)[0])
    body: Body = op.get("body")
    held, steps, kept = list(states), 0, []
    go = goes is None or bool(goes.reshape(-1)[0])
    while go and steps < count:
        if steps == MOST_STEPS:
            raise op.refuse(f"runs more than {MOST_STEPS} steps")
        again, *results = body(np.asarray(steps, np.int64), np.asarray(True), *held)
        if not isinstance(again, np.ndarray):
            why = "whether it goes on has to be known before the program runs"
            raise UnknownError(f"onnx: {op.kind} {op.name!r}: {why}", None)
        held, go = results[: len(states)], bool(again.reshape(-1)[0])
        kept.append(results[len(states) :])
        steps += 1
    return [*held, *_stacked(op, kept, op.outputs - len(states))]


def scan(op: Operator, *inputs: Any) -> Any:
    """The states after all parts of the scanned inputs, and what every part gives, stacked."""
    if op.opset < 9:
        raise op.refuse("the Scan of opset 8 is not known")
    count = op.get("num_scan_inputs")
    states, scanned = list(inputs[:-count]), [as_tensor(x) for x in inputs[-count:]]
    axes, backward = op.get("scan_input_axes", [0] * count), op.get("scan_input_directions")
    lengths = {x.shape[a] for x, a in zip(scanned, axes, strict=True)}
    if len(lengths) != 1:
        raise op.refuse(f"the scanned inputs have lengths {sorted(lengths)}")
    (length,) = lengths
    body: Body = op.get("body")
    given, kept = len(states), []
    for step in range(length):
        parts = []
        for i, (x, axis) in enumerate(zip(scanned, axes, strict=True)):
            at = length - 1 - step if backward and backward[i] else step
            parts.append(mg.take(x, np.asarray(at), axis=axis))
        results = body(*states, *parts)
        states = results[:given]
        kept.append(results[given:])
    wanted = op.outputs - given
    out_axes = op.get("scan_output_axes", [0] * max(wanted, 0))
    return [*states, *_stacked(op, kept, wanted, out_axes, op.get("scan_output_directions"))]


def _stacked(
    op: Operator,
    steps: Sequence[Sequence[Any]],
    count: int,
    axes: Sequence[int] | None = None,
    backward: Sequence[int] | None = None,
) -> list[Any]:
    """What the steps gave, along an axis each; with `backward` the last step first."""
    if count > 0 and not steps:
        raise op.refuse("does no step, so that what it stacks has no shape")
    found = []
    for i in range(max(count, 0)):
        parts = [step[i] for step in steps]
        parts = parts[::-1] if backward and backward[i] else parts
        found.append(mg.stack(parts, axis=axes[i] if axes else 0))
    return found


RULES: dict[str, Rule] = {"If": branch, "Loop": loop, "Scan": scan}
"""By the operator's name."""
