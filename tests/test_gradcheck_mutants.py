"""`gradcheck` over the table of samples: it calls no right gradient wrong, and catches an op's
gradient that was broken in any of several ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from mutation import MUTANTS, mutated
from sample import Sample
from samples import SAMPLES

import minigrad as mg
from minigrad.checking import GradcheckReport, Verdict
from minigrad.op import CATALOGUE

DIFFERENTIABLE = [sample for sample in SAMPLES if sample.differentiable]
OPS = sorted({sample.op for sample in DIFFERENTIABLE if CATALOGUE[sample.op].differentiable})
BROKEN = (Verdict.WRONG, Verdict.MISSING)


def check(sample: Sample, **options: Any) -> GradcheckReport:
    return mg.gradcheck(
        sample.function, *sample.inputs, raise_on_failure=False, strict=True, **options
    )


def gradients(sample: Sample) -> list[Any]:
    inputs = [mg.tensor(x) for x in sample.inputs]
    leaves = [x.requires_grad_() for x in inputs if x.dtype.kind == "f"]
    y = sample.function(*inputs)
    rng = np.random.default_rng(3)
    cotangent = mg.tensor(rng.uniform(0.5, 1.5, y.shape).astype(y.dtype))
    found = mg.grad(y, leaves, cotangent, allow_unused=True)
    return [np.zeros(0) if g is None else g.numpy() for g in found]


def differs(sample: Sample, right: list[Any]) -> bool:
    """Whether the mutant changes anything for this sample."""
    broken = gradients(sample)
    return any(
        not np.all(np.abs(b - r) <= 1e-4 * np.abs(r).max(initial=1e-2))
        for b, r in zip(broken, right, strict=True)
    )


def chosen(op: str) -> list[Sample]:
    """Up to four samples of an op, evenly from its rows, of which none takes long."""
    rows = [s for s in DIFFERENTIABLE if s.op == op]
    small = [s for s in rows if 0 < sum(x.size for x in s.inputs) <= 64] or rows
    return small[:: max(1, len(small) // 3)][:4]


def quickest(op: str) -> list[Sample]:
    """The same samples, those of few elements (but not of one only) first."""
    return sorted(chosen(op), key=lambda s: (s.inputs[0].size < 2, sum(x.size for x in s.inputs)))


def mutants(op: str, samples: Sequence[Sample]) -> Iterator[tuple[str, str, GradcheckReport]]:
    """For each mutant of an op that changes a sample's gradient: its kind, and the report."""
    for sample in samples:
        right = gradients(sample)
        for kind, mutant in MUTANTS.items():
            with mutated(op, mutant):
                if differs(sample, right):
                    yield kind, sample.id, check(sample)


def caught(report: GradcheckReport) -> bool:
    return any(result.verdict in BROKEN for result in report.results)


@pytest.mark.parametrize("op", OPS)
def test_right_gradients_are_called_right(op: str) -> None:
    sample = quickest(op)[0]
    for options in ({}, {"fast": True, "order": 2}):
        report = check(sample, **options)
        assert report.ok, f"{sample.id}\n{report}"


@pytest.mark.parametrize("op", OPS)
def test_three_mutants_are_caught(op: str) -> None:
    kinds = set()
    for kind, label, report in mutants(op, quickest(op)):
        assert caught(report), f"{label} {kind}\n{report}"
        kinds.add(kind)
        if len(kinds) == 3:
            return
    pytest.fail(f"only {kinds} change its gradient")


@pytest.mark.slow
@pytest.mark.parametrize("sample", DIFFERENTIABLE, ids=lambda sample: sample.id)
def test_every_right_gradient_is_called_right(sample: Sample) -> None:
    for options in ({}, {"fast": True, "order": 2}):
        report = check(sample, **options)
        assert report.ok, report


@pytest.mark.slow
def test_every_mutant_is_caught() -> None:
    total, missed, few = 0, [], []
    for op in OPS:
        kinds = set()
        for kind, label, report in mutants(op, chosen(op)):
            total += 1
            kinds.add(kind)
            if not caught(report):
                missed.append(f"{label} {kind}\n{report}")
        if len(kinds) < 3:
            few.append(f"{op}: {kinds}")
    print(f"\nmutation: {len(OPS)} ops, {total} mutants, {len(missed)} missed")
    assert not missed, "\n".join(missed)
    assert not few, f"broken in fewer than three ways: {few}"
