"""The tables of a profile, for a terminal: the step, its modules, and its ops, slowest first."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from minigrad.graph.profiles import OpTime, Profile

# Of a time line as wide as this, each sign shows the most memory within it.
WIDTH = 60
LEVELS = " ▁▂▃▄▅▆▇█"


def renderables(profile: Profile, most: int | None = 30) -> Iterator[RenderableType]:
    """What `minigrad profile` prints, with at most so many ops."""
    yield Text(_headline(profile))
    yield _modules(profile)
    yield _ops(profile, most)
    peak = f"{profile.peak_bytes / 1e6:,.1f} MB"
    yield Text(f"Live results over the step, at most {peak}:\n  [{_curve(profile)}]")


def text(profile: Profile) -> str:
    """All tables as text, without colours."""
    console = Console(file=io.StringIO(), width=160, color_system=None)
    with console.capture() as captured:
        for part in renderables(profile, None):
            console.print(part)
    return captured.get().rstrip()


def _headline(profile: Profile) -> str:
    step = profile.seconds or 1.0
    peak = f", peak {profile.peak_gflops:,.0f} GFLOP/s" if profile.peak_gflops else ""
    return (
        f"{profile.name}: {1e3 * profile.seconds:,.3f} ms a step (forward "
        f"{1e3 * profile.forward:,.3f}, backward {1e3 * profile.backward:,.3f}; mean of "
        f"the faster half of {profile.repeats}); {100 * profile.in_ops / step:.1f} % in ops, "
        f"{100 * profile.between / step:.1f} % in Python between them, "
        f"{100 * profile.outside / step:.1f} % outside; {profile.threads} thread(s){peak}"
    )


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(first, overflow="fold", min_width=28)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def _modules(profile: Profile) -> Table:
    table = _table("Modules", "module", "forward ms", "backward ms", "ms", "share", "GFLOP/s")
    step = profile.seconds or 1.0
    for module in profile.modules:
        depth = module.path.count(".")
        name = module.path.rpartition(".")[2] or "in no module"
        speed = module.flops / module.seconds / 1e9 if module.seconds else 0.0
        table.add_row(
            Text("  " * depth + name),
            f"{1e3 * module.forward:,.3f}",
            f"{1e3 * module.backward:,.3f}",
            f"{1e3 * module.seconds:,.3f}",
            f"{100 * module.seconds / step:.1f} %",
            f"{speed:,.1f}",
        )
    outside = f"{1e3 * profile.outside:,.3f}"
    table.add_row("outside", "", "", outside, f"{100 * profile.outside / step:.1f} %", "")
    return table


def _ops(profile: Profile, most: int | None) -> Table:
    ranked = sorted(profile.ops, key=lambda op: -op.seconds)[:most]
    left = len(profile.ops) - len(ranked)
    title = "Ops, slowest first" + (f" ({left} more)" if left else "")
    numbers = ("phase", "ms", "share", "between", "GFLOP/s", "of peak", "MB moved", "algorithm")
    table = _table(title, "op", *numbers)
    for op in ranked:
        table.add_row(Text(op.label or op.op), *_cells(profile, op))
    return table


def _cells(profile: Profile, op: OpTime) -> tuple[str, ...]:
    share = profile.share_of_peak(op)
    return (
        "backward" if op.backward else "forward",
        f"{1e3 * op.seconds:,.3f}",
        f"{100 * op.seconds / (profile.seconds or 1.0):.1f} %",
        f"{1e3 * op.between:,.3f}",
        f"{op.gflops:,.1f}",
        "" if share is None else f"{100 * share:.0f} %",
        f"{op.bytes_moved / 1e6:,.2f}",
        op.algorithm,
    )


def _curve(profile: Profile) -> str:
    """The live memory over the ops, in so many signs."""
    live = [op.live_bytes for op in profile.ops]
    width = min(WIDTH, len(live))
    top = max([*live, 1])
    parts = [live[i * len(live) // width : (i + 1) * len(live) // width] for i in range(width)]
    return "".join([LEVELS[-(-(len(LEVELS) - 1) * max(part) // top)] for part in parts])
