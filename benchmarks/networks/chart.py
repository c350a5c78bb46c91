"""Results as a picture: time and memory of every contender, as multiples of PyTorch's default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import sentence
from benchmarks.networks.contenders import DEFAULT, OURS
from benchmarks.networks.results import Row

__all__ = ["draw"]

# Key of a contender's figures, what is drawn of it, its unit and one of its units in the figures'.
DRAWN = (
    ("seconds", "time of a call", "ms", 1e-3),
    ("above_imports", "peak memory above imports", "MiB", 2**20),
)
GROUP = 0.8  # of the distance between two networks is taken by their bars


def draw(document: dict[str, Any], path: Path) -> None:
    """A row of panels for each pass. Without PyTorch's default, bars are multiples of minigrad."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    passes = list(dict.fromkeys(row["pass"] for row in document["rows"]))
    shown = {which: [r for r in document["rows"] if r["pass"] == which] for which in passes}
    most = max(map(len, shown.values()))
    figure, panels = pyplot.subplots(
        len(passes),
        len(DRAWN),
        figsize=(max(9.0, 4 + 3.2 * most), 4.2 * len(passes) + 1),
        squeeze=False,
        layout="constrained",
    )
    for line, which in zip(panels, passes, strict=True):
        for axes, (key, title, unit, one) in zip(line, DRAWN, strict=True):
            _bars(axes, shown[which], document["contenders"], key, one)
            axes.set_title(f"{which}: {title}\n(above the bars: {unit})")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.supxlabel(sentence(document["machine"]), fontsize=7, wrap=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _bars(axes: Any, rows: Sequence[Row], names: Sequence[str], key: str, one: float) -> None:
    """Groups of bars, a network each, with their own figures above them."""
    unit = DEFAULT if DEFAULT in names else OURS if OURS in names else names[0]
    width = GROUP / len(names)
    for i, name in enumerate(names):
        values = [_value(row, name, key) for row in rows]
        units = [_value(row, unit, key) for row in rows]
        heights = [v / u if v and u else 0 for v, u in zip(values, units, strict=True)]
        places = [place + width * (i + 0.5) - GROUP / 2 for place in range(len(rows))]
        bars = axes.bar(places, heights, width, color=f"C{i}", label=name)
        texts = [_shown(value / one) if value else "failed" for value in values]
        labels = axes.bar_label(bars, texts, fontsize=7, rotation=90, padding=3)
        for label in labels:  # the line at 1 runs behind them
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    axes.axhline(1, color="black", linewidth=0.8)
    axes.margins(y=0.2)
    axes.set_xticks(range(len(rows)), [row["title"] for row in rows])
    axes.set_ylabel(f"{unit} = 1")


def _shown(figure: float) -> str:
    """Three digits, and all of them before the point."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _value(row: Row, name: str, key: str) -> float | None:
    figures = row["contenders"][name]
    return None if figures["failed"] else figures[key]
