"""Data sets, the loader's order, and the digits that come with the package."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from minigrad import data
from minigrad.data.loader import epoch_order
from minigrad.data.scaling import bilinear_weights
from minigrad.errors import ArgumentError, DataError, IndexingError

REPOSITORY = Path(__file__).resolve().parents[1]
DIGITS_FILE = REPOSITORY / "minigrad" / "data" / "digits.npz"


def pictures(count: int, side: int = 28) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, side, side), dtype=np.uint8)


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
        toy.mean = 1.0
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
    before = np.random.get_state()[1].tolist()
    epoch_order(10, 1, 1)
    assert np.random.get_state()[1].tolist() == before


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
            data.DataLoader(samples, size)
    with pytest.raises(ArgumentError, match="empty"):
        data.DataLoader(data.ArrayDataset(np.zeros((0, 2))))
    with pytest.raises(ArgumentError, match="batch_size=6 with drop_last leaves no batch of 5"):
        data.DataLoader(samples, 6, drop_last=True)
    assert len(data.DataLoader(samples, 6)) == 1
    loader = data.DataLoader(samples, 2)
    for wrong in (-1, 2**64, 0.5):
        with pytest.raises(ArgumentError, match="seed is"):
            data.DataLoader(samples, seed=wrong)
        with pytest.raises(ArgumentError, match="epoch is"):
            loader.set_epoch(wrong)
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


# --- pictures in another size -------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 20, 33, 48, 64, 100])
@pytest.mark.parametrize("inner", [28, 32])
def test_scaled_pictures_are_pillow_s_in_the_middle_of_black(size: int, inner: int) -> None:
    image_module = pytest.importorskip("PIL.Image")
    margin = (32 - inner) // 2
    images = np.zeros((5, 3, 32, 32), np.uint8)
    within = slice(margin, margin + inner)
    images[:, :, within, within] = np.random.default_rng(size).integers(
        0, 256, (5, 3, inner, inner)
    )
    whole = data.ImageDataset(images, np.arange(5), tuple("abcde"), 0.25, 0.5, "toy")
    found = data.scaled(whole, size, inner)
    assert (found.image_shape, len(found), found.classes) == ((3, size, size), 5, whole.classes)
    side = max(1, round(inner * size / 32))
    expected = np.zeros((5, 3, size, size))
    start = (size - side) // 2
    for i, j in np.ndindex(5, 3):
        picture = image_module.fromarray(np.ascontiguousarray(images[i, j, within, within]))
        resized = picture.resize((side, side), image_module.Resampling.BILINEAR)
        expected[i, j, start : start + side, start : start + side] = resized
    pixels, labels = found[:]
    assert pixels.dtype == np.float32
    levels = (pixels * 0.5 + 0.25) * 255
    assert np.abs(levels - np.rint(levels)).max() < 1e-3
    assert np.abs(levels - expected).max() < 1.001  # Pillow rounds between its two passes
    np.testing.assert_array_equal(labels, np.arange(5))
    np.testing.assert_array_equal(found[3][0], pixels[3])
    np.testing.assert_array_equal(found[[4, 1]][0], pixels[[4, 1]])


def test_pictures_of_their_own_size_stay_as_they_are() -> None:
    assert data.scaled(data.digits(), 32) is data.digits()
    assert data.load("digits") is data.digits()
    assert data.load("digits", size=48).image_shape == (1, 48, 48)
    assert data.scaled(data.scaled(data.digits(), 48), 48).image_shape == (1, 48, 48)


def test_a_constant_picture_stays_constant() -> None:
    images = np.repeat(np.arange(256, dtype=np.uint8), 81).reshape(256, 1, 9, 9)
    constant = data.ImageDataset(images, np.zeros(256, int), ("a",), 0.0, 1 / 255, "constant")
    for size in (4, 10, 31):
        pixels, _ = data.scaled(constant, size)[:]
        np.testing.assert_allclose(pixels, np.broadcast_to(images[..., :1, :1], pixels.shape))


def test_sizes_that_are_none() -> None:
    for size in (0, -3, 5000):
        with pytest.raises(ArgumentError, match=f"scaled to 1 to 4096 pixels, got {size}"):
            data.scaled(data.digits(), size)
    oblong = data.ImageDataset(
        np.zeros((2, 1, 4, 6), np.uint8), np.zeros(2, int), ("a",), 0.0, 1.0, "oblong"
    )
    with pytest.raises(ArgumentError, match="4x6"):
        data.scaled(oblong, 8)


def pairs(images: NDArray[Any], labels: NDArray[Any]) -> set[tuple[bytes, int]]:
    return {(x.tobytes(), int(y)) for x, y in zip(images, labels, strict=True)}


@pytest.mark.slow
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
