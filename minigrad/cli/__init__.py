"""The command `minigrad`. Whatever is wrong with the input ends as one line and exit status 2."""

from __future__ import annotations

import sys

from minigrad.errors import MinigradError

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process."""
    from minigrad.cli.app import app

    try:
        app()
    except MinigradError as error:
        line = " ".join(str(error).split())
        print(f"minigrad: {line}", file=sys.stderr)
        sys.exit(2)
