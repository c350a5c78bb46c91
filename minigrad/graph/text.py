"""A graph as a table for a terminal: modules and the calls in them, indented, in order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from minigrad.graph.composite import saved_bytes
from minigrad.graph.depth import at_depth
from minigrad.graph.graph import Graph, Role
from minigrad.graph.placement import Closed, Opened, placements, walk
from minigrad.graph.plain import parameters_text, printable, shape_text, title
from minigrad.graph.writing import write_text
from minigrad.tape import Frame, Node

COLUMNS = ("", "parameters of the op", "output", "parameters", "MACs", "saved bytes")


@dataclass(frozen=True)
class Row:
    """One line: a module or a call, so deep; `module` tells which."""

    depth: int
    name: str
    details: str
    output: str
    parameters: int
    macs: int
    saved: int
    module: bool


def text(graph: Graph, depth: int | None = None) -> str:
    """The table without colours, as wide as it needs: the inputs, the forward pass, the backward
    pass, and the sums; `depth` shows modules at that depth as one line each (see
    `depth.at_depth`)."""
    return "".join([f"{line.plain}\n" for line in lines(graph, depth)])


def write(graph: Graph, path: str | os.PathLike[str], depth: int | None = None) -> None:
    """Write the table to a file."""
    write_text(path, text(graph, depth))


def lines(graph: Graph, depth: int | None = None) -> list[Text]:
    """The lines of the table for rich, those of modules bold."""
    shown = graph if depth is None else at_depth(graph, depth)
    rows = [*_rows(shown), _total(shown)]
    table = [COLUMNS, *[_cells(row) for row in rows]]
    widths = [max(cell_len(cells[i]) for cells in table) for i in range(len(COLUMNS))]
    styles = ["underline", *["bold" if row.module else "" for row in rows]]
    title = Text(printable(graph.name), no_wrap=True, overflow="ellipsis")
    return [title, *[_line(c, widths, s) for c, s in zip(table, styles, strict=True)]]


def _cells(row: Row) -> tuple[str, ...]:
    numbers = [f"{n:,}" if n else "" for n in (row.parameters, row.macs, row.saved)]
    return "  " * row.depth + printable(row.name), printable(row.details), row.output, *numbers


def _line(cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    """Words to the left, numbers to the right."""
    line = ""
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - cell_len(cell))
        line += f"{cell}{space}  " if number < 3 else f"{space}{cell}  "
    return Text(line.rstrip(), style=style, no_wrap=True, overflow="ellipsis")


def _total(graph: Graph) -> Row:
    parameters = sum(node.outputs[0].size for node in graph.with_role(Role.PARAMETER))
    saved = sum(saved_bytes(node) for node in graph.calls)
    calls = f"{len(graph.calls)} calls"
    return Row(0, "total", calls, _outputs(graph), parameters, graph.cost.macs, saved, True)


def _outputs(graph: Graph) -> str:
    named = zip(graph.output_names, graph.output_specs, strict=True)
    shown = [f"{name}: {shape_text(spec)}" for name, spec in named][:1]
    more = len(graph.outputs) - len(shown)
    return printable(", ".join(shown)) + (f" and {more} more" if more else "")


def _rows(graph: Graph) -> Iterator[Row]:
    for node in graph.inputs:
        spec = shape_text(node.outputs[0])
        yield Row(0, graph.leaves[node].name or "input", "input", spec, 0, 0, 0, False)
    own = _own_parameters(graph)
    sums = _sums(graph, own)
    places = placements(graph)
    depth, backward = 0, False
    for step in walk(graph):
        if isinstance(step, Node) and step.op is None:
            continue
        if isinstance(step, Closed):
            depth = step.depth
            continue
        pass_of = step.backward if isinstance(step, Opened) else places[step].backward
        if pass_of and not backward:
            yield Row(0, "backward", "", "", 0, 0, 0, True)
        backward = pass_of
        shift = int(backward)
        if isinstance(step, Opened):
            depth = step.depth + 1
            counted = sums[step.frame, step.backward]
            title = f"{step.frame.name} ({step.frame.kind})"
            yield Row(step.depth + shift, title, "", "", *counted, True)
        else:
            yield _call(graph, step, depth + shift, own.get(step, 0))


def _call(graph: Graph, node: Node, depth: int, parameters: int) -> Row:
    outputs = ", ".join([shape_text(spec) for spec in node.outputs[:4]])
    outputs += ", ..." if len(node.outputs) > 4 else ""
    details = parameters_text(node.op) if node.op is not None else ""
    return Row(
        depth, title(node), details, outputs, parameters, node.cost.macs, saved_bytes(node), False
    )


def _own_parameters(graph: Graph) -> dict[Node, int]:
    """How many parameters each call is the first to read."""
    counts: dict[Node, int] = {}
    seen: set[Node] = set()
    for node in graph.calls:
        for source, _ in node.inputs:
            leaf = graph.leaves.get(source)
            if leaf is not None and leaf.role == Role.PARAMETER and source not in seen:
                seen.add(source)
                counts[node] = counts.get(node, 0) + source.outputs[0].size
    return counts


def _sums(graph: Graph, own: dict[Node, int]) -> dict[tuple[Frame, bool], tuple[int, int, int]]:
    """Parameters, MACs and saved bytes of all calls in a module's call, by pass."""
    sums: dict[tuple[Frame, bool], tuple[int, int, int]] = {}
    for node, place in placements(graph).items():
        macs, saved = node.cost.macs, saved_bytes(node)
        for frame in place.frames:
            a, b, c = sums.get((frame, place.backward), (0, 0, 0))
            sums[frame, place.backward] = (a + own.get(node, 0), b + macs, c + saved)
    return sums
