"""The picture of a graph as PNG, drawn by matplotlib: the same boxes and lines as the SVG's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.graph.drawing import Box, Drawing, Line, drawing, stacked
from minigrad.graph.graph import Graph
from minigrad.graph.svg import LIGHT, curve

PIXELS = 16_000
"""A side is at most this long: larger pictures are scaled down."""


def write(graph: Graph, path: Path, *, depth: int | None = None, parameters: bool = False) -> None:
    """Write the picture of a graph; see `drawing.drawing` for the options.

    Raises ArgumentError where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ArgumentError(
            "save: PNG pictures need matplotlib: pip install 'minigrad[plot]' (or save as .svg, "
            "which needs nothing)"
        ) from error
    picture = drawing(graph, depth, parameters)
    figure = Figure(figsize=(picture.width / 72, picture.height / 72), facecolor=LIGHT["ground"])
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    _draw(axes, picture)
    longest = max(picture.width, picture.height)
    figure.savefig(path, format="png", dpi=72 * min(2.0, PIXELS / longest))


def _draw(axes: Any, picture: Drawing) -> None:
    for box in picture.boxes:
        if box.kind == "frame":
            _rect(axes, box, 8, 0.0, 1)
            name = axes.text(
                box.x + 10,
                box.y + 14,
                box.lines[0],
                color=LIGHT["ink"],
                weight="bold",
                size=11,
                va="center",
                parse_math=False,
            )
            axes.annotate(
                box.lines[1],
                (1, 0),
                xycoords=name,
                xytext=(6, 0),
                textcoords="offset points",
                color=LIGHT["soft"],
                size=9,
                va="bottom",
                parse_math=False,
            )
    for line in picture.lines:
        _line(axes, line)
    for box in picture.boxes:
        if box.kind == "frame":
            continue
        for i in range(stacked(box.count), -1, -1):
            _rect(axes, box, box.h / 2 if box.round else 6, 4.0 * i, 3)
        for text, y, colour, size, weight in (
            (box.lines[0], 14, "ink", 11, "bold"),
            (box.lines[1], 29, "soft", 9, "normal"),
        ):
            axes.text(
                box.x + box.w / 2,
                box.y + y,
                text,
                color=LIGHT[colour],
                size=size,
                weight=weight,
                ha="center",
                va="center",
                zorder=4,
                parse_math=False,
            )
    for x, y, name in picture.titles:
        axes.text(x, y, name, color=LIGHT["soft"], size=11, weight="bold", ha="center")


def _rect(axes: Any, box: Box, radius: float, shift: float, level: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={radius}"
    edge = LIGHT["crossing" if box.backward else "line"]
    axes.add_patch(
        FancyBboxPatch(
            (box.x + shift, box.y - shift),
            box.w,
            box.h,
            boxstyle=style,
            facecolor=LIGHT[box.kind],
            edgecolor=edge,
            linestyle="--" if box.backward else "-",
            linewidth=0.8,
            zorder=level,
        )
    )


def _line(axes: Any, line: Line) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    points, codes = [], []
    for name, given in curve(line):
        points += list(given)
        codes += [Curve.MOVETO if name == "M" else Curve.CURVE4] * len(given)
    crossing = line.crossing
    axes.add_patch(
        PathPatch(
            Curve(points, codes),
            fill=False,
            edgecolor=LIGHT["crossing" if crossing else "edge"],
            linestyle="--" if crossing else "-",
            alpha=0.45 if crossing else 1.0,
            linewidth=1.0,
            zorder=2,
        )
    )
    if line.arrow:
        (_, y0), (x, y) = line.points[-2:]
        back = y - 8.0 if y >= y0 else y + 8.0
        axes.add_patch(
            Polygon([(x, y), (x - 4, back), (x + 4, back)], color=LIGHT["edge"], zorder=2, lw=0)
        )
