"""`minigrad diff`: what of two networks, or of two graphs' files, differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from minigrad.cli.graph import load
from minigrad.graph.difference import Fate, diff
from minigrad.graph.difference_view import SIGNS, lines

COLOURS = {Fate.ADDED: "green", Fate.REMOVED: "red", Fate.CHANGED: "yellow", Fate.SAME: "bold"}


def run(
    first: str,
    second: str,
    output: Path | None,
    inputs: Sequence[str],
    batch: int,
    backward: bool,
) -> int:
    """Print what differs, and write the page if asked to; returns 0."""
    graphs = [load(named, inputs, batch, backward, True, "diff") for named in (first, second)]
    difference = diff(*graphs)
    console = Console(highlight=False, soft_wrap=True)
    (_, head), *rest = lines(difference)
    console.print(head, style="bold", markup=False)
    for fate, line in rest:
        console.print(f"{SIGNS[fate]} {line}", style=COLOURS[fate], markup=False)
    if output is not None:
        difference.save_html(output)
        console.print(f"side by side in {output}", markup=False)
    return 0
