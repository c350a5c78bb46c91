"""`detect_anomaly`: stops at the first op that makes a NaN or an infinity, and says where.

While it is on, every result is looked through, which costs about as much as a copy of it.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from minigrad import tape
from minigrad.errors import AnomalyError
from minigrad.nn.module import module_path
from minigrad.op import Op
from minigrad.tensor import Array, Tensor

PACKAGE = str(Path(__file__).parent)


class _Detector:
    """Sees every op, and remembers the line of the user's program each recorded one came from."""

    def __init__(self) -> None:
        self.origins: WeakKeyDictionary[tape.Node, str] = WeakKeyDictionary()
        self.backward_of: tape.Node | None = None

    def differentiating(self, node: tape.Node | None) -> None:
        self.backward_of = node

    def ran(self, op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        origin = _user_line()
        for output in outputs:
            if output._node is not None:
                self.origins[output._node] = origin
            index = _first_bad(output._array)
            if index is not None:
                raise AnomalyError(self._report(op, inputs, output._array, index, origin))

    def _report(
        self, op: Op, inputs: Sequence[Tensor], made: Array, index: tuple[int, ...], origin: str
    ) -> str:
        bad = [i for i, x in enumerate(inputs) if _first_bad(x._array) is not None]
        verb = f"got a non-finite input {bad[0]}, and gave" if bad else "made"
        what = f"{op.name} {verb} {made[index]} at index {index} of a result of {made.shape}"
        path = module_path(tape.state.scope)
        node = self.backward_of
        if node is None:
            return f"forward: {what}, in {path + ', ' if path else ''}{origin}"
        path = module_path(node.scope)
        where = self.origins.get(node, "a line outside of detect_anomaly")
        return (
            f"backward of {node.name}: {what}; its forward was in "
            f"{path + ', ' if path else ''}{where}"
        )


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within: the first op, in a forward or a backward, that makes a non-finite value raises
    AnomalyError, which names it, the module it ran in, and the line of your program."""
    previous = tape.state.watch
    tape.state.watch = _Detector()
    try:
        yield
    finally:
        tape.state.watch = previous


def _first_bad(array: Array) -> tuple[int, ...] | None:
    """The index of the first element that is not finite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    return tuple([int(i) for i in np.argwhere(~np.isfinite(array))[0]])


def _user_line() -> str:
    """File, line and text of the innermost frame outside of minigrad."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    return f"{file}:{line}" + (f": {text}" if text else "")
