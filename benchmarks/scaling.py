"""`python -m benchmarks.scaling`: how a 3x3 convolution's time grows, in minigrad and in PyTorch.

Around one shape, 8 x 128 x 28 x 28 to 128 channels, one thing at a time varies: channels, image
size, batch, threads. As a table, as JSON, and as a picture where matplotlib is installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.contenders import installed
from benchmarks.kernels import parser, picture, write_json
from benchmarks.machine import describe, sentence
from benchmarks.report import console
from benchmarks.shapes import CONVOLUTION, PASSES, Case
from benchmarks.turns import Settings, measure

__all__ = ["main"]

SHOWN = "forward", "both"
VARIED: dict[str, tuple[int, ...]] = {
    "channels": (16, 32, 64, 128, 256, 512),
    "size": (7, 14, 28, 56, 112, 224),
    "batch": (1, 2, 4, 8, 16, 32),
    "threads": (),  # 1, 2, 4, ... up to those asked for
}
USUAL = {"channels": 128, "size": 28, "batch": 8}

Point = dict[str, Any]


def _case(channels: int, size: int, batch: int) -> Case:
    return Case(CONVOLUTION, (batch, channels, size, size), channels, 3, 1, 1)


def _thread_counts(most: int) -> list[int]:
    counts = [1]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    return counts


def points(series: str, settings: Settings) -> Iterator[Point]:
    """What one series shows: value, label, pass, and seconds, by contender."""
    contenders = installed()
    if series == "threads":
        values = _thread_counts(settings.threads)
        runs = [([_case(**USUAL)], replace(settings, threads=n)) for n in values]
    else:
        values = list(VARIED[series])
        runs = [([_case(**{**USUAL, series: value}) for value in values], settings)]
    cases: list[Case] = []
    figures: dict[str, list[Any]] = {name: [] for name in contenders}
    for own, setting in runs:
        cases += own
        for name, found in measure(contenders, own, SHOWN, setting, errors=False).items():
            figures[name] += found
    for i, (value, case) in enumerate(zip(values, cases, strict=True)):
        for which in SHOWN:
            seconds = {name: figures[name][i].seconds(which) for name in contenders}
            yield {
                "series": series,
                "value": value,
                "label": case.label,
                "pass": PASSES[which],
                "gflops": case.flops(which) / seconds["minigrad"] / 1e9,
                "seconds": seconds,
            }


def _print(found: Sequence[Point], machine: dict[str, Any]) -> None:
    names = list(found[0]["seconds"])
    table = Table("varied", "shape", "pass", title="3x3 convolution", title_justify="left")
    for column in (*(f"{name} ms" for name in names), "ratio", "GFLOP/s"):
        table.add_column(column, justify="right")
    before = None
    for point in found:
        if before not in (None, point["series"]):
            table.add_section()
        before = point["series"]
        ours, *others = (point["seconds"][name] for name in names)
        table.add_row(
            f"{point['series']} {point['value']}",
            point["label"],
            point["pass"],
            *(f"{1e3 * point['seconds'][name]:.3f}" for name in names),
            f"{min(others) / ours:.2f}" if others else "",
            f"{point['gflops']:.0f}",
        )
    out = console()
    out.print(table)
    out.print(sentence(machine))


def _draw(found: Sequence[Point], path: Path) -> None:
    """A panel for each series, time against value, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    series = list(dict.fromkeys(point["series"] for point in found))
    figure, panels = pyplot.subplots(
        1, len(series), figsize=(4 * len(series) + 3, 5), squeeze=False, layout="constrained"
    )
    for axes, name in zip(panels[0], series, strict=True):
        for which, line in zip(SHOWN, ("-", "--"), strict=True):
            own = [p for p in found if (p["series"], p["pass"]) == (name, PASSES[which])]
            values = [p["value"] for p in own]
            for i, contender in enumerate(own[0]["seconds"]):
                times = [1e3 * p["seconds"][contender] for p in own]
                axes.loglog(
                    values, times, line, marker=".", color=f"C{i}", label=f"{contender}, {which}"
                )
        axes.set_xticks(values, [str(value) for value in values], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel(name)
        axes.set_ylabel("ms")
        axes.grid(alpha=0.3)
    lines, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _series(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    if unknown := [name for name in chosen if name not in VARIED]:
        raise argparse.ArgumentTypeError(f"no series {unknown[0]!r}; there are {', '.join(VARIED)}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the series, print them, and write what is asked for."""
    options = parser("Time a 3x3 convolution against its channels, size, batch and threads.")
    add = options.add_argument
    add("--series", type=_series, default=list(VARIED), help=f"of {','.join(VARIED)}; all")
    add("--png", type=picture, metavar="FILE", help="draw it there, if matplotlib is installed")
    chosen = options.parse_args(arguments)
    settings = Settings(chosen.threads, chosen.rounds, chosen.seconds, chosen.calls)
    found = [point for series in chosen.series for point in points(series, settings)]
    machine = describe(settings.threads)
    write_json(chosen.json, {"machine": machine, "settings": vars(settings), "points": found})
    _print(found, machine)
    if chosen.png is not None:
        if find_spec("matplotlib"):
            _draw(found, chosen.png)
        else:
            print("matplotlib is not installed, so there is no picture", file=sys.stderr)


if __name__ == "__main__":
    main()
