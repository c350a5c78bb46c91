"""A profile as plain data, and as the trace events that Chrome and Perfetto show as a time line.

The events' format: "Trace Event Format" (the Catapult project), complete ("X") and counter ("C")
events, times in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from minigrad.graph.profiles import OpTime, Profile

SECONDS = 1e6


def plain(profile: Profile) -> dict[str, Any]:
    """The profile as dictionaries, lists, numbers and text."""
    return {
        "network": profile.name,
        "threads": profile.threads,
        "repeats": profile.repeats,
        "seconds": profile.seconds,
        "forward_seconds": profile.forward,
        "backward_seconds": profile.backward,
        "op_seconds": profile.in_ops,
        "between_seconds": profile.between,
        "outside_seconds": profile.outside,
        "peak_bytes": profile.peak_bytes,
        "peak_gflops": profile.peak_gflops,
        "ops": [
            {**asdict(op), "gflops": op.gflops, "share_of_peak": profile.share_of_peak(op)}
            for op in profile.ops
        ],
        "modules": [{**asdict(m), "seconds": m.seconds} for m in profile.modules],
    }


def chrome(profile: Profile) -> dict[str, Any]:
    """The time line: ops within their modules, and the memory of live results."""
    place = {"pid": 1, "tid": 1}
    name = {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": profile.name}}
    events: list[dict[str, Any]] = [name]
    for title, start, end in _spans(profile.ops):
        took = (end - start) * SECONDS
        events.append({"ph": "X", "name": title, "ts": start * SECONDS, "dur": took, **place})
    for op in profile.ops:
        told = {"module": op.module, "FLOPs": op.flops, "bytes moved": op.bytes_moved}
        if op.algorithm:
            told["algorithm"] = op.algorithm
        at, took = op.start * SECONDS, op.took * SECONDS
        events.append(
            {"ph": "X", "name": op.label or op.op, "cat": _phase(op), "ts": at, "dur": took}
            | place
            | {"args": told}
        )
        live = {"bytes": op.live_bytes}
        events.append({"ph": "C", "name": "live memory", "pid": 1, "ts": at + took, "args": live})
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _phase(op: OpTime) -> str:
    return "backward" if op.backward else "forward"


def _spans(ops: tuple[OpTime, ...]) -> Iterator[tuple[str, float, float]]:
    """Title, start and end of every run of ops within one module, and of both phases."""
    opened: list[tuple[str, float]] = []
    last = 0.0
    for op in ops:
        titles = [_phase(op), *(op.module.split(".") if op.module else [])]
        stay = 0
        while stay < min(len(opened), len(titles)) and opened[stay][0] == titles[stay]:
            stay += 1
        while len(opened) > stay:
            title, start = opened.pop()
            yield title, start, last
        opened += [(title, op.start) for title in titles[stay:]]
        last = op.start + op.took
    while opened:
        title, start = opened.pop()
        yield title, start, last
