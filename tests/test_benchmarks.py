"""The benchmarks: which shapes they measure, that their references are right, and that tables and
JSON come out. How long anything takes is no test's business.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import kernels, results, scaling, turns
from benchmarks.contenders import OPERATIONS, Minigrad
from benchmarks.exact import draw, error, exact
from benchmarks.shapes import CONVOLUTION, Case, distinct, networks
from benchmarks.turns import Figures
from minigrad.threads import get_num_threads

QUICK = ["--rounds", "1", "--seconds", "0", "--calls", "1", "--threads", "1"]

SMALL = [
    Case(CONVOLUTION, (2, 6, 7, 9), 4, 3, 2, 1, groups=2, bias=True),
    Case(CONVOLUTION, (2, 1, 8, 8), 3, 5, bias=True, first=True),
    Case(CONVOLUTION, (2, 4, 5, 5), 4, 3, 1, 1, groups=4),
    Case("relu", (3, 5)),
    Case("max_pool", (2, 3, 7, 7), 0, 3, 2, 1),
    Case("avg_pool", (2, 3, 6, 6), 0, 2, 2),
    Case("adaptive_avg_pool", (2, 3, 6, 6), 2),
    Case("batch_norm", (3, 4, 5, 5)),
    Case("local_response_norm", (2, 7, 3, 3)),
]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """minigrad without PyTorch, whether that is installed or not."""
    for module in (kernels, scaling):
        monkeypatch.setattr(module, "installed", lambda: ["minigrad"])


def test_the_shapes_are_those_of_the_networks() -> None:
    convolutions = {
        name: [case for case in cases if case.kind == CONVOLUTION]
        for name, cases in networks().items()
    }
    counts = {name: len(cases) for name, cases in convolutions.items()}
    assert counts == {
        "lenet5": 2, "alexnet": 5, "vgg16": 13, "vgg_a_lrn": 0, "resnet18": 20, "resnet50": 53,
        "depthwise": 1,
    }  # fmt: skip
    # Multiply-adds of one image, without the fully connected layers'.
    macs = {
        name: sum(case.flops("forward") // (2 * case.shape[0]) for case in cases)
        for name, cases in convolutions.items()
    }
    assert macs["vgg16"] == 15_346_630_656
    assert macs["resnet18"] == 1_813_561_344
    assert macs["resnet50"] == 4_087_136_256
    assert {case.kind for case in distinct()} == set(OPERATIONS)
    labels = [case.label for case in distinct()]
    assert len(set(labels)) == len(labels)


@pytest.mark.slow
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.label)
def test_the_references_agree_with_minigrad_in_float64(case: Case) -> None:
    data = draw(case, np.float64)
    contender = Minigrad(get_num_threads())
    calls = contender.calls(case, data)
    expected = exact(case, data)
    assert set(expected) >= {"forward"}
    for name in set(expected) & set(case.passes):
        result = calls[name]()
        found = contender.array(result[0] if isinstance(result, tuple) else result)
        assert found.shape == expected[name].shape
        assert error(found, expected[name]) < 1e-12


def test_unit_variance() -> None:
    case = Case(CONVOLUTION, (4, 32, 16, 16), 32, 3, 1)
    assert exact(case, draw(case))["forward"].std() == pytest.approx(1, rel=0.05)


@pytest.mark.slow
def test_kernels_come_out_as_tables_and_as_json(
    alone: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "folder" / "kernels.json"
    page = tmp_path / "folder" / "kernels.md"
    written = ["--json", str(path), "--markdown", str(page)]
    kernels.main([*QUICK, "--only", "to 6, 5x5|avg_pool 64x16", *written])
    found = json.loads(path.read_text())
    assert [(row["label"], row["pass"]) for row in found["rows"]] == [
        ("convolution 64x1x32x32 to 6, 5x5", "forward"),
        ("convolution 64x1x32x32 to 6, 5x5", "weight gradient"),
        ("convolution 64x1x32x32 to 6, 5x5", "forward and backward"),
        ("avg_pool 64x16x10x10, 2x2, stride 2", "forward"),
        ("avg_pool 64x16x10x10, 2x2, stride 2", "forward and backward"),
    ]
    convolution = found["rows"][0]
    seconds = convolution["seconds"]["minigrad"]
    first = f"| 64x1x32x32 to 6, 5x5 | {convolution['algorithm']} | {1e3 * seconds:.2f} | "
    assert any(line.startswith(first) for line in page.read_text().splitlines())
    assert convolution["algorithm"]
    assert convolution["seconds"]["minigrad"] > 0
    assert len(convolution["rounds"]["minigrad"]) == 1
    assert convolution["errors"]["minigrad"] < 1e-5
    assert convolution["ratio"] is None
    assert found["peak_gflops"] > 0
    # Nothing that names the machine.
    machine = {"processor", "cores", "threads", "memory", "system", "versions"}
    assert set(found["machine"]) == machine
    assert found["machine"]["threads"] == 1
    printed = capsys.readouterr().out
    for text in ("convolution 64x1x32x32 to 6, 5x5 (first)", "weight gradient", "of peak"):
        assert text in printed


def test_passes_are_chosen(alone: None, tmp_path: Path) -> None:
    path = tmp_path / "kernels.json"
    kernels.main([*QUICK, "--only", "to 6, 5x5", "--passes", "weight", "--json", str(path)])
    assert [row["pass"] for row in json.loads(path.read_text())["rows"]] == ["weight gradient"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "no such shape"], "no shape is called like"),
        (["--only", "relu", "--passes", "weight"], "no shape is called like"),
        (["--only", "("], "is no regular expression"),
        (["--passes", "sideways"], "no pass 'sideways'"),
        (["--rounds", "0"], "takes a whole number from 1"),
        (["--seconds", "-1"], "takes a number of seconds from 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        kernels.main([*QUICK, *arguments])
    assert told in f"{raised.value}{capsys.readouterr().err}"


@pytest.mark.slow
def test_scaling_comes_out_as_a_table_json_and_a_picture(
    alone: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(scaling.VARIED, "channels", (3, 4))
    monkeypatch.setitem(scaling.USUAL, "size", 8)
    path, picture = tmp_path / "scaling.json", tmp_path / "scaling.png"
    scaling.main([*QUICK, "--series", "channels", "--json", str(path), "--png", str(picture)])
    points = json.loads(path.read_text())["points"]
    assert [(p["value"], p["pass"]) for p in points] == [
        (3, "forward"), (3, "forward and backward"), (4, "forward"), (4, "forward and backward"),
    ]  # fmt: skip
    output = capsys.readouterr()
    assert "channels 3" in output.out
    if picture.exists():
        assert picture.read_bytes().startswith(b"\x89PNG")
    else:
        assert "matplotlib is not installed" in output.err


def test_a_worker_that_fails_ends_the_run() -> None:
    unknown = replace(SMALL[3], kind="unknown")
    with pytest.raises(SystemExit, match="minigrad failed"):
        turns.measure(["minigrad"], [unknown], ["forward"], turns.Settings(1, 1, 0.0, 1))


def figures(**seconds: list[float]) -> Figures:
    return Figures(rounds=seconds)


def test_ratios_are_of_medians_to_the_better_of_the_others() -> None:
    relu = Case("relu", (2, 3))
    wide = Case(CONVOLUTION, (1, 64, 6, 6), 64, 3, 1, 1)
    found = {
        "minigrad": [figures(forward=[2.0, 1.0, 9.0]), figures(forward=[1.0])],
        "one": [figures(forward=[8.0, 4.0, 0.0]), figures(forward=[0.5])],
        "other": [figures(forward=[5.0, 5.0, 5.0]), figures(forward=[8.0])],
    }
    table = results.rows({relu: ["a"], wide: ["b"]}, found, peak=100.0)
    assert [row["ratio"] for row in table] == [2.0, 0.5]
    assert table[1]["gflops"] == pytest.approx(2 * 36 * 64 * 64 * 9 / 1e9)
    assert table[1]["peak_share"] == pytest.approx(table[1]["gflops"] / 100)
    summary = results.summary(table)
    groups: dict[str, Any] = summary["groups"]
    assert groups["pooling, normalization, ReLU"]["geometric_mean"] == pytest.approx(2)
    assert groups["convolution, forward"]["geometric_mean"] == pytest.approx(0.5)
    assert groups["3x3, stride 1, 64 channels or more, forward"]["lowest"] == 0.5
    assert [row["label"] for row in summary["under"]] == [wide.label]
    assert [row["label"] for row in summary["slowest"]] == [wide.label, relu.label]
