"""Fast or strict: whether float32 may take algorithms that round more but multiply less.

`precision(mode)` is a setting of the whole program, and with `with` one of the present thread. A
kernel with a choice asks `is_strict()`; float64 and results that have one algorithm do not change.
"""

from __future__ import annotations

import threading
import weakref
from types import TracebackType
from typing import Literal

from minigrad.errors import ArgumentError

__all__ = ["get_precision", "is_strict", "precision"]

Mode = Literal["fast", "strict"]
MODES = ("fast", "strict")


class precision:  # a call with an effect, and a context manager: named as it is used
    """Choose how float32 is computed, from here on and in every thread, or within a block:

        mg.precision("strict")
        with mg.precision("strict"): ...

    "fast" (the default) takes Winograd's algorithm for convolutions and Strassen's for those of one
    tap where they win, whose errors are up to ten times those of the direct sum, and sums more
    products in one go. "strict" takes direct algorithms, and sums of shorter sums. A block holds
    for the thread it runs in, and there goes before the setting of the program. Raises
    ArgumentError for another mode.
    """

    def __init__(self, mode: Mode) -> None:
        if mode not in MODES:
            raise ArgumentError(f'precision: mode must be "fast" or "strict", got {mode!r}')
        self.mode: Mode = mode
        _program.append(self)

    def __enter__(self) -> None:
        _program.remove(self)
        _blocks().append(self.mode)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _blocks().pop()

    def __repr__(self) -> str:
        return f"precision({self.mode!r})"


class _Program:
    """The setting of the whole program: the last `precision` that became no block.

    Which of them will be a block is known once it is entered, or is gone. Older settings are kept
    only as long as a later one may still turn out to be a block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings: list[tuple[Mode, weakref.ref[precision] | None]] = [("fast", None)]

    @property
    def mode(self) -> Mode:
        return self._settings[-1][0]

    def append(self, setting: precision) -> None:
        with self._lock:
            settings = [*self._settings, (setting.mode, weakref.ref(setting))]
            certain = [i for i, (_, ref) in enumerate(settings) if ref is None or ref() is None]
            self._settings = settings[certain[-1] :]

    def remove(self, setting: precision) -> None:
        with self._lock:
            self._settings = [
                entry for entry in self._settings if entry[1] is None or entry[1]() is not setting
            ]


_program = _Program()
_thread = threading.local()


def _blocks() -> list[Mode]:
    """The blocks that the present thread is in, the innermost last."""
    try:
        blocks: list[Mode] = _thread.blocks
    except AttributeError:
        blocks = _thread.blocks = []
    return blocks


def get_precision() -> Mode:
    """The precision in force here: that of the innermost block, else of the program."""
    blocks = _blocks()
    return blocks[-1] if blocks else _program.mode


def is_strict() -> bool:
    """Whether a kernel must take the direct algorithm."""
    return get_precision() == "strict"
