"""The IDX reader on good files and against every kind of bad one, and data sets by name."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from minigrad import data
from minigrad.data.idx import _FASHION_MNIST, _LARGEST_BODY, _MNIST
from minigrad.errors import ArgumentError, DataError


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
    return header + array.tobytes()


def pictures(count: int, side: int = 28) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, side, side), dtype=np.uint8)


def write_pair(
    folder: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    prefix: str = "train",
    mark: str = "-",
    packed: bool = False,
) -> None:
    for kind, array, code in (("images", images, "idx3"), ("labels", labels, "idx1")):
        content = idx_bytes(array)
        name = f"{prefix}-{kind}{mark}{code}-ubyte"
        path = folder / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(content) if packed else content)


# --- IDX files that are well ---------------------------------------------------------------------

idx_arrays = hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, min_side=0, max_side=6))
on_one_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_one_path
@given(array=idx_arrays, packed=st.booleans())
def test_idx_round_trip(tmp_path: Path, array: NDArray[np.uint8], packed: bool) -> None:
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))
    back = data.read_idx(path)
    assert back.dtype == np.uint8 and back.shape == array.shape and back.flags.writeable
    np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(data.read_idx(str(path)), array)


@pytest.mark.parametrize("read", [data.mnist, data.fashion_mnist])
@pytest.mark.parametrize("split, prefix", [("train", "train"), ("test", "t10k")])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files(
    tmp_path: Path,
    read: Callable[..., data.ImageDataset],
    split: str,
    prefix: str,
    mark: str,
    packed: bool,
) -> None:
    images, labels = pictures(12), np.arange(12, dtype=np.uint8) % 10
    write_pair(tmp_path, images, labels, prefix, mark, packed)
    loaded = read(tmp_path, split)
    assert loaded.image_shape == (1, 32, 32) and len(loaded.classes) == 10
    np.testing.assert_array_equal(loaded.images[:, 0, 2:30, 2:30], images)
    assert int(loaded.images.sum(dtype=np.int64)) == int(images.sum(dtype=np.int64))
    np.testing.assert_array_equal(loaded.labels, labels)
    batch, _ = loaded[np.array([0])]
    assert batch[0, 0, 0, 0] == pytest.approx(-loaded.mean / loaded.std)


def test_content_decides_what_is_gzip_not_the_name(tmp_path: Path) -> None:
    write_pair(tmp_path, pictures(2), np.zeros(2, np.uint8))
    images = tmp_path / "train-images-idx3-ubyte"
    labels = tmp_path / "train-labels-idx1-ubyte"
    images.write_bytes(gzip.compress(images.read_bytes()))
    labels.rename(labels.with_name(labels.name + ".gz"))
    assert len(data.mnist(str(tmp_path))) == 2


def test_a_folder_of_the_name_does_not_hide_the_file(tmp_path: Path) -> None:
    write_pair(tmp_path, pictures(2), np.zeros(2, np.uint8), mark=".")
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    assert len(data.mnist(tmp_path)) == 2


@pytest.mark.parametrize(
    "known, mean, std", [(_MNIST, 0.1307, 0.3081), (_FASHION_MNIST, 0.2860, 0.3530)]
)
def test_the_constants_are_the_published_ones_with_padding(
    known: Any, mean: float, std: float
) -> None:
    inner = (28 / 32) ** 2  # the padding adds zeros to both moments
    assert known.mean == pytest.approx(mean * inner, abs=5e-5)
    second_moment = (std**2 + mean**2) * inner
    assert known.std == pytest.approx((second_moment - known.mean**2) ** 0.5, abs=1e-4)


# --- IDX files that are not ----------------------------------------------------------------------

GOOD = idx_bytes(pictures(3))
PACKED = gzip.compress(GOOD)

BAD_FILES = {
    "empty": (b"", "is empty"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "one zero byte": (b"\0", "ends within the IDX header"),
    "three bytes": (GOOD[:3], "ends within the IDX header"),
    "text": (b"hello, world", "not an IDX file; it begins with 68 65 6c 6c"),
    "little endian": (b"\x03\x08\0\0" + GOOD[4:], "not an IDX file"),
    "float32": (b"\0\0\x0d\x01" + struct.pack(">If", 1, 1.0), r"type 0x0d \(float32\)"),
    "unknown type": (b"\0\0\x77\x01" + GOOD[4:], r"type 0x77 \(unknown\)"),
    "no dimension": (b"\0\0\x08\0" + GOOD[4:], "announces 0 dimensions"),
    "five dimensions": (b"\0\0\x08\x05" + GOOD[4:], "announces 5 dimensions"),
    "header cut": (GOOD[:15], "ends within the IDX header"),
    "no body": (GOOD[:16], r"announces \(3, 28, 28\), 2,352 bytes, but 0 follow"),
    "body cut": (GOOD[:-1], "but 2,351 follow"),
    "one byte too many": (GOOD + b"\0", "more bytes follow than the 2,352"),
    "gzip of too many": (gzip.compress(GOOD + b"\0"), "more bytes follow"),
    "absurd": (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "more than the 1,073,741,824 bytes"),
    "absurd but empty": (GOOD[:4] + b"\xff" * 8 + b"\0" * 4, "more than the 1,073,741,824"),
    "at the limit": (GOOD[:3] + b"\x01" + struct.pack(">I", _LARGEST_BODY) + b"x", "but 1 follow"),
    "gzip magic alone": (PACKED[:2], "damaged as gzip"),
    "gzip header cut": (PACKED[:9], "damaged as gzip"),
    "gzip body cut": (PACKED[:-400], "damaged as gzip"),
    "gzip checksum cut": (PACKED[:-1], "damaged as gzip"),
    "gzip checksum wrong": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "damaged as gzip"),
    "gzip body wrong": (PACKED[:40] + b"\xff" * 40 + PACKED[80:], "damaged as gzip"),
    "gzip and more": (PACKED + b"more", "damaged as gzip"),
}


@pytest.mark.parametrize("content, message", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        data.read_idx(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_gzip_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    header = b"\0\0\x08\x01" + struct.pack(">I", _LARGEST_BODY + 1)
    path.write_bytes(gzip.compress(header + bytes(2**20)))
    with pytest.raises(DataError, match="too large"):
        data.read_idx(path)


def test_a_claim_takes_no_memory(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    path = tmp_path / "claim"
    path.write_bytes(b"\0\0\x08\x01" + struct.pack(">I", _LARGEST_BODY) + bytes(1000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="but 1,000 follow"):
            data.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_what_is_no_file(tmp_path: Path) -> None:
    cases = {
        tmp_path: "is a directory",
        tmp_path / "absent": "No such file or directory",
        tmp_path / ("x" * 300): "cannot be read",
        Path("nul\0byte"): "cannot be read",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        cases[tmp_path / "pipe"] = "not a regular file"
    for path, message in cases.items():
        with pytest.raises(DataError, match=message):
            data.read_idx(path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path, pictures(2), np.zeros(2, np.uint8))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)  # the superuser may read everything
        with pytest.raises(DataError, match="images-idx3-ubyte: cannot be read: Permission denied"):
            data.mnist(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(DataError, match="not a folder with mnist files: Permission denied"):
            data.mnist(tmp_path)


@on_one_path
@given(raw=st.data(), packed=st.booleans())
def test_damage_is_a_data_error_or_another_array(
    tmp_path: Path, raw: st.DataObject, packed: bool
) -> None:
    content = idx_bytes(raw.draw(idx_arrays))
    damaged = bytearray(gzip.compress(content) if packed else content)
    for _ in range(raw.draw(st.integers(0, 4))):
        damaged[raw.draw(st.integers(0, len(damaged) - 1))] = raw.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(damaged[: raw.draw(st.integers(0, len(damaged)))])
    try:
        array = data.read_idx(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert array.dtype == np.uint8 and 1 <= array.ndim <= 4


@on_one_path
@given(content=st.binary(max_size=40), header=st.sampled_from([b"", b"\0\0\x08", b"\x1f\x8b\x08"]))
def test_any_bytes_are_a_data_error_or_an_array(
    tmp_path: Path, content: bytes, header: bytes
) -> None:
    path = tmp_path / "anything"
    path.write_bytes(header + content)
    with contextlib.suppress(DataError):
        assert data.read_idx(path).dtype == np.uint8


# --- folders of MNIST files that are not ---------------------------------------------------------


def test_folder_absent_or_a_file_or_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: not a folder .*: No such file or directory"):
        data.mnist(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: not a folder with fashion-mnist files"):
        data.fashion_mnist(tmp_path / "file")
    with pytest.raises(DataError, match="not a folder"):
        data.mnist("nul\0byte")
    write_pair(tmp_path, pictures(2), np.zeros(2, np.uint8))
    with pytest.raises(
        DataError,
        match=r"has no mnist file t10k-images-idx3-ubyte or t10k-images-idx3-ubyte\.gz or "
        r"t10k-images\.idx3-ubyte or t10k-images\.idx3-ubyte\.gz$",
    ):
        data.mnist(tmp_path, "test")
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()
    (tmp_path / "t10k-labels-idx1-ubyte").touch()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: is a directory"):
        data.mnist(tmp_path, "test")
    with pytest.raises(ArgumentError, match="split is 'valid'"):
        data.mnist(tmp_path, "valid")


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (pictures(4, 27), np.zeros(4, np.uint8), r"images.* shape \(4, 27, 27\)"),
        (pictures(4)[0], np.zeros(4, np.uint8), r"images.* shape \(28, 28\)"),
        (pictures(4)[:0], np.zeros(0, np.uint8), r"images.* shape \(0, 28, 28\)"),
        (np.zeros(4, np.uint8), np.zeros(4, np.uint8), r"images.* shape \(4,\)"),
        (pictures(4), pictures(4), r"labels.* shape \(4, 28, 28\).* take labels \(4,\)"),
        (pictures(4), np.zeros(5, np.uint8), r"labels.* shape \(5,\).* take labels \(4,\)"),
        (pictures(4), np.array([0, 9, 10, 11], np.uint8), "labels.* label 2 is 10; .* 0 to 9"),
    ],
)
def test_files_that_do_not_fit(
    tmp_path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], message: str
) -> None:
    write_pair(tmp_path, images, labels)
    with pytest.raises(DataError, match=message) as caught:
        data.mnist(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


# --- by name -------------------------------------------------------------------------------------


def test_load_by_name(tmp_path: Path) -> None:
    assert list(data.DATASETS) == ["digits", "mnist", "fashion-mnist"]
    assert data.load("digits") is data.digits("train")
    assert data.load("digits", "test") is data.digits("test")
    write_pair(tmp_path, pictures(2), np.array([0, 9], np.uint8), "t10k")
    for name in ("mnist", "fashion-mnist"):
        assert data.load(name, "test", tmp_path).name == name
        with pytest.raises(ArgumentError, match=f"'{name}' is read from files.*--data-dir"):
            data.load(name)
    assert data.load("fashion-mnist", "test", tmp_path).classes[9] == "Ankle boot"
    with pytest.raises(ArgumentError, match=r"'cifar'; there are digits, mnist, fashion-mnist"):
        data.load("cifar")
    with pytest.raises(ArgumentError, match="takes no folder"):
        data.load("digits", folder=tmp_path)
    with pytest.raises(ArgumentError, match="split is 'all'"):
        data.load("digits", "all")
