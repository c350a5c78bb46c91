"""Results of `benchmarks.kernels` as a page of Markdown: what they come to, then shape by shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.machine import sentence
from benchmarks.results import OURS
from benchmarks.shapes import CONVOLUTION, PASSES

__all__ = ["page"]

INTRODUCTION = """# Kernels beside PyTorch's

Written by `python -m benchmarks.kernels --markdown docs/benchmarks.md`. A cell is minigrad's time
in milliseconds and, in brackets, the ratio of PyTorch's better time (contiguous or channels-last)
to it: above 1, minigrad is faster. Times are medians over {rounds} rounds in turns, every contender
in a process of its own, float32.

{machine}. Multiply-adds alone reach {peak:.0f} GFLOP/s on it.
"""


def page(document: dict[str, Any]) -> str:
    """Of a document as `benchmarks.kernels.document` makes it."""
    parts = [
        INTRODUCTION.format(
            rounds=document["settings"]["rounds"],
            machine=sentence(document["machine"]),
            peak=document["peak_gflops"],
        ),
        *_groups(document["summary"]["groups"]),
    ]
    for title, convolutions in (("Convolutions", True), ("All else", False)):
        rows = [r for r in document["rows"] if (r["case"]["kind"] == CONVOLUTION) == convolutions]
        if rows:
            parts += ["", f"## {title}", "", *_by_shape(rows)]
    return "\n".join(parts) + "\n"


def _groups(groups: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "| PyTorch's best / minigrad | shapes | geometric mean | lowest |"
    yield "| --- | --- | --- | --- |"
    for name, group in groups.items():
        mean, lowest = group["geometric_mean"], group["lowest"]
        yield f"| {name} | {group['shapes']} | {mean:.2f} | {lowest:.2f} |"


def _by_shape(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each shape, a column for each pass."""
    passes = [name for name in PASSES.values() if any(row["pass"] == name for row in rows)]
    yield f"| shape | algorithm | {' | '.join(passes)} |"
    yield "| --- | --- |" + " --- |" * len(passes)
    for label in dict.fromkeys(row["label"] for row in rows):
        of_shape = {row["pass"]: row for row in rows if row["label"] == label}
        algorithm = next(iter(of_shape.values()))["algorithm"] or ""
        cells = [_cell(of_shape[name]) if name in of_shape else "" for name in passes]
        yield f"| {label.removeprefix('convolution ')} | {algorithm} | {' | '.join(cells)} |"


def _cell(row: dict[str, Any]) -> str:
    time = f"{1e3 * row['seconds'][OURS]:.2f}"
    return time if row["ratio"] is None else f"{time} ({row['ratio']:.2f})"
