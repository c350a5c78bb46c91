"""`gradcheck(batched=True)`: the same verdicts from few calls, and no belief in what is not so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.checking import GradcheckReport, Verdict
from minigrad.checking import joined as joined_evaluation
from minigrad.errors import ArgumentError
from minigrad.nn import functional
from minigrad.tensor import Tensor

Array = np.ndarray[Any, Any]
rng = np.random.default_rng(3)
ROWS = rng.standard_normal((3, 4))
IMAGES = rng.permutation(2 * 4 * 36).reshape(2, 4, 6, 6) / 64 - 2.0
ZEROS = np.where(rng.random((3, 4)) < 0.4, 0.0, ROWS)
LABELS = np.array([1, 0, 3])

LAYERS: dict[str, tuple[Callable[[], Any], tuple[Any, ...], bool | int]] = {
    "linear": (lambda: nn.Linear(4, 3), (ROWS,), True),
    "conv2d": (lambda: nn.Conv2d(4, 2, 3, stride=2, padding=1), (IMAGES,), True),
    "grouped": (lambda: nn.Conv2d(4, 4, 3, groups=2, bias=False), (IMAGES,), 1),
    "max_pool": (lambda: nn.MaxPool2d(2), (IMAGES,), True),
    "avg_pool": (lambda: nn.AvgPool2d(3, padding=1), (IMAGES,), True),
    "upsample": (lambda: nn.Upsample(scale_factor=2), (IMAGES[:, :, :3, :3],), True),
    "batch_norm": (lambda: nn.BatchNorm2d(4).eval(), (IMAGES,), True),
    "layer_norm": (lambda: nn.LayerNorm(4), (ROWS,), True),
    "relu_at_zeros": (lambda: nn.ReLU(), (ZEROS,), True),
    "ties": (lambda: nn.MaxPool2d(2), (np.round(IMAGES),), True),
    "softmax": (lambda: nn.Softmax(1), (ROWS,), True),
    "network": (
        lambda: nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)),
        (IMAGES,),
        True,
    ),
    "shared_weight": (lambda: functional.conv2d, (IMAGES, rng.standard_normal((2, 4, 3, 3))), 1),
    "labels": (
        lambda: lambda x, y: functional.cross_entropy(x, y, reduction="none"),
        (ROWS, LABELS),
        True,
    ),
    "list": (lambda: lambda parts, k: parts[0] * parts[1] ** k, ([ROWS, ROWS + 3], 2), True),
    "two_outputs": (lambda: lambda x: (x.exp().sum(axis=1), x.reshape(-1, 2)), (ROWS,), True),
    "in_single": (lambda: lambda x: x.astype("float32").exp(), (ROWS,), True),
    "no_samples": (lambda: lambda x: x.exp(), (np.zeros((0, 3)),), True),
    "half_right": (lambda: lambda x: x * x.detach(), (ROWS,), True),
    "detached": (lambda: lambda x: x.detach().exp(), (ROWS,), True),
    "one_element_wrong": (
        lambda: lambda x: mg.concat([x[:, :3], x[:, 3:] * x[:, 3:].detach()], axis=1),
        (ROWS,),
        True,
    ),
    "not_finite": (lambda: lambda x: (x - 10).log(), (ROWS,), True),
    "offset": (lambda: lambda x: (x + 1e6) * (x + 1e6), (ROWS,), True),
}


def as_tensors(inputs: Any) -> list[Any]:
    return [[mg.tensor(x) for x in part] if isinstance(part, list) else part for part in inputs]


def check(name: str, batched: bool | int, **options: Any) -> GradcheckReport:
    make, inputs, _ = LAYERS[name]
    mg.manual_seed(0)
    return mg.gradcheck(
        make(), *as_tensors(inputs), batched=batched, raise_on_failure=False, **options
    )


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("options", [{}, {"order": 2, "fast": True}], ids=["full", "fast2"])
def test_the_report_is_that_of_separate_evaluations(name: str, options: Any) -> None:
    separate, batched = (check(name, b, **options) for b in (False, LAYERS[name][2]))
    assert batched.ok is separate.ok
    for one, other in zip(separate.results, batched.results, strict=True):
        assert (one.title, one.verdict, one.hint) == (other.title, other.verdict, other.hint)
        if one.numeric_values is None:
            continue
        np.testing.assert_array_equal(other.failed, one.failed)
        np.testing.assert_array_equal(other.kinks, one.kinks)
        close = np.abs(other.numeric_values - one.numeric_values)
        largest = np.nan_to_num(np.abs(one.numeric_values)).max(initial=1e-3)
        assert np.nan_to_num(close).max(initial=0) <= 2e-3 * largest
        if one.verdict is Verdict.WRONG:
            assert other.index == one.index
    assert str(check(name, LAYERS[name][2], **options)) == str(batched)


def test_second_derivatives_element_by_element() -> None:
    for name in ("softmax", "half_right", "two_outputs", "labels"):
        separate, batched = (check(name, b, order=2) for b in (False, LAYERS[name][2]))
        found = [[r.verdict for r in report.results] for report in (separate, batched)]
        assert found[0] == found[1]


def counted(function: Callable[[Tensor], Tensor]) -> tuple[Callable[[Tensor], Tensor], list[int]]:
    sizes: list[int] = []

    def counting(x: Tensor) -> Tensor:
        sizes.append(x.size)
        return function(x)

    return counting, sizes


def test_few_calls_within_the_bound() -> None:
    function, sizes = counted(lambda x: x.exp())
    mg.gradcheck(function, IMAGES)
    assert len(sizes) > 4 * IMAGES.size
    sizes.clear()
    mg.gradcheck(function, IMAGES, batched=True)
    batch = joined_evaluation.MOST_ELEMENTS // (2 * IMAGES.size)
    assert len(sizes) <= 4 * IMAGES.size / batch + 14
    assert max(sizes) > 100 * IMAGES.size
    assert 2 * max(sizes) <= joined_evaluation.MOST_ELEMENTS


@pytest.mark.parametrize("copies", [1, 2, 3, 4, 5])
def test_small_batches_give_the_same(copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_evaluation, "MOST_ELEMENTS", copies * 2 * ROWS.size)
    function, sizes = counted(lambda x: x.exp())
    report = mg.gradcheck(function, ROWS, batched=True)
    separate = mg.gradcheck(function, ROWS)
    assert report.results == separate.results
    assert max(sizes) == {1: 3, 2: 3}.get(copies, copies) * ROWS.size


def test_many_directions_at_once() -> None:
    function, sizes = counted(lambda x: x.exp())
    few = mg.gradcheck(function, ROWS, fast=True, directions=20, batched=True)
    assert few.results[0].numeric_values.shape == (1, 20)
    assert len(sizes) < 15
    assert check("half_right", True, fast=True, directions=1).results[0].verdict is Verdict.WRONG


MIXED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "batch_norm": (nn.BatchNorm2d(4), (IMAGES,), "mixes samples"),
    "centred": (lambda x: x - x.mean(axis=0), (ROWS,), "mixes samples"),
    "hardly": (lambda x: x + 1e-6 * x.sum(axis=0), (ROWS,), "mixes samples"),
    "softmax": (nn.Softmax(0), (ROWS,), "mixes samples"),
    "from_the_last": (lambda x: mg.concat([x[:1], x[1:] + x[:-1]]), (ROWS,), "mixes samples"),
    "flipped": (lambda x: x[::-1], (ROWS,), "mixes samples"),
    "counted": (lambda x: x / x.shape[0], (ROWS,), "mixes samples"),
    "dropout": (nn.Dropout(0.5), (ROWS,), "random numbers"),
    "summed": (lambda x: x.sum(axis=0), (ROWS,), "shape"),
    "total": (lambda x: x.exp().sum(), (ROWS,), "shape"),
    "transposed": (lambda x: x.T, (ROWS,), "shape"),
    "fixed": (lambda x: x.reshape(2, 6), (ROWS,), "the function fails"),
    "raising": (lambda x: x if len(x) == 3 else {}["no"], (ROWS,), "the function fails"),
    "weight": (lambda x, w: x * w, (ROWS, ROWS[0]), "the function fails"),
    "number": (lambda x, k: x * k, (ROWS, mg.tensor(np.array(2.0))), "input 1"),
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("fast", [False, True])
def test_what_does_not_treat_samples_independently_is_refused(name: str, fast: bool) -> None:
    function, inputs, told = MIXED[name]
    with pytest.raises(ArgumentError, match=told) as caught:
        mg.gradcheck(function, *inputs, batched=True, fast=fast)
    assert str(caught.value).startswith("gradcheck: batched")
    assert "batched=n" in str(caught.value)
    assert mg.gradcheck(function, *inputs, fast=fast).ok


def test_a_shared_weight_among_samples_is_refused_in_second_order_too() -> None:
    assert mg.gradcheck(lambda x, w: x * w, ROWS, ROWS[0], batched=1, order=2).ok


def test_mixing_of_many_copies_is_seen() -> None:
    def function(x: Tensor) -> Tensor:
        return x.exp() * (2.0 if len(x) > 10 * len(ROWS) else 1.0)

    with pytest.raises(ArgumentError, match="mixes samples"):
        mg.gradcheck(function, ROWS, batched=True)


def test_joined_evaluations_alone_call_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_evaluation.Joined, "prove", lambda *_: None)
    function, sizes = counted(lambda x: x.exp() * len(x))
    assert mg.gradcheck(function, ROWS, batched=True, strict=True).ok
    assert max(sizes) > 10 * ROWS.size


@pytest.mark.parametrize("batched", [-1, 2, 1.5, "all"])
def test_bad_arguments(batched: Any) -> None:
    with pytest.raises(ArgumentError, match="gradcheck: batched"):
        mg.gradcheck(lambda x: x, ROWS, batched=batched)
