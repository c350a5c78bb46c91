"""`minigrad predict`, in this process where the message is what counts."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_archives import archive, mapping, plain, storage, tensor
from typer.testing import CliRunner

import minigrad as mg
from minigrad import data, models
from minigrad.cli.app import app
from minigrad.cli.classifier import classifier, find_state, network
from minigrad.cli.run_folder import RunFolder
from minigrad.cli.settings import Settings
from minigrad.data import ImageDataset
from minigrad.errors import MinigradError

Image = pytest.importorskip("PIL.Image")

DIGITS = data.digits("test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with weights that were not trained, and a few of the pictures."""
    path = tmp_path_factory.mktemp("predict")
    mg.manual_seed(0)
    run = RunFolder(path / "run")
    run.write_config(Settings.complete({"model": "lenet5"}), data.digits("train"))
    net = models.create("lenet5")
    run.write_best(net.state_dict())
    run.write_state({"model": models.create("lenet5").state_dict(), "progress": {}})
    for i in range(20):
        Image.fromarray(DIGITS.images[i, 0]).save(path / f"{i}.png")
    return path


def told(*arguments: Any) -> str:
    done = CliRunner().invoke(app, ["predict", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: Any) -> str:
    with pytest.raises(MinigradError) as caught:
        CliRunner().invoke(app, ["predict", *map(str, arguments)], catch_exceptions=False)
    return str(caught.value)


def expected(net: Any, count: int) -> np.ndarray:
    """The network's probabilities for the first pictures of the data set itself."""
    with mg.no_grad():
        scores = net.eval()(mg.asarray(DIGITS[:count][0])).numpy().astype(np.float64)
    shares = np.exp(scores)
    return shares / shares.sum(axis=1, keepdims=True)


def probabilities(output: str) -> np.ndarray:
    rows = []
    for picture in json.loads(output)["pictures"]:
        row = {entry["index"]: entry["probability"] for entry in picture["classes"]}
        rows.append([row[i] for i in sorted(row)])
    return np.array(rows)


def test_the_probabilities_of_the_run_that_trained(folder: Path) -> None:
    pictures = [folder / f"{i}.png" for i in range(20)]  # more than one batch
    output = told(folder / "run", *pictures, "--top", 10, "--json")
    listed = json.loads(output)["pictures"]
    assert [row["picture"] for row in listed] == [str(path) for path in pictures]
    for row in listed:
        values = [entry["probability"] for entry in row["classes"]]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)
    net = models.create("lenet5")
    net.load_state_dict(mg.load(folder / "run" / "best.safetensors"))
    np.testing.assert_allclose(probabilities(output), expected(net, 20), rtol=1e-4)
    last = models.create("lenet5")
    last.load_state_dict(mg.load(folder / "run" / "last.safetensors")["model"])
    output = told(folder / "run" / "last.safetensors", folder / "0.png", "--top", 10, "--json")
    np.testing.assert_allclose(probabilities(output), expected(last, 1), rtol=1e-4)


def test_a_table_with_the_names_of_the_classes(folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("".join(f"[b]digit[/b] {i}\n" for i in range(10)) + "\n")
    lines = told(
        folder / "run", folder / "0.png", folder / "1.png", "--classes", names
    ).splitlines()
    assert lines[0].split() == ["picture", "class", "probability"]
    assert len([line for line in lines if "[b]digit[/b]" in line]) == 10
    assert "%" in lines[-1]
    output = told(folder / "run", folder / "0.png", "--top", 100, "--json", "--classes", names)
    assert len(json.loads(output)["pictures"][0]["classes"]) == 10
    assert json.loads(output)["pictures"][0]["classes"][0]["class"].startswith("[b]digit[/b] ")


@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod."])
def test_a_checkpoint_of_another_program(
    nest: str | None, prefix: str, folder: Path, tmp_path: Path
) -> None:
    net = models.create("lenet5", in_channels=3, num_classes=7)
    body, storages = {}, {}
    for key, value in net.state_dict().items():
        kept = np.ascontiguousarray(value.numpy())
        strides = [s // 4 for s in kept.strides]
        stored = storage("FloatStorage", key, value.size)
        body[prefix + key] = tensor(stored, 0, value.shape, tuple(strides))
        storages[key] = kept.tobytes()
    whole = mapping(body)
    if nest is not None:
        whole = mapping({nest: whole, "epoch": plain(3)})
    (tmp_path / "x.pth").write_bytes(archive(whole, storages))
    output = told(tmp_path / "x.pth", folder / "0.png", "--model", "lenet5", "--json")
    assert len(json.loads(output)["pictures"][0]["classes"]) == 5
    mg.save({"epoch": 1, "state_dict": net.double().state_dict()}, tmp_path / "x.npz")
    again = told(tmp_path / "x.npz", folder / "0.png", "--model", "lenet5", "--json")
    np.testing.assert_allclose(probabilities(again), probabilities(output), rtol=1e-4)


def test_a_run_on_mnist_pads_as_its_data_did(tmp_path: Path) -> None:
    images = np.zeros((3, 1, 32, 32), np.uint8)
    images[:, :, 2:30, 2:30] = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28))
    mnist = ImageDataset(images, np.arange(3), ("a", "b", "c"), 0.1, 0.3, "mnist")
    run = RunFolder(tmp_path / "run")
    run.write_config(
        Settings.complete({"model": "lenet5", "data": "mnist", "data_dir": "x"}), mnist
    )
    preprocessing, classes = run.read_pictures()
    assert classes == ("a", "b", "c")
    Image.fromarray(images[1, 0, 2:30, 2:30]).save(tmp_path / "x.png")
    np.testing.assert_array_equal(data.read_picture(tmp_path / "x.png", preprocessing), mnist[1][0])


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [False, True])
def test_keys_tell_whether_a_vgg_has_batch_normalization(batch_norm: bool) -> None:
    with mg.abstract():
        other = models.create("vgg_a", num_classes=3, in_channels=1, batch_norm=batch_norm)
    shapes = {key: (value.shape, value.dtype) for key, value in other.state_dict().items()}
    # One zero behind every weight: half a gigabyte of them is not needed to see the keys.
    state = {
        key: mg.asarray(np.broadcast_to(np.zeros((), str(dtype)), shape))
        for key, (shape, dtype) in shapes.items()
    }
    model, channels, count = network("vgg_a", state, {})
    assert (channels, count) == (1, 3)
    assert model.state_dict().keys() == state.keys()
    for key in [key for key in state if key.endswith("num_batches_tracked")]:
        del state[key]  # torchvision's files have none
    assert network("vgg_a", state, {})[1:] == (1, 3)
    with pytest.raises(MinigradError, match=r"missing|unexpected"):
        network("vgg_a", state, {"batch_norm": not batch_norm})
    state["features.0.weihgt"] = state.pop("features.0.weight")
    with pytest.raises(MinigradError) as caught:
        network("vgg_a", state, {})
    assert "1 missing" in str(caught.value) and "1 unexpected" in str(caught.value)


def test_a_run_tells_the_arguments_of_its_network(tmp_path: Path) -> None:
    named = "resnet18(variant='v1')"
    small = data.load("digits", size=40)
    run = RunFolder(tmp_path / "run")
    run.write_config(Settings.complete({"model": named, "size": 40}), small)
    net = models.create("resnet18", in_channels=1, num_classes=10, variant="v1")
    run.write_best(net.state_dict())
    Image.fromarray(DIGITS.images[0, 0]).save(tmp_path / "0.png")
    output = told(tmp_path / "run", tmp_path / "0.png", "--top", 10, "--json")
    with mg.no_grad():
        images = mg.asarray(data.load("digits", "test", size=40)[:1][0])
        scores = net.eval()(images).numpy().astype(np.float64)
    shares = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(probabilities(output), shares, rtol=0.05)
    assert classifier(tmp_path / "run", None).preprocessing.shape == (1, 40, 40)


def test_what_does_not_fit(folder: Path, tmp_path: Path) -> None:
    picture = folder / "0.png"
    (tmp_path / "names.txt").write_text("a\nb\n")
    (tmp_path / "x.png").write_bytes(picture.read_bytes()[:100])
    mg.save({"epoch": 1}, tmp_path / "empty.npz")
    mg.save({"weight": mg.ones((2, 2, 2, 2))}, tmp_path / "other.npz")
    state = models.create("lenet5").state_dict()
    broken = {key: value * float("nan") for key, value in state.items()}
    mg.save(broken, tmp_path / "nan.npz")
    lenet = "--model", "lenet5"
    assert "--top takes a number from 1, got 0" in refused(folder / "run", picture, "--top", 0)
    assert "2 lines" in refused(folder / "run", picture, "--classes", tmp_path / "names.txt")
    assert "cannot be read" in refused(folder / "run", picture, "--classes", tmp_path)
    assert "x.png: cannot be read" in refused(folder / "run", picture, tmp_path / "x.png")
    assert "--model takes lenet5" in refused(tmp_path / "empty.npz", picture)
    assert "holds no state_dict" in refused(tmp_path / "empty.npz", picture, *lenet)
    assert "1 unexpected" in refused(tmp_path / "other.npz", picture, *lenet)
    assert "not finite" in refused(tmp_path / "nan.npz", picture, *lenet)
    assert "no such file" in refused(tmp_path / "absent.pth", picture, *lenet)
    assert "lenet6" in refused(tmp_path / "nan.npz", picture, "--model", "lenet6")


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("features_detector.0.weight", (6, 100_000, 5, 5)),
        ("features_detector.0.weight", (0, 2**24, 1, 1)),
        ("classifier.4.bias", (2**24,)),
    ],
)
def test_a_small_file_does_not_make_a_network_of_gigabytes(
    key: str, shape: tuple[int, ...], folder: Path, tmp_path: Path
) -> None:
    """Its tensor repeats one number, and would ask for as many channels or classes."""
    strides = (0,) * len(shape)
    body = mapping({key: tensor(storage("FloatStorage", "0", 1), 0, shape, strides)})
    (tmp_path / "x.pth").write_bytes(archive(body, {"0": bytes(4)}))
    tracemalloc.start()
    try:
        said = refused(tmp_path / "x.pth", folder / "0.png", "--model", "lenet5")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "9 missing" in said
    assert peak < 2**24


def test_keys_of_prefixes_are_read_in_no_time(tmp_path: Path) -> None:
    """Cutting off one prefix after the other would copy a terabyte."""
    state = models.create("lenet5").state_dict()
    long = {"module." * 500_000 + key: value for key, value in list(state.items())[:2]}
    assert list(find_state(long, tmp_path)) == list(state)[:2]
    with pytest.raises(MinigradError, match="2 unexpected"):
        models.create("lenet5").load_state_dict({"." * 2_000_000 + key: 1 for key in "ab"})


@pytest.mark.parametrize(
    "pictures",
    [
        "",
        "[]",
        '{"classes": 3}',
        '{"classes": [], "preprocessing": {"shape": [1, 2], "resize": 1}}',
        '{"classes": [], "preprocessing": {"shape": [1,8,8], "mean": ["x"], "std": [1], '
        '"resize": 0}}',
    ],
)
def test_a_configuration_that_does_not_tell_about_pictures(
    pictures: str, folder: Path, tmp_path: Path
) -> None:
    config = json.loads((folder / "run" / "config.json").read_text())
    del config["pictures"]
    if pictures:
        config["pictures"] = json.loads(pictures)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "best.safetensors").write_bytes((folder / "run" / "best.safetensors").read_bytes())
    assert "how pictures are prepared" in refused(tmp_path, folder / "0.png")


def test_a_picture_that_is_none_is_one_line_and_status_2(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "predict", str(folder / "run"), str(tmp_path / "x.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "x.png: is no picture" in done.stderr
    assert not done.stdout
