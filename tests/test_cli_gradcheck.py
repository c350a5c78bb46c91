"""`minigrad gradcheck` as a user runs it, on a file of layers in the current directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = '''
import minigrad as mg
from minigrad import nn


class Scale(nn.Module):
    """x times a gain; the gradient of the gain forgets its sign when `broken`."""

    def __init__(self, channels=8, broken=False):
        super().__init__()
        self.gain = nn.Parameter([0.5 + i for i in range(channels)])
        self.broken = broken

    def forward(self, x):
        gain = 2 * self.gain.detach() - self.gain if self.broken else self.gain
        return x * gain


class Square(mg.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x


instance = nn.Linear(3, 2)


def product(x, y):
    return x * y


def lost(x):
    return mg.concat([x[:1] + (1e12 * x[:1].detach()).sin() / 10, x[1:]])


number = 3


class Needs(nn.Module):
    def __init__(self, size):
        super().__init__()
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers")
    (path / "mylayers.py").write_text(LAYERS)
    (path / "broken.py").write_text("def f(:")
    return path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minigrad", "gradcheck", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("mylayers:Scale", "--input", "2,8"),
        ("mylayers:Scale(3)", "--input", "2,3", "--order", "2"),
        ("mylayers:Scale(channels=3, broken=False)", "--input", "2,3", "--fast"),
        ("mylayers:instance", "--input", "4,3", "--seed", "7"),
        ("mylayers:product", "--input", "2,1", "--input", "3"),
        ("minigrad.nn.functional:relu", "--input", "3,3"),
        ("mylayers:Scale", "--input", "4,8", "--batched"),
        ("mylayers:product", "--input", "2,3", "--input", "2,3", "--batched", "--strict"),
    ],
)
def test_right_layers(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok (" in done.stdout.splitlines()[0]


def test_planted_errors_are_found_with_the_right_hint(folder: Path) -> None:
    done = run(folder, "mylayers:Scale(4, broken=True)", "--input", "2,4")
    assert done.returncode == 1
    assert "gain" in done.stdout and "wrong sign" in done.stdout
    done = run(folder, "mylayers:Square", "--input", "5")
    assert done.returncode == 1
    assert "1/2 times" in done.stdout


def test_what_numbers_do_not_settle_is_a_warning_unless_strict(folder: Path) -> None:
    done = run(folder, "mylayers:lost", "--input", "2,3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning: numeric differences do not settle 3 of 6" in done.stdout
    assert run(folder, "mylayers:lost", "--input", "2,3", "--strict").returncode == 1
    assert run(folder, "mylayers:lost", "--input", "1,3").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mylayers",), "PACKAGE.MODULE:LAYER"),
        (("nowhere:Scale", "--input", "2"), "cannot import"),
        (("broken:f", "--input", "2"), "cannot import"),
        (("mylayers:Nothing", "--input", "2"), "has no"),
        (("mylayers:Needs", "--input", "2"), "cannot be made"),
        (("mylayers:number", "--input", "2"), "no module and no function"),
        (("mylayers:Scale(print())", "--input", "2"), "plain values"),
        (("mylayers:Scale + 1", "--input", "2"), "plain values"),
        (("mylayers:Scale", "--input", "2,x"), "--input"),
        (("mylayers:Scale", "--input", "2,-3"), "--input"),
        (("mylayers:Scale", "--input", "2,5"), "broadcast"),
        (("mylayers:product", "--input", "2"), "argument"),
        (("mylayers:product",), "nothing to differentiate"),
        (("mylayers:Scale", "--input", "2,8", "--order", "3"), "order"),
        (("mylayers:product", "--input", "2,3", "--input", "3", "--batched"), "batched"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
