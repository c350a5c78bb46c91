"""The tables of a summary, as text and as HTML: columns, the two layouts, and the totals."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from minigrad.graph.summaries import Row, Summary


class Column(NamedTuple):
    """A title, the least width of its cells, and the cell of a row."""

    title: str
    width: int
    cell: Callable[[Row], str]


def _shapes(shapes: tuple[Any, ...]) -> str:
    listed = [str(list(shape)) for shape in shapes]
    return listed[0] if len(listed) == 1 else ", ".join(listed) or "--"


def _number(value: int) -> str:
    return f"{value:,}" if value else "--"


def _params(row: Row) -> str:
    return "(recursive)" if row.recursive and row.has_params else _number(row.params)


def _trainable(row: Row) -> str:
    if not row.params:
        return "--"
    return {0: "no", row.params: "yes"}.get(row.trainable_params, "partly")


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.2f} MB" if count else "--"


COLUMNS = {
    "input": Column("Input Shape", 25, lambda row: _shapes(row.input_shapes)),
    "output": Column("Output Shape", 25, lambda row: _shapes(row.output_shapes)),
    "params": Column("Param #", 15, _params),
    "trainable": Column("Trainable", 10, _trainable),
    "kernel": Column(
        "Kernel", 10, lambda row: "--" if row.kernel_size is None else str(row.kernel_size)
    ),
    "macs": Column("MACs", 15, lambda row: _number(row.macs)),
    "flops": Column("FLOPs", 15, lambda row: _number(row.flops)),
    "activations": Column("Activations", 15, lambda row: _bytes(row.activation_bytes)),
    "saved": Column("Saved", 15, lambda row: _bytes(row.saved_bytes)),
}
"""What a table can show besides the names."""

TITLES = {"tree": ("Layer (type:depth-idx)", 40), "flat": ("Layer (type)", 20)}


def _tree_name(row: Row) -> str:
    return "├─" + row.name if row.depth == 1 else "|    " * (row.depth - 1) + "└─" + row.name


def _cells(summary: Summary, row: Row) -> list[str]:
    name = _tree_name(row) if summary.style == "tree" else row.name
    cells = [COLUMNS[column].cell(row) for column in summary.columns]
    if summary.style == "flat":  # as torchsummary has it
        cells = [
            "0" if c == "params" and t == "--" else t
            for c, t in zip(summary.columns, cells, strict=True)
        ]
    return [name, *cells]


def _head(summary: Summary) -> list[str]:
    return [TITLES[summary.style][0], *[COLUMNS[column].title for column in summary.columns]]


def totals(summary: Summary) -> list[tuple[str, str]]:
    """Names and values of the lines below the table; a blank name is a rule."""
    batch = summary.batch_size
    each = "of one sample" if batch is None else f"of the batch of {batch}" if batch > 1 else ""
    memory = [
        ("Input", summary.input_bytes),
        ("Forward activations", summary.activation_bytes),
        ("Saved for backward", summary.saved_bytes),
        ("Params", summary.param_bytes),
        *([("Buffers", summary.buffer_bytes)] if summary.buffer_bytes else []),
    ]
    lines = [
        ("Total params", f"{summary.total_params:,}"),
        ("Trainable params", f"{summary.trainable_params:,}"),
        ("Non-trainable params", f"{summary.non_trainable_params:,}"),
        ("Total MACs", f"{summary.total_macs:,} {each}".rstrip()),
        ("Total FLOPs", f"{summary.total_flops:,} {each}".rstrip()),
    ]
    if summary.uncalled:
        lines.append(("Modules not called", ", ".join(summary.uncalled)))
    return [*lines, ("", ""), *[(f"{name} (MB)", f"{count / 1e6:,.2f}") for name, count in memory]]


def text(summary: Summary) -> str:
    """The table and the totals for a terminal."""
    table = [_head(summary), *[_cells(summary, row) for row in summary.rows]]
    least = [TITLES[summary.style][1], *[COLUMNS[column].width for column in summary.columns]]
    widths = [
        max(width, *[len(cell) for cell in column])
        for width, column in zip(least, zip(*table, strict=True), strict=True)
    ]
    align = str.ljust if summary.style == "tree" else str.rjust
    lines = [
        " ".join([align(cell, width) for cell, width in zip(cells, widths, strict=True)]).rstrip()
        for cells in table
    ]
    width = sum(widths) + len(widths) - 1
    double, single = "=" * width, "-" * width
    below = [f"{name}: {value}" if name else single for name, value in totals(summary)]
    return "\n".join([single, lines[0], double, *lines[1:], double, *below, single])


def html(summary: Summary) -> str:
    """The same as one HTML table, for notebooks."""
    head = "".join([f"<th>{escape(title)}</th>" for title in _head(summary)])
    body = []
    for row in summary.rows:
        name, *cells = _cells(summary, row)
        indent = 1.5 * (row.depth - 1) if summary.style == "tree" else 0
        shown = row.name if summary.style == "tree" else name
        body.append(
            f'<tr><td style="text-align:left;padding-left:{indent + 0.5}em">{escape(shown)}</td>'
            + "".join([f"<td>{escape(cell)}</td>" for cell in cells])
            + "</tr>"
        )
    span = len(summary.columns) + 1
    below = "<br/>".join([escape(f"{k}: {v}") for k, v in totals(summary) if k])
    return (
        f"<table><caption>{escape(summary.name)}</caption><thead><tr>{head}</tr></thead>"
        f'<tbody>{"".join(body)}</tbody><tfoot><tr><td colspan="{span}" style="text-align:left">'
        f"{below}</td></tr></tfoot></table>"
    )
