"""`detect_anomaly`: stops at the first op that makes a NaN or an infinity, and says where.

While it is on, every result is looked through, which costs about as much as a copy of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from minigrad import tape
from minigrad.errors import AnomalyError
from minigrad.graph.source import user_line
from minigrad.op import Op
from minigrad.tensor import Array, Tensor


class _Detector:
    """Sees every op, and notes the line of the user's program on each node."""

    def runs(self, op: Op) -> None:
        pass

    def ran(self, op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        line = user_line()
        for output in outputs:
            if output._node is not None:
                output._node.line = line
            index = _first_bad(output._array)
            if index is not None:
                raise AnomalyError(self._report(op, inputs, output._array, index, line))

    def _report(
        self, op: Op, inputs: Sequence[Tensor], made: Array, index: tuple[int, ...], line: str
    ) -> str:
        bad = [i for i, x in enumerate(inputs) if _first_bad(x._array) is not None]
        verb = f"got a non-finite input {bad[0]}, and gave" if bad else "made"
        what = f"{op.name} {verb} {made[index]} at index {index} of a result of {made.shape}"
        node = tape.state.origin
        scope = tape.state.scope if node is None else node.scope
        path = f"{scope.path}, " if scope is not None else ""
        if node is None:
            return f"forward: {what}, in {path}{line}"
        where = node.line or "a line outside of detect_anomaly"
        return f"backward of {node.name}: {what}; its forward was in {path}{where}"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within: the first op, in a forward or a backward, that makes a non-finite value raises
    AnomalyError, which names it, the module it ran in, and the line of your program."""
    with tape.watching(_Detector()):
        yield


def _first_bad(array: Array) -> tuple[int, ...] | None:
    """The index of the first element that is not finite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    return tuple([int(i) for i in np.argwhere(~np.isfinite(array))[0]])
