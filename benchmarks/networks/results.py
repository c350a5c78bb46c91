"""What was measured as plain data: a row for each network and pass, with what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.networks.cases import PASSES, Network
from benchmarks.networks.contenders import DEFAULT, OURS
from benchmarks.networks.turns import Figures

__all__ = ["COMPARISONS", "Row", "row", "short_comings"]

Row = dict[str, Any]

# By key, what is divided by what. Of times, more is better; of memory, less.
COMPARISONS = {
    "over_default": "time: PyTorch / ours",
    "over_best": "PyTorch's fastest / ours",
    "memory": "memory above imports: ours / PyTorch",
    "process_memory": "of the process: ours / PyTorch",
}
MEMORY = {"memory": "above_imports", "process_memory": "peak"}


def row(network: Network, which: str, found: Mapping[str, Figures]) -> Row:
    """What all contenders showed, and each comparison: ratio (None where one of the two was not
    measured or failed), what is wanted (None if nothing is), and whether it is met."""
    seconds = {name: own.seconds for name, own in found.items() if own.seconds is not None}
    others = [name for name in seconds if name != OURS]
    best = min(others, key=lambda name: seconds[name], default=None)
    asked = PASSES[which]
    wanted = {"over_default": asked.over_default, "over_best": asked.over_best}
    wanted |= dict.fromkeys(MEMORY, asked.memory)
    ratios = {key: _ratio(key, found, seconds, best) for key in COMPARISONS}
    return {
        "network": network.name,
        "label": network.label,
        "title": network.title,
        "pass": asked.title,
        "contenders": {
            name: {"seconds": own.seconds, **asdict(own)} for name, own in found.items()
        },
        "best": best,
        "comparisons": {
            key: {"ratio": ratios[key], "wanted": wanted[key], "met": _met(key, ratios, wanted)}
            for key in COMPARISONS
        },
    }


def _ratio(
    key: str, found: Mapping[str, Figures], seconds: Mapping[str, float], best: str | None
) -> float | None:
    against = best if key == "over_best" else DEFAULT
    if against is None or not {OURS, against} <= seconds.keys():
        return None
    if key in MEMORY:
        return float(getattr(found[OURS], MEMORY[key]) / getattr(found[against], MEMORY[key]))
    return seconds[against] / seconds[OURS]


def _met(
    key: str, ratios: Mapping[str, float | None], wanted: Mapping[str, float | None]
) -> bool | None:
    ratio, limit = ratios[key], wanted[key]
    if ratio is None or limit is None:
        return None
    return ratio <= limit if key in MEMORY else ratio >= limit


def short_comings(table: list[Row]) -> list[str]:
    """A line for each wanted ratio that was missed, and for each contender that failed."""
    lines = []
    for own in table:
        what = f"{own['label']}, {own['pass']}"
        for key, comparison in own["comparisons"].items():
            if comparison["met"] is False:
                limit = f"{'at most' if key in MEMORY else 'at least'} {comparison['wanted']:.1f}"
                ratio = f"{comparison['ratio']:.2f}"
                lines.append(f"{what}: {COMPARISONS[key]} is {ratio}, wanted {limit}")
        for name, figures in own["contenders"].items():
            if figures["failed"]:
                lines.append(f"{what}: {name} failed: {figures['failed']}")
    return lines
