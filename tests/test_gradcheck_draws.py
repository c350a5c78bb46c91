"""No false alarms: whatever values a right gradient is checked at, `gradcheck` calls it no error.

Hypothesis draws rows of the table of samples and values for their inputs, with all that makes
differences hard: zeros, ties, kinks, large and small numbers, float32 inside. The slow part is
cut into slices that workers share; its counts of verdicts end the output of the run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sample import Sample
from samples import SAMPLES

import minigrad as mg
from minigrad.checking import Verdict
from minigrad.errors import MinigradError
from minigrad.op import CATALOGUE
from minigrad.tensor import Tensor

Array = np.ndarray[Any, Any]
DRAWS = int(os.environ.get("MINIGRAD_DRAWS", "10000"))
SLICES = 10
ROWS = [
    sample
    for sample in SAMPLES
    if sample.differentiable
    and CATALOGUE[sample.op].differentiable
    and sum(x.size for x in sample.inputs) <= 64
]
ALARMS = (Verdict.WRONG, Verdict.MISSING)


def picked(x: Array) -> st.SearchStrategy[float]:
    """One of the sample's own values: they lie where its function is defined."""
    return st.sampled_from(x.ravel().tolist())


def filled(x: Array, elements: st.SearchStrategy[float]) -> st.SearchStrategy[Array]:
    return arrays(np.float64, x.shape, elements=elements, fill=st.nothing())


def scaled(x: Array, powers: st.SearchStrategy[float]) -> st.SearchStrategy[Array]:
    return powers.map(lambda power: x * 10.0**power)


def times(x: Array, factors: st.SearchStrategy[float]) -> st.SearchStrategy[float]:
    return st.tuples(picked(x), factors).map(lambda pair: pair[0] * pair[1])


def resampled(x: Array, number: int) -> Array:
    """Values near the sample's, no two of them alike."""
    rng = np.random.default_rng(number)
    return np.asarray(rng.choice(x.ravel(), x.shape) * rng.uniform(0.8, 1.2, x.shape))


SEEDS = st.integers(0, 2**32 - 1)
STYLES: dict[str, Callable[[Array], st.SearchStrategy[Array]]] = {
    "equal": lambda x: picked(x).map(lambda value: np.full(x.shape, value)),
    "ties": lambda x: filled(x, picked(x)),
    "zeros": lambda x: filled(x, st.just(0.0) | picked(x)),
    "ones": lambda x: filled(x, st.sampled_from([1.0, -1.0]) | picked(x)),
    "halves": lambda x: filled(x, st.integers(-4, 4).map(lambda n: n / 2)),
    "seeded": lambda x: SEEDS.map(lambda number: resampled(x, number)),
    "nearby": lambda x: filled(x, times(x, st.floats(0.8, 1.2))),
    "free": lambda x: filled(x, st.floats(-3, 3)),
    "near_zero": lambda x: filled(x, times(x, st.sampled_from([1.0, 1e-7]))),
    "large": lambda x: scaled(x, st.integers(1, 4)),
    "small": lambda x: scaled(x, st.integers(-6, -1)),
    "wide": lambda x: filled(x, times(x, st.floats(-4, 3).map(lambda power: 10.0**power))),
}
NEEDS_REGULAR = ("eigh", "svd", "qr", "pinv", "cofactor")
REGULAR = ("seeded", "large")
"""The styles that give a matrix neither equal eigenvalues nor dependent columns, where the
gradients of `NEEDS_REGULAR` do not exist or, nearby, have no digits left."""


@dataclass(frozen=True, repr=False)
class Draw:
    """A row, its inputs drawn anew, and how they are checked."""

    sample: Sample
    style: str
    inputs: tuple[Array, ...]
    single: bool
    options: dict[str, Any]

    def __repr__(self) -> str:
        drawn = ", ".join(repr(x.tolist()) for x in self.inputs)
        return f"{self.sample.id} {self.style} single={self.single} {self.options}: {drawn}"

    def function(self, *inputs: Tensor) -> Tensor:
        single = [x.astype("float32") if x.dtype.kind == "f" else x for x in inputs]
        return self.sample.function(*(single if self.single else inputs))


@st.composite
def draws(draw: st.DrawFn) -> Draw:
    """Integers and truth values of a sample stay as they are."""
    sample = draw(st.sampled_from(ROWS))
    style = draw(st.sampled_from(REGULAR if sample.op in NEEDS_REGULAR else list(STYLES)))
    inputs = [
        draw(STYLES[style](x)) if x.dtype.kind == "f" and x.size else x for x in sample.inputs
    ]
    single = draw(st.integers(0, 6)) == 6
    options = {
        "order": 1 if single else draw(st.sampled_from([1, 1, 1, 2])),
        "fast": draw(st.sampled_from([False, False, True])),
        "seed": draw(st.integers(0, 999)),
    }
    return Draw(sample, style, tuple(inputs), single, options)


def raises_no_alarm(drawn: Draw, counts: Counter[str]) -> None:
    counts["draws"] += 1
    try:
        with np.errstate(all="ignore"):
            report = mg.gradcheck(
                drawn.function, *drawn.inputs, raise_on_failure=False, **drawn.options
            )
    except MinigradError:  # a singular matrix, a target that is no probability, ...
        counts["refused"] += 1
        return
    counts.update(str(result.verdict) for result in report.results)
    alarms = [result for result in report.results if result.verdict in ALARMS]
    assert not alarms, f"{drawn.sample.id}\n{report}"


def survey(number: int, count: int, counts: Counter[str]) -> None:
    """Count the verdicts of so many draws, other ones for every number."""

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(draws())
    def check(drawn: Draw) -> None:
        raises_no_alarm(drawn, counts)

    check()


def test_no_false_alarm_in_a_few_draws() -> None:
    counts: Counter[str] = Counter()
    survey(0, 60, counts)
    assert counts["draws"] >= 60
    assert counts["refused"] < 20
    assert counts[Verdict.RIGHT] > 60


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, SLICES + 1))
def test_no_false_alarm(number: int, record_property: Callable[[str, object], None]) -> None:
    counts: Counter[str] = Counter()
    try:
        survey(number, DRAWS // SLICES, counts)
    finally:
        record_property("gradcheck of draws", dict(counts))
    assert counts["draws"] >= DRAWS // SLICES
    assert counts["refused"] < DRAWS // SLICES // 4


def test_slices_draw_differently_and_repeat_themselves() -> None:
    first, again, other = Counter[str](), Counter[str](), Counter[str]()
    for number, counts in ((1, first), (1, again), (2, other)):
        survey(number, 40, counts)
    assert first == again != other
