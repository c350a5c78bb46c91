"""Results for people: tables of rows and of what they come to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import sentence

__all__ = ["console", "print_report"]

# Of a file or a pipe, which has no width of its own: wide enough for all columns.
WIDTH = 220
FIRST = " (first)"
CAPTION = (
    f"{FIRST.strip()}: a network's first convolution; its input needs no gradient, so its forward "
    "and backward computes none. Errors against float64, of results of unit variance, in the order "
    "of the times."
)


def console() -> Console:
    """Of the terminal's width, or as wide as the table needs."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def print_report(document: dict[str, Any]) -> None:
    """A document as `benchmarks.kernels.document` makes it."""
    out = console()
    out.print(_rows(document["rows"], document["contenders"]))
    out.print(_groups(document["summary"]["groups"]))
    for title, key in (("Ratios under 0.9", "under"), ("The slowest three", "slowest")):
        if found := document["summary"][key]:
            out.print(f"\n{title}:")
            for row in found:
                how = f" ({row['algorithm']})" if row["algorithm"] else ""
                out.print(f"  {row['ratio']:.2f}  {row['label']}, {row['pass']}{how}")
    if errors := document["summary"]["largest_errors"]:
        out.print("\nLargest errors: " + ", ".join(f"{k} {v:.1e}" for k, v in errors.items()))
    if times := document["compile_times"]:
        out.print(
            f"\nKernels of the ResNets ({times['kernels']}): compiled in {times['compile']:.1f} s, "
            f"loaded from the cache in {times['load']:.2f} s"
        )
    out.print(f"\nPeak {document['peak_gflops']:.0f} GFLOP/s. {sentence(document['machine'])}")


def _rows(rows: Sequence[dict[str, Any]], contenders: Sequence[str]) -> Table:
    table = Table("shape", "pass", "algorithm", caption=CAPTION, caption_justify="left")
    for name in (*(f"{name} ms" for name in contenders), "ratio", "GFLOP/s", "of peak", "errors"):
        table.add_column(name, justify="right")
    before = None
    for row in rows:
        if before not in (None, row["label"]):
            table.add_section()
        shown = row["label"] + (FIRST if row["case"]["first"] else "")
        table.add_row(
            shown if row["label"] != before else "",
            row["pass"],
            row["algorithm"] or "",
            *(f"{1e3 * row['seconds'][name]:.3f}" for name in contenders),
            _shown(row["ratio"], "{:.2f}"),
            _shown(row["gflops"], "{:.0f}"),
            _shown(row["peak_share"], "{:.0%}"),
            " ".join(f"{row['errors'][n]:.1e}" for n in contenders if n in row["errors"]),
        )
        before = row["label"]
    return table


def _groups(groups: dict[str, dict[str, Any]]) -> Table:
    table = Table("PyTorch's best / minigrad", title="Ratios", title_justify="left")
    for name in ("shapes", "geometric mean", "wanted", "lowest", "wanted"):
        table.add_column(name, justify="right")
    for name, group in groups.items():
        table.add_row(
            name,
            str(group["shapes"]),
            f"{group['geometric_mean']:.2f}",
            _shown(group["wanted_mean"], "{:.1f}"),
            f"{group['lowest']:.2f}",
            _shown(group["wanted_lowest"], "{:.1f}"),
        )
    return table


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
