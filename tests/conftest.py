"""What several test modules share: the record of every op that runs, also within a backward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

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


@pytest.fixture
def few_tilings() -> Iterator[None]:
    """Convolutions choose from two shapes of tiles, so that few kernels are compiled."""
    import few_tilings  # which brings Numba, for those alone who ask for it

    with few_tilings.few_tilings():
        yield


def _specs(arrays: Any) -> tuple[Spec, ...]:
    return tuple([Spec(array.shape, array.dtype) for array in arrays])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints what tests counted (`record_property` with a dictionary), summed over all tests."""
    totals: dict[str, Counter[str]] = {}
    for report in [r for reports in terminalreporter.stats.values() for r in reports]:
        for name, value in getattr(report, "user_properties", ()):
            if isinstance(value, dict) and report.when == "call":
                totals.setdefault(name, Counter()).update(value)
    for name, counts in totals.items():
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        terminalreporter.write_line(f"{name}: {told}")
