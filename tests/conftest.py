"""What several test modules share: the record of every op that runs, also within a backward."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

import minigrad.kernels.jit
import minigrad.ops  # noqa: F401  (fills the catalogue)
from minigrad.op import CATALOGUE, Op
from minigrad.spec import Spec


class Execution(NamedTuple):
    """One run of an op's forward, in the specs of the arrays that went in and came out."""

    op: Op
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """Fills with every forward that runs during the test."""
    seen: list[Execution] = []

    def observed(forward: Any) -> Any:
        def run(op: Op, *arrays: Any) -> Any:
            results = forward(op, *arrays)
            listed = results if isinstance(results, tuple) else (results,)
            seen.append(Execution(op, _specs(arrays), _specs(listed)))
            return results

        return run

    # An inherited forward is looked up before any class is changed.
    for op, forward in [(op, op.forward) for op in CATALOGUE.values()]:
        monkeypatch.setattr(op, "forward", observed(forward))
    return seen


def _specs(arrays: Any) -> tuple[Spec, ...]:
    return tuple([Spec(array.shape, array.dtype) for array in arrays])
