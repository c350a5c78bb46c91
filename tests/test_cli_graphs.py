"""`minigrad summary`, `graph`, `profile` and `diff`, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from minigrad.cli.app import app
from minigrad.errors import MinigradError

NETS = """
from minigrad import nn

class Small(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first, self.second = nn.Linear(4, width), nn.Linear(width, 2)

    def forward(self, x):
        return self.second(self.first(x).relu())

def double(x):
    return 2 * x
"""


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> str:
    """What a good call prints."""
    result = run(*arguments)
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with networks of one's own, that one stands in."""
    (tmp_path / "mynets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    return tmp_path


LENET5 = ("lenet5", "--input", "1,32,32")


class TestSummary:
    def test_styles(self) -> None:
        flat = told("summary", *LENET5, "--style", "flat")
        assert "Conv2d-1" in flat and "Total params: 61,706" in flat
        tree = told("summary", *LENET5, "--depth", "1", "--batch", "4")
        assert "├─Sequential: 1-1" in tree and "[4, 16, 5, 5]" in tree and "2-1" not in tree

    def test_columns(self) -> None:
        text = told("summary", *LENET5, "--column", "macs", "--column", "input")
        assert "117,600" in text and "Param #" not in text.splitlines()[1]

    def test_options_of_a_network(self) -> None:
        assert "Total params: 63,196" in told(
            "summary", "lenet5(in_channels=3, num_classes=24)", "--input", "3,32,32"
        )

    def test_networks_know_their_input(self) -> None:
        assert "Total MACs: 416,520" in told("summary", "lenet5")
        assert "Total params: 60,192,808" in told("summary", "resnet152", "--depth", "1")

    def test_networks_of_ones_own(self, nets: Path) -> None:
        assert "Total params: 37" in told("summary", "mynets:Small(width=5)", "--input", "4")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("lenet7",), "lenet5"),
            (("lenet5(",), "plain values"),
            (("lenet5(3)",), "named"),
            (("lenet5(colour=3)", "--input", "1,32,32"), "colour"),
            (("mynets:Small",), "--input"),
            (("mynets:double", "--input", "3"), "function"),
            (("mynets:Small", "--input", "5"), "(1, 5)"),
            ((*LENET5, "--style", "oval"), "style"),
            ((*LENET5, "--column", "colour"), "colour"),
            ((*LENET5, "--batch", "0"), "batch_size"),
        ],
    )
    def test_bad_input(self, nets: Path, arguments: tuple[str, ...], message: str) -> None:
        result = run("summary", *arguments)
        assert isinstance(result.exception, MinigradError)
        assert message in str(result.exception)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    done: Any = subprocess.run(
        [sys.executable, "-m", "minigrad", "summary", "lenet7"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and "lenet7" in done.stderr


class TestGraph:
    def test_text(self) -> None:
        text = told("graph", *LENET5)
        assert "conv2d" in text and "conv2d_weight_grad" not in text
        assert "conv2d_weight_grad" in told("graph", *LENET5, "--backward")
        assert "conv2d" not in told("graph", *LENET5, "--depth", "0")

    def test_every_format_with_a_backward(self, nets: Path) -> None:
        from minigrad.graph.formats import FORMATS

        for ending in FORMATS.keys() - {".onnx", ".png"}:  # of those, tests of their own
            told("graph", *LENET5, "--backward", "--batch", "2", "-o", f"net{ending}")
            assert (nets / f"net{ending}").stat().st_size > 1000

    def test_a_file_is_a_graph(self, nets: Path) -> None:
        told("graph", "mynets:Small", "--input", "4", "-o", "small.json")
        assert told("graph", "small.json") == told("graph", "mynets:Small", "--input", "4")

    def test_functions_have_graphs(self, nets: Path) -> None:
        assert "multiply" in told("graph", "mynets:double", "--input", "3")

    def test_networks_are_evaluated_unless_trained(self) -> None:
        assert "dropout" not in told("graph", "minigrad.nn:Dropout(0.5)", "--input", "3")
        assert "dropout" in told("graph", "minigrad.nn:Dropout(0.5)", "--input", "3", "--backward")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((*LENET5, "-o", "net.docx"), ".json"),
            (("nothing.json",), "nothing.json"),
            (("mynets.json",), "mynets.json"),
            ((*LENET5, "--batch", "0"), "--batch"),
            ((*LENET5, "--depth", "-1"), "depth"),
            (("lenet5", "--input", "1,32,x"), "--input"),
        ],
    )
    def test_bad_input(self, nets: Path, arguments: tuple[str, ...], message: str) -> None:
        (nets / "mynets.json").write_text("{")
        result = run("graph", *arguments)
        assert isinstance(result.exception, MinigradError)
        assert message in str(result.exception)


class TestProfile:
    def test_tables_and_files(self, nets: Path) -> None:
        text = told(
            "profile", *LENET5, "--batch", "2", "--repeats", "2", "--no-peak",
            "--json", "p.json", "--chrome", "c.json",
        )  # fmt: skip
        assert "features_detector.3.conv2d_weight_grad" in text
        assert "json: p.json" in text and "Live results" in text
        assert json.loads((nets / "p.json").read_text())["peak_gflops"] is None
        assert json.loads((nets / "c.json").read_text())["traceEvents"]

    def test_the_forward_alone(self, nets: Path) -> None:
        options = ("--input", "4", "--no-backward", "--no-peak")
        text = told("profile", "mynets:Small", *options)
        assert "backward 0.000" in text and "linear" in text
        assert "multiply" in told("profile", "mynets:double", *options)

    def test_bad_input(self, nets: Path) -> None:
        for arguments, message in (
            (("--repeats", "0"), "repeat"),
            (("--batch", "-1"), "--batch"),
            (("--json", "nowhere/p.json"), "cannot write"),
        ):
            result = run("profile", "mynets:Small", "--input", "4", "--no-peak", *arguments)
            assert isinstance(result.exception, MinigradError)
            assert message in str(result.exception)


class TestDiff:
    def test_text_and_page(self, nets: Path) -> None:
        text = told("diff", "mynets:Small", "mynets:Small(7)", "--input", "4", "-o", "d.html")
        assert "first" in text and "3 x 4 -> 7 x 4" in text
        assert "<table>" in (nets / "d.html").read_text()

    def test_options_of_a_network(self) -> None:
        one, other = LENET5[0], "lenet5(num_classes=24)"
        text = told("diff", one, other, *LENET5[1:], "--backward")
        assert "classifier.4" in text and "10 x 84 -> 24 x 84" in text
        assert told("diff", one, one, *LENET5[1:]).count("\n") == 1

    def test_bad_input(self) -> None:
        result = run("diff", "lenet5", "lenet6", *LENET5[1:])
        assert isinstance(result.exception, MinigradError) and "lenet6" in str(result.exception)
