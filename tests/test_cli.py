"""The command line as a user runs it: in a process of its own."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import models

MINIGRAD = [sys.executable, "-m", "minigrad"]
SHORT = ("--epochs", "3", "--batch-size", "64")


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MINIGRAD, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def train(out: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = run("train", "lenet5", "--out", str(out), *options, cwd=out.parent, **environment)
    assert done.returncode == 0, done.stderr
    return done


def weights(folder: Path) -> dict[str, bytes]:
    state = mg.load(folder / "last.safetensors")["model"]
    return {key: value.numpy().tobytes() for key, value in state.items()}


def metrics(folder: Path) -> list[dict[str, float]]:
    """The metrics of a run without what depends on the clock."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "images_per_second")
    return [{key: value for key, value in row.items() if key not in clock} for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three epochs; not to be changed."""
    out = tmp_path_factory.mktemp("short") / "run"
    train(out, *SHORT)
    return out


def test_the_default_run_learns_to_read_the_digits(tmp_path: Path) -> None:
    done = run("train", "lenet5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = re.search(r"test accuracy ([\d.]+) % after epoch 30", done.stdout)
    assert told and float(told[1]) >= 97
    folder = tmp_path / "runs" / "lenet5-digits"
    assert metrics(folder)[-1]["test_accuracy"] == pytest.approx(float(told[1]) / 100, abs=1e-4)
    best = models.create("lenet5")
    best.load_state_dict(mg.load(folder / "best.safetensors"))


def test_a_run_leaves_its_folder_and_prints_a_row_an_epoch(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    out.parent.mkdir()
    done = train(out, *SHORT)
    config = json.loads((out / "config.json").read_text())
    assert config["settings"] == {
        "model": "lenet5",
        "data": "digits",
        "data_dir": None,
        "epochs": 3,
        "batch_size": 64,
        "optimizer": "adam",
        "lr": 0.003,
        "lr_decay": 0.95,
        "seed": 0,
        "size": 32,
        "limit": None,
        "momentum": 0.0,
        "weight_decay": 0.0,
    }
    assert [row["epoch"] for row in metrics(out)] == [1, 2, 3]
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r" +\d ", line)]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    expected = {"config.json", "metrics.jsonl", "last.safetensors", "best.safetensors"}
    assert set(contents(out)) - {"curves.png"} == expected


def test_curves_are_drawn_where_matplotlib_is(short_run: Path) -> None:
    pytest.importorskip("matplotlib")
    assert (short_run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_are_no_curves_and_no_error(tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import minigrad.cli as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "lenet5", *SHORT[:1], "1", "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "run" / "curves.png").exists()


def test_same_seed_same_bits_with_one_and_two_threads(short_run: Path, tmp_path: Path) -> None:
    for threads in ("1", "2"):
        out = tmp_path / threads
        train(out, *SHORT, MINIGRAD_NUM_THREADS=threads)
        assert weights(out) == weights(short_run)
        assert metrics(out) == metrics(short_run)


def test_another_seed_gives_other_weights(short_run: Path, tmp_path: Path) -> None:
    train(tmp_path / "run", *SHORT, "--seed", "1")
    assert weights(tmp_path / "run") != weights(short_run)


@pytest.mark.parametrize(
    ("signal_number", "optimizer"),
    [(signal.SIGINT, "adam"), pytest.param(signal.SIGTERM, "sgd", marks=pytest.mark.slow)],
)
def test_a_stopped_run_resumes_to_the_very_same_weights(
    tmp_path: Path, signal_number: signal.Signals, optimizer: str
) -> None:
    options = ("--epochs", "3", "--batch-size", "4", "--optimizer", optimizer)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    command = [*MINIGRAD, "train", "lenet5", "--out", str(stopped), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not re.match(r" +1 ", process.stdout.readline()):
            pass
        process.send_signal(signal_number)
        rest = process.stdout.read()
    assert process.returncode == 128 + signal_number
    assert "--resume" in rest
    progress = mg.load(stopped / "last.safetensors")["progress"]
    assert progress["epoch"] < 3
    resumed = train(stopped, "--resume")
    assert "continuing after epoch" in resumed.stdout
    train(whole, *options)
    assert weights(stopped) == weights(whole)
    assert metrics(stopped) == metrics(whole)
    assert contents(stopped)["best.safetensors"] == contents(whole)["best.safetensors"]


@pytest.mark.slow
def test_a_finished_run_can_be_given_more_epochs(short_run: Path, tmp_path: Path) -> None:
    train(tmp_path / "run", "--epochs", "2", "--batch-size", "64")
    train(tmp_path / "run", "--epochs", "3", "--resume")
    assert weights(tmp_path / "run") == weights(short_run)


def write_idx(folder: Path, name: str, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def write_mnist(folder: Path) -> None:
    """A tiny data set in MNIST's format: bright rows tell the class."""
    folder.mkdir()
    for split, count in (("train", 100), ("t10k", 20)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        images[np.arange(count), 2 * labels] = 255
        write_idx(folder, f"{split}-images-idx3-ubyte", images)
        write_idx(folder, f"{split}-labels-idx1-ubyte", labels)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_trains_on_idx_files(tmp_path: Path, name: str) -> None:
    write_mnist(tmp_path / "data")
    train(tmp_path / "run", "--data", name, "--data-dir", str(tmp_path / "data"), "--epochs", "1")
    assert len(metrics(tmp_path / "run")) == 1


@pytest.mark.slow
def test_other_networks_train_on_pictures_of_their_size(tmp_path: Path) -> None:
    write_mnist(tmp_path / "data")
    folder = ("--data", "mnist", "--data-dir", "data")
    size = ("--size", "40", "--limit", "12", "--batch-size", "5", "--epochs", "1")
    named = 'resnet50(variant = "v1")'
    done = run("train", named, *folder, *size, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 training and 20 test images of 40x40" in done.stdout
    out = tmp_path / "runs" / "resnet50-mnist"
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["model"] == "resnet50(variant='v1')"
    assert config["pictures"]["preprocessing"]["shape"] == [1, 40, 40]
    assert config["pictures"]["preprocessing"]["resize"] == 35
    again = run("train", named, "--resume", *folder, "--epochs", "2", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [row["epoch"] for row in metrics(out)] == [1, 2]
    other = run("train", "resnet50", "--resume", *folder, cwd=tmp_path)
    assert other.returncode == 2 and "started with model resnet50(variant='v1')" in other.stderr


@pytest.mark.slow
def test_momentum_and_weight_decay_count(short_run: Path, tmp_path: Path) -> None:
    sgd = ("--epochs", "1", "--limit", "64", "--optimizer", "sgd")
    found = []
    for i, more in enumerate([(), ("--momentum", "0.9"), ("--weight-decay", "0.1")]):
        done = train(tmp_path / str(i), *sgd, *more)
        found.append(weights(tmp_path / str(i)))
        assert all(f"{name[2:].replace('-', ' ')} " in done.stdout for name in more[:1])
    assert found[0] != found[1] != found[2] != found[0]


def test_a_run_from_before_there_were_all_settings_goes_on(short_run: Path, tmp_path: Path) -> None:
    folder = copy_run(short_run, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    for name in ("size", "limit", "momentum", "weight_decay"):
        del config["settings"][name]
    (folder / "config.json").write_text(json.dumps(config))
    train(folder, "--resume", "--epochs", "4")
    assert len(metrics(folder)) == 4


BAD_OPTIONS = {
    "unknown network": (("train", "lenet6"), "lenet6"),
    "unknown data": (("train", "lenet5", "--data", "cifar"), "cifar"),
    "no folder": (("train", "lenet5", "--data", "mnist"), "--data-dir"),
    "absent folder": (("train", "lenet5", "--data", "mnist", "--data-dir", "nowhere"), "nowhere"),
    "a folder too many": (("train", "lenet5", "--data-dir", "."), "folder"),
    "no epochs": (("train", "lenet5", "--epochs", "0"), "--epochs"),
    "negative batch": (("train", "lenet5", "--batch-size", "-3"), "--batch-size"),
    "unknown optimizer": (("train", "lenet5", "--optimizer", "lion"), "lion"),
    "negative lr": (("train", "lenet5", "--lr", "-1"), "--lr"),
    "growing lr": (("train", "lenet5", "--lr-decay", "1.5"), "--lr-decay"),
    "lr nan": (("train", "lenet5", "--lr", "nan"), "--lr"),
    "momentum of adam": (("train", "lenet5", "--momentum", "0.9"), "--optimizer sgd"),
    "momentum 1": (("train", "lenet5", "--optimizer", "sgd", "--momentum", "1"), "--momentum"),
    "negative decay": (("train", "lenet5", "--weight-decay", "-1"), "--weight-decay"),
    "no size": (("train", "vgg_a", "--size", "0"), "--size must be at least 1"),
    "huge size": (("train", "resnet18", "--size", "100000"), "4096"),
    "small size": (("train", "vgg_a", "--size", "16"), "try another --size: vgg_a.features.20"),
    "fixed size": (("train", "lenet5", "--size", "64"), "try another --size: lenet5.classifier.0"),
    "one image over": (("train", "resnet18", "--limit", "65"), "try another --batch-size"),
    "no images": (("train", "lenet5", "--limit", "0"), "--limit must be at least 1"),
    "more images than there are": (("train", "lenet5", "--limit", "9999"), "only 1437"),
    "unknown argument": (("train", "vgg_a(norm=True)"), "vgg_a has no option 'norm'"),
    "classes of one's own": (("train", "vgg_a(num_classes=3)"), "num_classes comes from the data"),
    "negative seed": (("train", "lenet5", "--seed", "-1"), "--seed"),
    "huge seed": (("train", "lenet5", "--seed", str(2**70)), "--seed"),
    "nothing to resume": (("train", "lenet5", "--resume"), "no run to continue"),
    "out below a file": (("train", "lenet5", "--epochs", "1", "--out", "file/run"), "file"),
    "out is a file": (("train", "lenet5", "--out", "file"), "file"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_one_line_and_status_2(tmp_path: Path, case: str) -> None:
    arguments, mention = BAD_OPTIONS[case]
    (tmp_path / "file").write_text("mine")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and mention in done.stderr
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize(
    ("name", "damage", "mention"),
    [
        ("train-images-idx3-ubyte", lambda data: data[:200], "train-images-idx3-ubyte"),
        ("train-labels-idx1-ubyte", lambda data: b"<html>not found</html>", "labels"),
        ("t10k-images-idx3-ubyte", lambda data: b"", "t10k-images-idx3-ubyte"),
    ],
)
def test_damaged_data_is_one_line_and_status_2(
    tmp_path: Path, name: str, damage: object, mention: str
) -> None:
    write_mnist(tmp_path / "data")
    file = tmp_path / "data" / f"{name}.gz"
    file.write_bytes(damage(file.read_bytes()))
    before = contents(tmp_path / "data")
    done = run("train", "lenet5", "--data", "mnist", "--data-dir", "data", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and mention in done.stderr
    assert contents(tmp_path / "data") == before
    assert not (tmp_path / "runs").exists()


def copy_run(source: Path, target: Path) -> Path:
    target.mkdir()
    for name, data in contents(source).items():
        (target / name).write_bytes(data)
    return target


def refused(folder: Path, *options: str) -> str:
    """The one line that a refused run prints; nothing in its folder has changed."""
    before = contents(folder)
    done = run("train", "lenet5", "--out", str(folder), *options, cwd=folder.parent)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert contents(folder) == before
    return done.stderr


def test_a_run_is_not_overwritten(short_run: Path) -> None:
    assert "--resume" in refused(short_run, "--epochs", "1")


def test_a_resumed_run_keeps_its_settings(short_run: Path) -> None:
    assert "--lr 0.003" in refused(short_run, "--resume", "--lr", "0.1")


@pytest.mark.parametrize("keep", [0, 4, 100, 100_000, -1])
def test_a_truncated_checkpoint_is_refused(short_run: Path, tmp_path: Path, keep: int) -> None:
    folder = copy_run(short_run, tmp_path / "run")
    file = folder / "last.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert "last.safetensors" in refused(folder, "--resume", "--epochs", "5")


def test_the_checkpoint_of_another_network_is_refused(short_run: Path, tmp_path: Path) -> None:
    folder = copy_run(short_run, tmp_path / "run")
    state = mg.load(folder / "last.safetensors")
    state["model"] = models.create("lenet5", num_classes=7).state_dict()
    mg.save(state, folder / "last.safetensors")
    assert "classifier.4.weight" in refused(folder, "--resume", "--epochs", "5")


@pytest.mark.parametrize("config", ["", "{}", "[1]", '{"settings": {"model": "lenet5"}}', "\x00"])
def test_a_damaged_configuration_is_refused(short_run: Path, tmp_path: Path, config: str) -> None:
    folder = copy_run(short_run, tmp_path / "run")
    (folder / "config.json").write_text(config)
    assert "config.json" in refused(folder, "--resume", "--epochs", "5")


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    done = run("train", "lenet5", "--optimizer", "sgd", "--lr", "1e38", cwd=tmp_path)
    assert done.returncode == 2
    assert "--lr" in done.stderr


def test_version_and_help() -> None:
    assert run("--version", cwd=Path.cwd()).stdout == f"minigrad {mg.__version__}\n"
    assert "train" in run("--help", cwd=Path.cwd()).stdout
    assert "--resume" in run("train", "--help", cwd=Path.cwd(), COLUMNS="120").stdout
