"""The comparison of whole networks: that its processes take turns, that its networks are equal, and
what its ratios, tables, JSON and pictures say. How long anything takes is no test's business.
"""

from __future__ import annotations

import io
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from benchmarks.networks import results, turns, worker
from benchmarks.networks.__main__ import main
from benchmarks.networks.cases import NETWORKS, Network
from benchmarks.networks.chart import draw
from benchmarks.networks.contenders import CONTENDERS, DEFAULT, OURS, Contender, Library
from benchmarks.networks.report import print_report
from benchmarks.networks.turns import Figures, Process, measure
from benchmarks.turns import Settings
from minigrad import models

QUICK = ["--rounds", "1", "--seconds", "0", "--calls", "1", "--threads", "1", "--warm"]
ONCE = Settings(threads=1, rounds=1, least_seconds=0.0, least_calls=1)
LENET = NETWORKS[0]
UNKNOWN = Network("no_such_network", "Unknown", 2, (1, 8, 8), 10)

PARAMETERS = {
    "lenet5": 61_706,
    "alexnet": 57_029_322,
    "vgg_d": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
}


def job(network: Network, which: str = "training") -> dict[str, Any]:
    return {"contender": OURS, "network": asdict(network), "pass": which, "threads": 1}


def order(turn: int = 0) -> dict[str, Any]:
    return {"least_seconds": 0.0, "least_calls": 1, "turn": turn}


def advance(what: str) -> None:
    pass


@pytest.mark.slow
def test_a_network_comes_out_as_a_table_json_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, picture = tmp_path / "folder" / "networks.json", tmp_path / "networks.png"
    written = ["--json", str(path), "--png", str(picture)]
    main([*QUICK, "--only", "LeNet", "--contenders", OURS, *written])
    found = json.loads(path.read_text())
    assert [(row["label"], row["pass"]) for row in found["rows"]] == [
        ("LeNet-5, 64x1x32x32", "training step"),
        ("LeNet-5, 64x1x32x32", "inference"),
    ]
    for row in found["rows"]:
        own = row["contenders"][OURS]
        assert own["failed"] is None
        assert own["seconds"] > 0
        assert len(own["rounds"]) == 1
        assert own["peak"] > own["above_imports"] > 0
        assert set(own["start"]) == {"import", "build", "first"}
        assert own["cold_first"] is None
        assert math.isfinite(own["result"])
        assert {c["ratio"] for c in row["comparisons"].values()} == {None}
    # The first loss of ten classes is about that of guessing.
    assert found["rows"][0]["contenders"][OURS]["result"] == pytest.approx(math.log(10), rel=0.3)
    assert found["machine"]["threads"] == 1
    output = capsys.readouterr()
    assert "LeNet-5, 64x1x32x32" in output.out
    if picture.exists():
        assert picture.read_bytes().startswith(b"\x89PNG")
    else:
        assert "matplotlib is not installed" in output.err


def test_a_process_stands_still_while_it_is_not_its_turn() -> None:
    status = Path("/proc/self/stat")
    if not status.exists():
        pytest.skip("the system does not tell what a process does")
    with Process(job(LENET), None) as process:
        assert set(process.start) == {"import", "build", "first"}
        stat = Path(f"/proc/{process.process.pid}/stat")
        for _ in range(2):
            until = time.monotonic() + 5
            while (state := stat.read_text().rpartition(")")[2].split()[0]) != "T":
                assert time.monotonic() < until, f"it is not stopped: {state}"
            answer = process.ask(order())
            assert answer["seconds"] > 0
            assert answer["idle_cpu"] < 0.1
            assert answer["peak"] >= answer["above_imports"] > 0
    assert process.process.returncode == 0


def test_what_fails_is_told_and_does_not_end_the_run() -> None:
    found = measure([OURS], UNKNOWN, "training", ONCE, cold=False, advance=advance)
    assert found[OURS].seconds is None
    assert "no_such_network" in str(found[OURS].failed)
    row = results.row(UNKNOWN, "training", found)
    assert row["comparisons"]["over_default"] == {"ratio": None, "wanted": 1.2, "met": None}
    assert "minigrad failed: ArgumentError" in results.short_comings([row])[0]


def test_a_process_that_is_killed_is_told() -> None:
    with Process(job(LENET, "inference"), None) as process:
        process.process.kill()
        process.process.wait()
        assert "was killed" in process.ask(order())["failed"]


def test_a_reason_is_the_first_paragraph_of_an_error() -> None:
    error = RuntimeError("no compiler\nfound\n\nSet VERBOSE=1 to know more")
    assert worker._reason(error) == "RuntimeError: no compiler found"
    assert worker._reason(RuntimeError("\n\n")) == "RuntimeError: "


class NotANumber:
    """A library whose loss is gone."""

    def training(self, network: Network) -> Any:
        return lambda: np.array(math.nan)

    inference = training


def test_a_result_that_is_no_number_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(threads: int) -> Library:
        return NotANumber()

    monkeypatch.setitem(CONTENDERS, "fake", Contender(start))
    lines = [{**job(LENET), "contender": "fake"}, order()]
    monkeypatch.setattr(worker.sys, "stdin", io.StringIO("\n".join(map(json.dumps, lines))))
    answers = worker._answers()
    assert "first" in next(answers)
    with pytest.raises(ArithmeticError, match="the result is nan after 1 turn"):
        next(answers)


def test_only_what_keeps_compiled_code_starts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, str | None]] = []

    class Fake:
        def __init__(self, job: dict[str, Any], cache: str | None) -> None:
            self.start = {"first": 9.0 if cache not in dict(started).values() else 1.0}
            started.append((job["contender"], cache))

        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def ask(self, order: dict[str, Any]) -> dict[str, Any]:
            return {"seconds": 1.0, "idle_cpu": 0.0}

    monkeypatch.setattr(turns, "Process", Fake)
    told: list[str] = []
    found = measure([OURS, DEFAULT], LENET, "training", ONCE, cold=True, advance=told.append)
    (_, first), (_, second), (_, none) = started
    assert [name for name, _ in started] == [OURS, OURS, DEFAULT]
    assert first == second is not None
    assert none is None
    assert (found[OURS].cold_first, found[OURS].start) == (9.0, {"first": 1.0})
    assert found[DEFAULT].cold_first is None
    assert len(told) == 4


@pytest.mark.slow
def test_a_cold_first_call_takes_longer() -> None:
    own = measure([OURS], LENET, "inference", ONCE, cold=True, advance=advance)[OURS]
    assert own.cold_first is not None
    assert own.cold_first > 2 * own.start["first"]


def figures(seconds: list[float], peak: int, above: int, **more: Any) -> Figures:
    start = {"import": 0.1, "build": 0.2, "first": 0.3}
    return Figures(seconds, peak=peak, above_imports=above, start=start, **more)


@pytest.fixture
def document() -> dict[str, Any]:
    """As if all had been measured: minigrad beats the default, and not the fastest."""
    found = {
        OURS: figures([0.1, 0.2, 0.9], 300 << 20, 260 << 20, cold_first=4.0),
        DEFAULT: figures([0.5, 0.3, 0.1], 400 << 20, 200 << 20),
        "PyTorch channels-last": figures([0.16], 400 << 20, 200 << 20),
        "torch.compile": Figures(failed="InvalidCxxCompiler: none of [g++] found"),
    }
    table = [results.row(n, which, found) for n in NETWORKS for which in ("training", "inference")]
    machine = {"processor": "One", "cores": 2, "threads": 2, "memory": 2**30, "system": "Linux"}
    machine["versions"] = {"python": "3.11"}
    return {"machine": machine, "contenders": list(found), "rows": table}


def test_ratios_are_of_medians_and_what_is_missed_is_told(document: dict[str, Any]) -> None:
    row = document["rows"][0]
    ratios = {key: (c["ratio"], c["met"]) for key, c in row["comparisons"].items()}
    assert ratios == {
        "over_default": (pytest.approx(1.5), True),
        "over_best": (pytest.approx(0.8), False),
        "memory": (pytest.approx(1.3), False),
        "process_memory": (pytest.approx(0.75), True),
    }
    assert row["best"] == "PyTorch channels-last"
    told = results.short_comings([row])
    assert [line.partition(": ")[2] for line in told] == [
        "PyTorch's fastest / ours is 0.80, wanted at least 1.0",
        "memory above imports: ours / PyTorch is 1.30, wanted at most 1.0",
        "torch.compile failed: InvalidCxxCompiler: none of [g++] found",
    ]
    # Of an inference, nothing is wanted.
    assert {c["met"] for c in document["rows"][1]["comparisons"].values()} == {None}


def test_the_report_has_all_of_it(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_report(document)
    printed = capsys.readouterr().out
    for network in NETWORKS:
        assert network.label in printed
    for text in ("200.00", "100.00 to 900.00", "4.00", "1.50 (wanted 1.2)", "failed", "[g++]"):
        assert text in printed


def test_the_picture_has_a_bar_for_each(document: dict[str, Any], tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    path = tmp_path / "folder" / "networks.png"
    draw(document, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    document["rows"][0]["contenders"][DEFAULT]["seconds"] = 12.3456
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text as text
        draw(document, path.with_suffix(".svg"))
    written = path.with_suffix(".svg").read_text()
    shown = ("LeNet-5", "ResNet-50", *document["contenders"], "12,346", "260", "failed", "One, 2")
    assert [text for text in shown if text not in written] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "no such network"], "no network is called like"),
        (["--only", "("], "is no regular expression"),
        (["--passes", "sideways"], "no pass 'sideways'"),
        (["--contenders", "TensorFlow"], "no contender 'TensorFlow'"),
        (["--rounds", "0"], "takes a whole number from 1"),
        (["--png", "chart.txt"], "chart.txt does not end in .png, .svg"),
        (["--png", "/dev/null/chart.png"], "/dev/null/chart.png cannot be written"),
        (["--json", "/"], "/ cannot be written"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main([*QUICK, *arguments])
    assert told in f"{raised.value}{capsys.readouterr().err}"


def test_without_pytorch_it_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.networks.contenders.find_spec", lambda name: name == OURS)
    with pytest.raises(SystemExit, match="PyTorch is not installed"):
        main([*QUICK, "--contenders", DEFAULT])


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_the_networks_of_pytorch_have_the_parameters_of_the_papers(network: Network) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks import torch_networks

    with torch.device("meta"):
        model = torch_networks.create(network.name, network.shape[0], network.classes)
        scores = model(torch.empty(2, *network.shape))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[network.name]
    assert tuple(scores.shape) == (2, network.classes)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_both_libraries_compute_the_same_network(network: Network) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks import torch_networks

    ours = models.create(network.name, in_channels=network.shape[0], num_classes=network.classes)
    theirs = torch_networks.create(network.name, network.shape[0], network.classes)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    ours.load_state_dict({key: mg.asarray(array) for key, array in state.items()})
    pictures = network.batch_of_pictures()[0][:1]
    ours.eval(), theirs.eval()
    with mg.no_grad(), torch.no_grad():
        found = ours(mg.asarray(pictures)).numpy()
        expected = theirs(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
