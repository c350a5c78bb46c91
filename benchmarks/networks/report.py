"""Results for people: what each contender showed, how minigrad compares, and what falls short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from benchmarks.machine import sentence
from benchmarks.networks.results import COMPARISONS, Row, short_comings
from benchmarks.report import console

__all__ = ["print_report"]

MIB = 2**20
CAPTION = (
    "ms: the median of the rounds, and their range. Peak: the most memory resident in the process, "
    "which does nothing else; above imports: that less what was resident when the libraries were "
    "imported. First call: of a new process, without imports and building the network; cold: with "
    "all to compile. Idle: processor time spent while the others were measured."
)


def print_report(document: dict[str, Any]) -> None:
    """A document as `benchmarks.networks.__main__.document` makes it."""
    out = console()
    out.print(_contenders(document["rows"]))
    out.print(_comparisons(document["rows"]))
    if lines := short_comings(document["rows"]):
        out.print("\nFalls short, or failed:")
        for line in lines:
            out.print(f"  {escape(line)}", soft_wrap=True)
    out.print(f"\n{escape(sentence(document['machine']))}")


def _contenders(rows: Sequence[Row]) -> Table:
    table = Table("network", "pass", "contender", caption=CAPTION, caption_justify="left")
    for name in ("ms", "range", "peak MiB", "above imports", "first call s", "cold s", "idle s"):
        table.add_column(name, justify="right")
    for row in rows:
        heads = [row["label"], row["pass"]]
        for name, figures in row["contenders"].items():
            table.add_row(*heads, name, *_shown(figures))
            heads = ["", ""]
        table.add_section()
    return table


def _shown(figures: dict[str, Any]) -> Iterator[str]:
    if figures["failed"]:
        yield "failed"
        return
    yield f"{1e3 * figures['seconds']:.2f}"
    yield f"{1e3 * min(figures['rounds']):.2f} to {1e3 * max(figures['rounds']):.2f}"
    yield f"{figures['peak'] / MIB:.0f}"
    yield f"{figures['above_imports'] / MIB:.0f}"
    yield f"{figures['start']['first']:.2f}"
    yield "" if figures["cold_first"] is None else f"{figures['cold_first']:.2f}"
    yield f"{figures['idle_cpu']:.3f}"


def _comparisons(rows: Sequence[Row]) -> Table:
    table = Table("network", "pass", title="minigrad beside PyTorch", title_justify="left")
    for name in (*COMPARISONS.values(), "PyTorch's fastest"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [_compared(row["comparisons"][key]) for key in COMPARISONS]
        table.add_row(row["label"], row["pass"], *cells, row["best"] or "")
    return table


def _compared(comparison: dict[str, Any]) -> str:
    if comparison["ratio"] is None:
        return ""
    wanted = "" if comparison["wanted"] is None else f" (wanted {comparison['wanted']:.1f})"
    shown = f"{comparison['ratio']:.2f}{wanted}"
    return f"[red]{shown}[/red]" if comparison["met"] is False else shown
