"""Data sets in memory: `ImageDataset` for labelled pictures, `ArrayDataset` for one's own arrays.

Pictures stay bytes, a quarter of their size as float32; only what is indexed becomes normalized
floats. An index is an integer, a slice, a list, or an array of integers or booleans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad.errors import ArgumentError, IndexingError

Index: TypeAlias = int | slice | list[int] | NDArray[Any]

SPLITS = ("train", "test")


def check_split(split: str) -> None:
    """Raises ArgumentError unless `split` is "train" or "test"."""
    if split not in SPLITS:
        raise ArgumentError(f"split is {split!r}; it is one of {', '.join(map(repr, SPLITS))}")


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Labelled pictures: `images` uint8 (N, C, H, W) and `labels` int64 (N,), both read-only.

    `classes[k]` is the name of label k. `mean` and `std` are those of the training split's
    pixels on the scale 0..1, for the test split too. `dataset[index]` is a fresh float32 array
    (pixel / 255 - mean) / std, (C, H, W) for an integer and (n, C, H, W) otherwise, with the
    labels of the same rows.

    Raises ArgumentError for arrays that do not fit together, IndexingError for a bad index.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    mean: float
    std: float
    name: str

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ArgumentError(
                f"{self.name}: images are {images.dtype} {images.shape}; "
                "they are uint8 of shape (N, C, H, W)"
            )
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise ArgumentError(
                f"{self.name}: labels are {labels.dtype} {labels.shape}; {len(images)} images "
                f"take integers of shape ({len(images)},)"
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ArgumentError(
                f"{self.name}: labels run from {labels.min()} to {labels.max()}; "
                f"{len(self.classes)} classes take 0 to {len(self.classes) - 1}"
            )
        if not (np.isfinite(self.mean) and np.isfinite(self.std) and self.std > 0):
            raise ArgumentError(
                f"{self.name}: mean is {self.mean} and std is {self.std}; "
                "both are finite and std is above 0"
            )
        object.__setattr__(self, "images", _read_only(images))
        object.__setattr__(self, "labels", _read_only(labels.astype(np.int64, copy=False)))
        object.__setattr__(self, "classes", tuple(self.classes))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one picture."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Index) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        pixels = self.pixels(index)
        # In place and with one multiplication: a third of the time of a table of 256 levels.
        pixels *= np.float32(1 / (255 * self.std))
        pixels -= np.float32(self.mean / self.std)
        return pixels, self.labels[index]

    def pixels(self, index: Index) -> NDArray[np.float32]:
        """What is indexed, fresh, on the scale 0..255."""
        return rows(self.images, index).astype(np.float32)

    def __repr__(self) -> str:
        return (
            f"ImageDataset({self.name}: {len(self)} images of {self.image_shape}, "
            f"{len(self.classes)} classes)"
        )


class ArrayDataset:
    """Arrays of equal length side by side: `dataset[index]` is the tuple of each one's rows.

    Takes whatever `numpy.asarray` takes, keeps dtypes, copies nothing.
    Raises ArgumentError without arrays, for a scalar, or where the lengths differ.
    """

    def __init__(self, *arrays: ArrayLike) -> None:
        self.arrays = tuple(np.asarray(array) for array in arrays)
        shapes = [array.shape for array in self.arrays]
        if not shapes:
            raise ArgumentError("ArrayDataset() got no array; it takes one or more")
        if () in shapes:
            raise ArgumentError(
                f"ArrayDataset: argument {shapes.index(())} is a scalar; "
                "every array has a first axis, one row per sample"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ArgumentError(
                f"ArrayDataset: shapes {', '.join(map(str, shapes))} differ in the first axis; "
                "every array has one row per sample"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Index) -> tuple[NDArray[Any], ...]:
        return tuple(rows(array, index) for array in self.arrays)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view, so that the flags of an array handed in stay as they are."""
    view = array.view()
    view.flags.writeable = False
    return view


def rows(array: NDArray[Any], index: Index) -> NDArray[Any]:
    """`array[index]` along the first axis alone."""
    if not isinstance(index, (int, np.integer, slice, list, np.ndarray)):
        raise IndexingError(
            f"a data set is indexed by an integer, a slice, a list or an array, not by {index!r}"
        )
    try:
        return np.asarray(array[index])
    except IndexError as error:
        raise IndexingError(f"a data set of {len(array)} samples: {error}") from error
