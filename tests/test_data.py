"""Data sets, the loader's order, and the IDX reader against every kind of bad file."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
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
from minigrad.data.digits import bilinear_weights
from minigrad.data.idx import _FASHION_MNIST, _LARGEST_BODY, _MNIST
from minigrad.data.loader import epoch_order
from minigrad.errors import ArgumentError, DataError, IndexingError

REPOSITORY = Path(__file__).resolve().parents[1]
DIGITS_FILE = REPOSITORY / "minigrad" / "data" / "digits.npz"


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


def dataset(count: int = 7) -> data.ImageDataset:
    images = pictures(count, 4)[:, None]
    return data.ImageDataset(images, np.arange(count) % 3, ("a", "b", "c"), 0.25, 0.5, "toy")


# --- ImageDataset and ArrayDataset --------------------------------------------------------------


def test_image_dataset_normalizes_what_is_indexed() -> None:
    toy = dataset()
    assert len(toy) == 7 and toy.image_shape == (1, 4, 4)
    expected = (toy.images / 255 - 0.25) / 0.5
    indices: list[Any] = [3, np.int64(2), slice(1, 6, 2), [0, 6, 6], np.array([5, -1])]
    for index in [*indices, toy.labels == 1]:
        images, labels = toy[index]
        assert images.dtype == np.float32 and labels.dtype == np.int64
        np.testing.assert_allclose(images, expected[index], atol=1e-6)
        np.testing.assert_array_equal(labels, toy.labels[index])
    assert [int(label) for _, label in iter(toy)] == toy.labels.tolist()  # iteration ends
    assert repr(toy) == "ImageDataset(toy: 7 images of (1, 4, 4), 3 classes)"


def test_image_dataset_is_read_only_and_leaves_the_arrays_handed_in_writable() -> None:
    images, labels = pictures(3, 4)[:, None], np.zeros(3, np.int64)
    toy = data.ImageDataset(images, labels, ("a",), 0.0, 1.0, "toy")
    for array in (toy.images, toy.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        toy.mean = 1.0  # type: ignore[misc]
    images[0], labels[0] = 1, 0


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((3, 1, 4, 4), np.float32)},
        {"images": np.zeros((3, 4, 4), np.uint8)},
        {"labels": np.zeros(2, np.int64)},
        {"labels": np.zeros((3, 1), np.int64)},
        {"labels": np.zeros(3)},
        {"labels": np.array([0, 1, 2])},
        {"labels": np.array([0, -1, 1])},
        {"std": 0.0},
        {"std": float("nan")},
        {"mean": float("inf")},
    ],
)
def test_image_dataset_refuses_what_does_not_fit(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "images": np.zeros((3, 1, 4, 4), np.uint8),
        "labels": np.zeros(3, np.int64),
        "classes": ("a", "b"),
        "mean": 0.0,
        "std": 1.0,
        "name": "toy",
    }
    data.ImageDataset(**fields)
    with pytest.raises(ArgumentError, match=r"^toy: "):
        data.ImageDataset(**(fields | change))


@pytest.mark.parametrize("index", [7, -8, [0, 7], (0, 1), None, ..., 1.0, np.array([0.5]), "0"])
def test_a_bad_index_is_an_indexing_error(index: Any) -> None:
    for samples in (dataset(), data.ArrayDataset(np.arange(7))):
        with pytest.raises(IndexingError, match="data set"):
            samples[index]


def test_array_dataset() -> None:
    x, y = np.arange(12.0).reshape(6, 2), [5, 4, 3, 2, 1, 0]
    both = data.ArrayDataset(x, y)
    assert len(both) == 6
    rows, targets = both[np.array([0, 5])]
    assert rows.tolist() == [[0, 1], [10, 11]] and targets.tolist() == [5, 0]
    for arrays in ([], [np.float32(1)], [x, y, 3], [x, y[:5]]):
        with pytest.raises(ArgumentError, match="ArrayDataset"):
            data.ArrayDataset(*arrays)


# --- DataLoader ---------------------------------------------------------------------------------


def walk(loader: data.DataLoader[Any]) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


@given(
    length=st.integers(1, 50),
    batch_size=st.integers(1, 60),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**64 - 1),
    share=st.floats(0, 1),
)
def test_loader_walks_every_sample_once_and_resumes(
    length: int,
    batch_size: int,
    shuffle: bool,
    drop_last: bool,
    seed: int,
    epoch: int,
    share: float,
) -> None:
    batch_size = min(batch_size, length) if drop_last else batch_size
    samples = data.ArrayDataset(np.arange(length))
    loader = data.DataLoader(samples, batch_size, shuffle, drop_last, seed)
    loader.set_epoch(epoch)
    start = round(share * len(loader))
    rest = [batch[0].tolist() for batch in loader.batches(start)]
    assert loader.epoch == epoch
    batches = walk(loader)
    assert loader.epoch == epoch + 1
    assert len(batches) == len(loader) and batches[start:] == rest
    assert all(len(batch) == batch_size for batch in batches[:-1])
    seen = [sample for batch in batches for sample in batch]
    if drop_last:
        assert len(seen) == length // batch_size * batch_size and len(set(seen)) == len(seen)
    else:
        assert sorted(seen) == list(range(length))
    if not shuffle:
        assert seen == list(range(len(seen)))


def test_every_for_takes_the_next_epoch_and_no_two_orders_agree() -> None:
    samples = data.ArrayDataset(np.arange(100))
    loader = data.DataLoader(samples, 10, shuffle=True, seed=3)
    first, second = walk(loader), walk(loader)
    next(iter(loader))  # leaving an epoch early moves on as well
    assert loader.epoch == 3
    other = walk(data.DataLoader(samples, 10, shuffle=True, seed=4))
    assert first != second and first != other and second != other
    loader.set_epoch(1)
    assert walk(loader) == second


def test_the_order_is_the_same_on_every_machine() -> None:
    assert epoch_order(10, seed=0, epoch=0).tolist() == ORDER_0_0
    assert epoch_order(10, seed=2**64 - 1, epoch=2**64 - 1).tolist() == ORDER_LAST_LAST
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    epoch_order(10, 1, 1)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


ORDER_0_0 = [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
ORDER_LAST_LAST = [9, 3, 1, 2, 6, 4, 5, 8, 7, 0]


def test_first_places_are_uniform() -> None:
    first = [epoch_order(8, 0, epoch)[0] for epoch in range(4000)]
    counts = np.bincount(first, minlength=8)
    assert ((counts - 500) ** 2 / 500).sum() < 24.3  # chi-squared, 7 degrees of freedom, p = 0.001


def test_loader_hands_out_normalized_batches() -> None:
    toy = dataset()
    loader = data.DataLoader(toy, batch_size=3)
    images, labels = next(iter(loader))
    np.testing.assert_array_equal(images, toy[0:3][0])
    assert images.dtype == np.float32 and images.shape == (3, 1, 4, 4)
    assert labels.tolist() == [0, 1, 2] and labels.dtype == np.int64


def test_loader_refuses_what_makes_no_batch() -> None:
    samples = data.ArrayDataset(np.arange(5))
    for size in (0, -1, 2.0, "3", None):
        with pytest.raises(ArgumentError, match="batch_size is"):
            data.DataLoader(samples, size)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="empty"):
        data.DataLoader(data.ArrayDataset(np.zeros((0, 2))))
    with pytest.raises(ArgumentError, match="batch_size=6 with drop_last leaves no batch of 5"):
        data.DataLoader(samples, 6, drop_last=True)
    assert len(data.DataLoader(samples, 6)) == 1
    loader = data.DataLoader(samples, 2)
    for wrong in (-1, 2**64, 0.5):
        with pytest.raises(ArgumentError, match="seed is"):
            data.DataLoader(samples, seed=wrong)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="epoch is"):
            loader.set_epoch(wrong)  # type: ignore[arg-type]
    for wrong in (-1, 4):
        with pytest.raises(ArgumentError, match=r"start is .* 0 to 3"):
            loader.batches(wrong)
    assert list(loader.batches(3)) == []


# --- the digits ---------------------------------------------------------------------------------


def test_digits() -> None:
    train, test = data.digits("train"), data.digits("test")
    assert (len(train), len(test)) == (1437, 360)
    for part in (train, test):
        assert part.images.shape == (len(part), 1, 32, 32) and part.name == "digits"
        assert (part.images.min(), part.images.max()) == (0, 255)
        assert part.classes == tuple("0123456789")
        shares = np.bincount(part.labels) / len(part)
        whole = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]) / 1797
        assert np.abs(shares - whole).max() * len(part) <= 1  # stratified to a sample
    scaled = train.images / 255
    for part in (train, test):
        assert part.mean == pytest.approx(scaled.mean(), abs=1e-12)
        assert part.std == pytest.approx(scaled.std(), abs=1e-12)
    assert data.digits() is train
    with pytest.raises(ArgumentError, match="split is 'valid'"):
        data.digits("valid")


def test_the_digits_never_change() -> None:
    assert hashlib.sha256(DIGITS_FILE.read_bytes()).hexdigest() == (
        "aafbae3e10796f8edc7968582774cfeaf6a9c0438ac75f83892e938131275ab7"
    )
    content = b"".join(
        part.images.tobytes() + part.labels.astype("<i8").tobytes()
        for part in (data.digits("train"), data.digits("test"))
    )
    assert (
        hashlib.sha256(content).hexdigest()
        == "108689307086778203c651f3217db4fad42ce39ef832a333a72cd7f5ebce1fc3"
    )


def plain_bilinear(image: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """The half-pixel convention, pixel by pixel."""
    height, width = image.shape
    out = np.empty((side, side))
    for i in range(side):
        for j in range(side):
            y = min(max((i + 0.5) * height / side - 0.5, 0), height - 1)
            x = min(max((j + 0.5) * width / side - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            v, u = y - top, x - left
            out[i, j] = (1 - v) * ((1 - u) * image[top, left] + u * image[top, right]) + v * (
                (1 - u) * image[bottom, left] + u * image[bottom, right]
            )
    return out


def test_digits_are_the_published_counts_enlarged() -> None:
    with np.load(DIGITS_FILE, allow_pickle=False) as file:
        counts, labels = file["images"], file["labels"]
    assert counts.dtype == np.uint8 and counts.shape == (1797, 8, 8) and counts.max() == 16
    np.testing.assert_array_equal(labels[1437:], data.digits("test").labels)
    for place in (0, 500, 1436):
        expected = np.rint(plain_bilinear(counts[place], 32) * 255 / 16)
        np.testing.assert_array_equal(data.digits("train").images[place, 0], expected)
        assert data.digits("train").labels[place] == labels[place]


@given(image=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_bilinear_weights_agree_with_the_plain_loop(image: NDArray[np.uint8]) -> None:
    rows, columns = (bilinear_weights(size, 12) for size in image.shape)
    np.testing.assert_allclose(rows @ image @ columns.T, plain_bilinear(image, 12), atol=1e-9)


def pairs(images: NDArray[Any], labels: NDArray[Any]) -> set[tuple[bytes, int]]:
    return {(x.tobytes(), int(y)) for x, y in zip(images, labels, strict=True)}


def test_the_digits_file_is_what_its_script_makes(tmp_path: Path) -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    spec = importlib.util.spec_from_file_location(
        "make_digits", REPOSITORY / "tools" / "make_digits.py"
    )
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.write_npz(tmp_path / "digits.npz", script.digits_arrays())
    with np.load(DIGITS_FILE) as shipped, np.load(tmp_path / "digits.npz") as made:
        assert shipped.files == made.files
        for name in shipped.files:
            assert shipped[name].dtype == made[name].dtype
            np.testing.assert_array_equal(shipped[name], made[name])
        stored = pairs(shipped["images"], shipped["labels"])
    published = sklearn_datasets.load_digits()
    assert stored == pairs(published.images.astype(np.uint8), published.target)
    assert len(stored) == 1797


def test_a_missing_digits_file_is_a_data_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("minigrad.data.digits")
    monkeypatch.setattr(module, "_FILE", tmp_path / "digits.npz")
    with pytest.raises(DataError, match=r"digits\.npz: No such file .* install minigrad again"):
        module._splits.__wrapped__()


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
