"""`python -m benchmarks [NAME ...]`: runs the benchmarks and prints their figures as a table."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from benchmarks import memory, resnet152, startup

BENCHMARKS = {"startup": startup, "memory": memory, "resnet152": resnet152}


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    table = Table("what", "median (range)", "wanted")
    for name in chosen:
        for row in BENCHMARKS[name].rows():
            table.add_row(*row)
        table.add_section()
    Console().print(table)


main()
