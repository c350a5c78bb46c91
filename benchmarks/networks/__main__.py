"""`python -m benchmarks.networks`: training steps and inference of whole networks, and PyTorch's.

Every contender computes in a process of its own, in turns, and medians over the rounds are
compared. Float32, the same threads for all. `document` says what `--json` writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.kernels import parser, pattern, picture, write_json
from benchmarks.machine import describe
from benchmarks.networks import results
from benchmarks.networks.cases import NETWORKS, PASSES, Network
from benchmarks.networks.chart import draw
from benchmarks.networks.contenders import CONTENDERS, installed
from benchmarks.networks.report import print_report
from benchmarks.networks.turns import measure
from benchmarks.turns import Settings

__all__ = ["document", "main"]


def document(
    networks: Sequence[Network],
    passes: Sequence[str],
    contenders: Sequence[str],
    settings: Settings,
    cold: bool = True,
) -> dict[str, Any]:
    """All that was measured, as JSON holds it; times in seconds, memory in bytes.

    - `machine`: processor, cores, threads, memory, system, versions
    - `settings`: threads, rounds, least_seconds and least_calls of a turn; `contenders`: names
    - `rows`: of each network and pass: network, label, title, pass, contenders, best (the fastest
      other than minigrad), comparisons (by key: ratio, wanted, met)
    - a row's `contenders`, by name: seconds (the median of rounds), rounds, peak (resident, of the
      process), above_imports (of it), start (import, build, first), cold_first (null unless there
      is something to compile, and it was), idle_cpu (processor seconds outside of turns), result
      (the loss, or the sum of scores), failed (null, or why)
    """
    total = len(networks) * len(passes) * len(contenders) * (settings.rounds + 1)
    table = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)

        def advance(what: str) -> None:
            progress.update(task, description=what, advance=1)

        for network in networks:
            for which in passes:
                found = measure(contenders, network, which, settings, cold, advance)
                table.append(results.row(network, which, found))
    return {
        "machine": describe(settings.threads),
        "settings": asdict(settings),
        "contenders": list(contenders),
        "rows": table,
    }


def _names(text: str, known: Sequence[str], what: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    if unknown := [name for name in chosen if name not in known]:
        raise argparse.ArgumentTypeError(f"no {what} {unknown[0]!r}; there are {', '.join(known)}")
    return list(dict.fromkeys(chosen))


def _listed(known: Sequence[str], what: str) -> Callable[[str], list[str]]:
    return partial(_names, known=known, what=what)


def _options() -> argparse.ArgumentParser:
    options = parser("Compare training steps and inference of whole networks with PyTorch's.")
    options.set_defaults(seconds=1.0, calls=3)
    add = options.add_argument
    add(
        "--only", type=pattern, metavar="PATTERN",
        help="networks whose name or label the regular expression is found in",
    )  # fmt: skip
    add(
        "--passes", type=_listed(list(PASSES), "pass"), default=list(PASSES),
        help=f"of {','.join(PASSES)}; all",
    )  # fmt: skip
    add(
        "--contenders", type=_listed(list(CONTENDERS), "contender"), metavar="NAMES",
        help=f"of {','.join(CONTENDERS)}; all that are installed",
    )  # fmt: skip
    add("--warm", action="store_true", help="leave out first calls that have all to compile")
    add("--png", type=picture, metavar="FILE", help="draw it there, if matplotlib is installed")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write what is asked for."""
    chosen = _options().parse_args(arguments)
    networks = [
        network
        for network in NETWORKS
        if chosen.only is None or any(map(chosen.only.search, (network.name, network.label)))
    ]
    if not networks:
        raise SystemExit(f"no network is called like {chosen.only.pattern!r}")
    here = installed()
    contenders = chosen.contenders or here
    if missing := [name for name in contenders if name not in here]:
        raise SystemExit(f"{missing[0]} cannot be measured: PyTorch is not installed")
    settings = Settings(chosen.threads, chosen.rounds, chosen.seconds, chosen.calls)
    found = document(networks, chosen.passes, contenders, settings, not chosen.warm)
    write_json(chosen.json, found)
    print_report(found)
    if chosen.png is not None:
        if find_spec("matplotlib"):
            draw(found, chosen.png)
        else:
            print("matplotlib is not installed, so there is no picture", file=sys.stderr)


if __name__ == "__main__":
    main()
