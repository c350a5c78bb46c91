"""What was measured as plain data: a row for each case and pass, and what the rows come to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.shapes import CONVOLUTION, PASSES, Case
from benchmarks.turns import Figures

__all__ = ["GROUPS", "OURS", "UNDER", "rows", "summary"]

OURS = "minigrad"
# A ratio below this is listed.
UNDER = 0.9

Row = dict[str, Any]


def rows(
    cases: Mapping[Case, Sequence[str]], found: Mapping[str, Sequence[Figures]], peak: float
) -> list[Row]:
    """One for each case and pass that was timed; `peak` in GFLOP/s.

    ratio = the best of the others' medians / minigrad's, None without another contender.
    """
    table = []
    for i, (case, networks) in enumerate(cases.items()):
        figures = {name: of_case[i] for name, of_case in found.items()}
        for which in figures[OURS].rounds:
            table.append(_row(case, networks, which, figures, peak))
    return table


def _row(
    case: Case, networks: Sequence[str], which: str, figures: Mapping[str, Figures], peak: float
) -> Row:
    seconds = {name: own.seconds(which) for name, own in figures.items()}
    ours = figures[OURS]
    others = [value for name, value in seconds.items() if name != OURS]
    rate = case.flops(which) / seconds[OURS] / 1e9 or None
    return {
        "label": case.label,
        "case": asdict(case),
        "wide_3x3": case.is_wide_3x3,
        "networks": list(networks),
        "pass": PASSES[which],
        "algorithm": ours.algorithm,
        "seconds": seconds,
        "rounds": {name: own.rounds[which] for name, own in figures.items()},
        "ratio": min(others) / seconds[OURS] if others else None,
        "gflops": rate,
        "peak_share": rate and rate / peak,
        "errors": {name: own.errors[which] for name, own in figures.items() if which in own.errors},
        "strict_error": ours.strict_errors.get(which),
        "error_batch": ours.error_batch or None,
    }


def _of(kind: bool, *passes: str) -> Callable[[Row], bool]:
    """Rows of convolutions, or of all else, of these passes."""
    names = [PASSES[which] for which in passes]
    return lambda row: (row["case"]["kind"] == CONVOLUTION) == kind and row["pass"] in names


def _wide(which: str) -> Callable[[Row], bool]:
    return lambda row: bool(row["wide_3x3"]) and row["pass"] == PASSES[which]


# What is summed up: of which rows, and what their geometric mean and their lowest should be.
GROUPS: dict[str, tuple[Callable[[Row], bool], float | None, float | None]] = {
    "convolution, forward": (_of(True, "forward"), 1.4, UNDER),
    "convolution, input gradient": (_of(True, "input"), None, None),
    "convolution, weight gradient": (_of(True, "weight"), None, None),
    "convolution, forward and backward": (_of(True, "both"), 1.5, UNDER),
    "3x3, stride 1, 64 channels or more, forward": (_wide("forward"), None, 1.6),
    "3x3, stride 1, 64 channels or more, input gradient": (_wide("input"), None, 1.6),
    "3x3, stride 1, 64 channels or more, weight gradient": (_wide("weight"), None, 1.6),
    "pooling, normalization, ReLU, forward": (_of(False, "forward"), None, None),
    "pooling, normalization, ReLU, forward and backward": (_of(False, "both"), None, None),
    "pooling, normalization, ReLU": (_of(False, "forward", "both"), 1.2, None),
}


def summary(table: Sequence[Row]) -> dict[str, Any]:
    """Geometric mean and lowest ratio of each group, the rows under 0.9 and the three shapes of
    the lowest ratios (forward, or forward and backward), the largest error by algorithm."""
    compared = [row for row in table if row["ratio"] is not None]
    groups = {}
    for name, (belongs, mean, lowest) in GROUPS.items():
        ratios = [row["ratio"] for row in compared if belongs(row)]
        if ratios:
            groups[name] = {
                "shapes": len(ratios),
                "geometric_mean": math.exp(math.fsum(map(math.log, ratios)) / len(ratios)),
                "wanted_mean": mean,
                "lowest": min(ratios),
                "wanted_lowest": lowest,
            }
    whole = [row for row in compared if row["pass"] in (PASSES["forward"], PASSES["both"])]
    whole.sort(key=lambda row: row["ratio"])
    slowest: dict[str, Row] = {}
    for row in whole:
        slowest.setdefault(row["label"], row)
    return {
        "groups": groups,
        "under": [_short(row) for row in whole if row["ratio"] < UNDER],
        "slowest": [_short(row) for row in list(slowest.values())[:3]],
        "largest_errors": _largest_errors(table),
    }


def _short(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("label", "pass", "algorithm", "ratio")}


def _largest_errors(table: Sequence[Row]) -> dict[str, float]:
    """minigrad's, by algorithm; of convolutions also in the strict mode."""
    largest: dict[str, float] = {}
    for row in table:
        if row["case"]["kind"] != CONVOLUTION:
            continue
        for name, value in (
            (row["algorithm"], row["errors"].get(OURS)),
            (f"{row['algorithm']}, in strict", row["strict_error"]),
        ):
            if value is not None:
                largest[name] = max(largest.get(name, 0.0), value)
    return largest
