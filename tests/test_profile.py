"""Profiles: every op is timed, the times add up, and nothing of the network changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, MinigradError
from minigrad.graph import Profile, profiles
from minigrad.graph.stopwatch import timed_step


@pytest.fixture(scope="module")
def lenet5() -> Profile:
    """Of LeNet-5's step; not to be changed."""
    return mg.profile(models.create("lenet5"), mg.randn((4, 1, 32, 32)), repeats=3)


def test_the_ops_are_those_of_the_trace(lenet5: Profile) -> None:
    labels = [op.label for op in lenet5.ops]
    graph = lenet5.graph
    # What is computed from constants alone, the first cotangent, is no part of the graph.
    assert [label for label in labels if label] == [graph.labels[node] for node in graph.calls]
    assert {op.op for op in lenet5.ops if not op.label} <= {"expand", "reshape", "sum"}
    assert [op.backward for op in lenet5.ops] == sorted(op.backward for op in lenet5.ops)
    assert sum(op.macs for op in lenet5.ops) == graph.cost.macs
    assert len(lenet5.times) == len(graph.calls)
    first = lenet5.ops[0]
    assert (first.op, first.module) == ("conv2d", "lenet5.features_detector.0")
    assert first.algorithm == "one channel"
    assert first.gflops == pytest.approx(first.flops / first.seconds / 1e9)
    kinds = {op.op for op in lenet5.ops if op.algorithm}
    assert kinds == {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"}


def test_the_times_of_one_step_add_up() -> None:
    net = models.create("lenet5")
    x = mg.randn((16, 1, 32, 32))
    timed_step(net, [x], True)
    step = timed_step(net, [x], True)
    told = sum(event.seconds for event in step.events) + sum(step.between)
    assert 0.95 * step.seconds <= told <= step.seconds * 1.0001
    ends = [event.start + event.seconds for event in step.events]
    assert all(end <= event.start for end, event in zip(ends, step.events[1:], strict=False))
    assert step.start <= step.events[0].start


def test_the_modules_hold_the_ops_below_them(lenet5: Profile) -> None:
    by_path = {module.path: module for module in lenet5.modules}
    whole = by_path["lenet5"]
    parts = by_path["lenet5.features_detector"], by_path["lenet5.classifier"]
    alone = sum(op.seconds + op.between for op in lenet5.ops if op.module == "lenet5")
    assert whole.seconds == pytest.approx(sum(part.seconds for part in parts) + alone)
    assert whole.forward > 0 and whole.backward > 0
    assert whole.seconds + by_path[""].seconds == pytest.approx(lenet5.in_ops + lenet5.between)


def test_the_forward_alone() -> None:
    found = mg.profile(models.create("lenet5"), mg.randn((2, 1, 32, 32)), backward=False, repeats=1)
    assert found.backward == 0
    assert not any(op.backward for op in found.ops)
    assert len(found.ops) == len(found.graph.calls)


def test_memory_is_followed_until_it_is_freed() -> None:
    def chain(x: mg.Tensor) -> mg.Tensor:
        for _ in range(5):
            x = x + 1
        return x

    size = 4 * 50_000
    mg.release_memory()  # or larger blocks that lie idle would serve
    found = mg.profile(chain, mg.zeros(50_000), backward=False, repeats=1)
    live = [op.live_bytes for op in found.ops]
    assert live[0] >= size and len(live) == 5
    assert found.peak_bytes == max(live)
    # While x + 1 runs, x is alive as well: two arrays (of at most an eighth more), not five.
    assert 2 * size <= found.peak_bytes <= 2.3 * size


def test_nothing_changes() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    before = {key: value.numpy().copy() for key, value in net.state_dict().items()}
    draws = mg.get_rng_state()
    mg.profile(net, mg.ones((2, 1, 6, 6)), repeats=2)
    assert mg.get_rng_state() == draws
    assert all(np.array_equal(before[k], v.numpy()) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_functions_of_ones_own() -> None:
    class Twice(mg.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = mg.ones(3, requires_grad=True)
    found = mg.profile(lambda x: Twice.apply(x).exp(), x, repeats=2)
    assert "exp" in [op.op for op in found.ops]
    assert all(0 <= op.seconds < 1 for op in found.ops)
    assert x.grad is None


def test_bad_input() -> None:
    with pytest.raises(ArgumentError, match="repeat"):
        mg.profile(models.create("lenet5"), mg.zeros((1, 1, 32, 32)), repeats=0)
    with pytest.raises(MinigradError, match="requires a gradient"):
        mg.profile(lambda x: x * 2, mg.ones(3))
    lengths = iter(range(1, 100))

    def grows(x: mg.Tensor) -> mg.Tensor:
        for _ in range(next(lengths)):
            x = x + 1
        return x

    with pytest.raises(ArgumentError, match="different ops"):
        mg.profile(grows, mg.ones(3), backward=False)


class TestFiles:
    def test_json(self, lenet5: Profile, tmp_path: Path) -> None:
        lenet5.save_json(tmp_path / "p.json")
        data = json.loads((tmp_path / "p.json").read_text())
        assert data["network"] == "lenet5"
        assert len(data["ops"]) == len(lenet5.ops)
        told = data["op_seconds"] + data["between_seconds"] + data["outside_seconds"]
        assert told >= 0.95 * data["seconds"]

    def test_chrome(self, lenet5: Profile, tmp_path: Path) -> None:
        lenet5.save_chrome(tmp_path / "c.json")
        events = json.loads((tmp_path / "c.json").read_text())["traceEvents"]
        spans = sorted([(e["ts"], -e["dur"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X"])
        assert len([e for e in events if e.get("cat")]) == len(lenet5.ops)
        opened: list[float] = []
        for start, _, end in spans:  # each within the one around it, as the format asks
            while opened and opened[-1] <= start + 1e-3:
                opened.pop()
            assert not opened or end <= opened[-1] + 1e-3
            opened.append(end)
        counters = [e["args"]["bytes"] for e in events if e["ph"] == "C"]
        assert max(counters) == lenet5.peak_bytes

    def test_text(self, lenet5: Profile) -> None:
        text = str(lenet5)
        assert text.startswith("lenet5: ")
        for word in ("Modules", "features_detector", "weight_grad", "few channels", "outside"):
            assert word in text

    def test_a_folder_that_is_not_there(self, lenet5: Profile, tmp_path: Path) -> None:
        with pytest.raises(MinigradError, match="cannot write"):
            lenet5.save_json(tmp_path / "nowhere" / "p.json")


@pytest.mark.parametrize(
    "name", ["lenet5", *[pytest.param(f"resnet{n}", marks=pytest.mark.slow) for n in (18, 50)]]
)
def test_the_times_add_up_to_the_step(name: str) -> None:
    found = mg.profile(models.create(name), mg.randn((1, *models.input_shape(name))), repeats=3)
    told = found.in_ops + found.between
    assert 0.95 * found.seconds <= told <= 1.0001 * found.seconds
    assert sum(m.seconds for m in found.modules if "." not in m.path) == pytest.approx(told)


def test_the_peak_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("minigrad.kernels.peak.measure", lambda: calls.append(1) or 100.0)
    profiles._peak.cache_clear()
    for _ in range(2):
        found = mg.profile(nn.Linear(3, 2), mg.ones((1, 3)), repeats=1, measure_peak=True)
        assert found.peak_gflops == 100
    profiles._peak.cache_clear()
    assert calls == [1]


@pytest.mark.slow
def test_the_share_of_the_peak() -> None:
    net = nn.Conv2d(32, 64, 3, padding=1)
    found = mg.profile(net, mg.randn((4, 32, 28, 28)), repeats=3, measure_peak=True)
    assert found.peak_gflops is not None
    share = found.share_of_peak(found.ops[0])
    assert share is not None and 0 < share < 4  # Winograd needs fewer multiplications
    assert "of peak" in str(found)
