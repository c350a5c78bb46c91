"""Where in the user's program something happens."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

PACKAGE = str(Path(__file__).parents[1])
MODELS = str(Path(PACKAGE) / "models")
"""Networks are programs like a user's: their lines are what one wants to see."""


def user_line() -> str:
    """File, line and text of the innermost frame outside of minigrad."""
    frame: Any = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return "an unknown line" if frame is None else _text(frame.f_code.co_filename, frame.f_lineno)


def line_of(traceback: TracebackType | None) -> str:
    """File, line and text of the innermost frame outside of minigrad that an error passed."""
    found = "an unknown line"
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not _is_ours(file):
            found = _text(file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def _text(file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    return f"{file}:{line}" + (f": {text}" if text else "")


def _is_ours(file: str) -> bool:
    return file.startswith(PACKAGE) and not file.startswith(MODELS)
