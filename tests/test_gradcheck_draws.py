"""No false alarms: whatever values a right gradient is checked at, `gradcheck` calls it no error.

The rows of the table of samples are drawn at random and their inputs are drawn anew, with all that
makes differences hard: zeros, ties, kinks, large and small numbers, float32 inside.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sample import Sample
from samples import SAMPLES

import minigrad as mg
from minigrad.checking import Verdict
from minigrad.errors import MinigradError
from minigrad.op import CATALOGUE
from minigrad.tensor import Tensor

Array = np.ndarray[Any, Any]
Random = np.random.Generator
DRAWS = int(os.environ.get("MINIGRAD_DRAWS", "10000"))
ROWS = [
    sample
    for sample in SAMPLES
    if sample.differentiable
    and CATALOGUE[sample.op].differentiable
    and sum(x.size for x in sample.inputs) <= 64
]
ALARMS = (Verdict.WRONG, Verdict.MISSING)

STYLES = {
    "resampled": lambda x, rng: rng.choice(x.ravel(), x.shape) * rng.uniform(0.8, 1.2, x.shape),
    "ties": lambda x, rng: rng.choice(x.ravel(), x.shape),
    "equal": lambda x, rng: np.full(x.shape, rng.choice(x.ravel())),
    "normal": lambda x, rng: rng.standard_normal(x.shape),
    "halves": lambda x, rng: rng.integers(-4, 5, x.shape) / 2,
    "zeros": lambda x, rng: np.where(rng.random(x.shape) < 0.4, 0.0, x),
    "ones": lambda x, rng: np.where(rng.random(x.shape) < 0.4, rng.choice([-1.0, 1.0]), x),
    "near_zero": lambda x, rng: np.where(rng.random(x.shape) < 0.4, 1e-7 * x, x),
    "large": lambda x, rng: x * 10.0 ** rng.integers(1, 5),
    "small": lambda x, rng: x * 10.0 ** -rng.integers(1, 7),
    "wide": lambda x, rng: x * 10.0 ** rng.uniform(-4, 3, x.shape),
}


NEEDS_REGULAR = ("eigh", "svd", "qr", "pinv", "cofactor")
TIED = ("ties", "equal", "halves", "zeros", "ones", "small", "near_zero", "wide")
"""Styles that give a matrix equal eigenvalues or dependent columns, where the gradients of
`NEEDS_REGULAR` do not exist or, nearby, have no digits left."""


def redrawn(sample: Sample, rng: Random) -> tuple[str, list[Array]]:
    """Inputs of the sample's shapes; integers and truth values stay as they are."""
    taken = [s for s in STYLES if s not in TIED or sample.op not in NEEDS_REGULAR]
    style = str(rng.choice(taken))
    return style, [
        np.asarray(STYLES[style](x, rng), x.dtype) if x.dtype.kind == "f" and x.size else x
        for x in sample.inputs
    ]


def in_single(sample: Sample) -> Any:
    def function(*inputs: Tensor) -> Tensor:
        single = [x.astype("float32") if x.dtype.kind == "f" else x for x in inputs]
        return sample.function(*single)

    return function


def alarm(seed: int, counts: Counter[str]) -> str:
    """What is wrong with one draw; empty if nothing is."""
    rng = np.random.default_rng([20240607, seed])
    sample = ROWS[rng.integers(len(ROWS))]
    style, inputs = redrawn(sample, rng)
    single = rng.random() < 0.15
    options: dict[str, Any] = {"fast": rng.random() < 0.3, "seed": int(rng.integers(1000))}
    options["order"] = 2 if rng.random() < 0.2 and not single else 1
    function = in_single(sample) if single else sample.function
    label = f"{seed} {sample.id} {style} single={single} {options}"
    try:
        with np.errstate(all="ignore"):
            report = mg.gradcheck(function, *inputs, raise_on_failure=False, **options)
    except MinigradError as error:  # a singular matrix, a target that is no probability, ...
        counts["refused"] += 1
        return "" if style != "resampled" else f"refused: {label}: {error}"
    for result in report.results:
        counts[result.verdict] += 1
    if any(result.verdict in ALARMS for result in report.results):
        counts["false alarms"] += 1
        return f"{label}\n{report}"
    return ""


def survey(draws: int) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    found = [alarm(seed, counts) for seed in range(draws)]
    return counts, [text for text in found if text]


def test_no_false_alarm_in_a_few_draws() -> None:
    counts, found = survey(60)
    assert not counts["false alarms"], "\n".join(found)


@pytest.mark.slow
def test_no_false_alarm() -> None:
    counts, found = survey(DRAWS)
    print(f"\ndraws: {DRAWS}, of {len(ROWS)} rows: {dict(counts)}")
    print("\n".join(found))
    assert not counts["false alarms"]
