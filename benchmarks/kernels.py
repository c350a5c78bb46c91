"""`python -m benchmarks.kernels`: every kernel of the networks beside PyTorch's.

Each contender computes in a process of its own, in turns, and medians over the rounds are
compared: ratio = the better of PyTorch's two layouts / minigrad, so more than 1 is faster. Float32,
the same threads for all. `document` says what `--json` writes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.compiling import compile_times
from benchmarks.contenders import installed
from benchmarks.machine import describe
from benchmarks.markdown import page
from benchmarks.report import print_report
from benchmarks.shapes import PASSES, Case, distinct
from benchmarks.turns import REPOSITORY, Settings, environment, measure

__all__ = [
    *("document", "main"),
    *("parser", "pattern", "picture", "positive", "target", "write_json"),
]

PICTURES = (".png", ".svg", ".pdf")  # of all that matplotlib writes


def document(
    cases: dict[Case, list[str]], passes: Sequence[str], settings: Settings, compiling: bool
) -> dict[str, Any]:
    """All that was measured, as JSON holds it; times in seconds.

    - `machine`: processor, cores, threads, memory (bytes), system, versions
    - `settings`: threads, rounds, least_seconds and least_calls of a pass in a round
    - `contenders`: their names; `peak_gflops`: the machine's, as `benchmarks.peak` measures it
    - `rows`: of each case and pass: label, case (kind, shape, filters, kernel, stride, padding,
      groups, bias, first), wide_3x3, networks, pass, algorithm, seconds (by contender, the median
      of rounds), rounds (by contender), ratio, gflops (useful operations), peak_share, errors (by
      contender, the largest against float64 on results of unit variance), strict_error (minigrad's
      convolutions' with `precision("strict")`), error_batch
    - `summary`: groups (shapes, geometric_mean, lowest, and what is wanted), under (rows under
      0.9), slowest (three), largest_errors (by algorithm)
    - `compile_times`: compile, load, kernels, compiled_again, import; null unless measured
    """
    contenders = installed()
    peak = _peak(settings.threads)
    found = measure(contenders, list(cases), passes, settings)
    table = results.rows(cases, found, peak)
    return {
        "machine": describe(settings.threads),
        "settings": vars(settings),
        "contenders": contenders,
        "peak_gflops": peak,
        "rows": table,
        "summary": results.summary(table),
        "compile_times": compile_times(settings.threads) if compiling else None,
    }


def _peak(threads: int) -> float:
    command = [sys.executable, "-m", "benchmarks.peak"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment(threads)
    )
    if done.returncode:
        raise SystemExit("the process that measures the peak failed (see above)")
    return float(done.stdout)


def positive(text: str) -> int:
    """A whole number from 1, of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number from 1, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"takes a number of seconds from 0, got {text!r}")
    return value


def _passes(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    if unknown := [name for name in chosen if name not in PASSES]:
        raise argparse.ArgumentTypeError(f"no pass {unknown[0]!r}; there are {', '.join(PASSES)}")
    return chosen


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression, of the command line."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def target(text: str) -> Path:
    """A file to write, of the command line: told before anything is measured if it cannot be."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be written ({error.strerror})") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path


def picture(text: str) -> Path:
    """A file to draw to, of the command line."""
    if not text.lower().endswith(PICTURES):
        raise argparse.ArgumentTypeError(f"{text} does not end in {', '.join(PICTURES)}")
    return target(text)


def parser(description: str) -> argparse.ArgumentParser:
    """With the options that all comparisons have."""
    from minigrad.threads import get_num_threads

    options = argparse.ArgumentParser(description=description)
    add = options.add_argument
    add("--rounds", type=positive, default=5, help="turns of every contender (%(default)s)")
    add("--threads", type=positive, default=get_num_threads(), help="for all of them (%(default)s)")
    add(
        "--seconds", type=_seconds, default=0.2,
        help="least time of a pass in a round (%(default)s)",
    )  # fmt: skip
    add("--calls", type=positive, default=5, help="least calls of a pass in a round (%(default)s)")
    add("--json", type=target, metavar="FILE", help="write everything there")
    return options


def write_json(path: Path | None, found: dict[str, Any]) -> None:
    """Write it, and the folder it goes to, where a path is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the kernels' compile times too, unless `--only` picks some shapes."""
    options = parser("Compare every kernel of the networks with PyTorch's.")
    options.add_argument(
        "--only", type=pattern, metavar="PATTERN",
        help="shapes whose label or network the regular expression is found in",
    )  # fmt: skip
    options.add_argument(
        "--passes", type=_passes, default=list(PASSES), help=f"of {','.join(PASSES)}; all"
    )
    options.add_argument("--markdown", type=target, metavar="FILE", help="write tables there")
    chosen = options.parse_args(arguments)
    cases = {
        case: names
        for case, names in distinct().items()
        if chosen.only is None or any(chosen.only.search(text) for text in (case.label, *names))
    }
    cases = {case: names for case, names in cases.items() if {*case.passes} & {*chosen.passes}}
    if not cases:
        raise SystemExit(f"no shape is called like {chosen.only.pattern!r}, in these passes")
    settings = Settings(chosen.threads, chosen.rounds, chosen.seconds, chosen.calls)
    found = document(cases, chosen.passes, settings, compiling=chosen.only is None)
    write_json(chosen.json, found)
    if chosen.markdown is not None:
        chosen.markdown.parent.mkdir(parents=True, exist_ok=True)
        chosen.markdown.write_text(page(found))
    print_report(found)


if __name__ == "__main__":
    main()
