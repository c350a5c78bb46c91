"""Pictures of a data set in another size, for networks that take no small ones.

They are scaled when they are read: 60,000 pictures of 224x224 would take 3 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minigrad.data.dataset import ImageDataset, Index, rows
from minigrad.errors import ArgumentError

LARGEST_SIDE = 4096


def bilinear_weights(source: int, target: int) -> NDArray[np.float64]:
    """The matrix A (target, source) that resamples a line of pixels: new = A @ old.

    Pixel i of the target has its centre at s_i = (i + 1/2) · source / target - 1/2 in the
    source's coordinates. A[i, k] is max(0, 1 - |s_i - k| / w), divided by the row's sum, with
    w = max(1, source / target): where pixels grow, it interpolates between two, and where they
    shrink, it averages over those that fall together. That is the half-pixel convention with
    antialiasing, Pillow's `BILINEAR`.
    """
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    centres = np.clip(centres, 0, source - 1) if target > source else centres
    distance = np.abs(centres[:, None] - np.arange(source))
    weights = np.maximum(0, 1 - distance / max(1, source / target))
    return weights / weights.sum(axis=1, keepdims=True)


def scaled(dataset: ImageDataset, size: int, inner: int | None = None) -> ImageDataset:
    """The data set with pictures of `size` x `size`, scaled bilinearly as they are indexed.

    `inner` is the side of the pictures without the black around them: the picture itself is
    scaled by size / side and set in the middle of black, as `read_picture` does. Pixels are
    rounded to whole levels; `mean` and `std` stay those of the pictures as they were. Raises
    ArgumentError for a size that is none, and for pictures that are not square.
    """
    _, height, side = dataset.image_shape
    if height != side:
        raise ArgumentError(f"{dataset.name}: pictures of {height}x{side} are scaled to no square")
    if not 1 <= size <= LARGEST_SIDE:
        raise ArgumentError(f"pictures are scaled to 1 to {LARGEST_SIDE} pixels, got {size}")
    if size == side:
        return dataset
    inner = side if inner is None else inner
    margin, target = (side - inner) // 2, max(1, round(inner * size / side))
    start = (size - target) // 2
    lines = np.zeros((size, side))
    # Whole numbers of 1 / 2^16: then all sums are exact, and their order does not matter.
    weights = np.rint(bilinear_weights(inner, target) * 2**16) / 2**16
    lines[start : start + target, margin : margin + inner] = weights
    return _Scaled(
        dataset.images,
        dataset.labels,
        dataset.classes,
        dataset.mean,
        dataset.std,
        dataset.name,
        lines,
    )


@dataclass(frozen=True, eq=False, repr=False)
class _Scaled(ImageDataset):
    """`lines` (size, side) makes a line of pixels from one of `images`, down and across."""

    lines: NDArray[np.float64]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.images.shape[1], len(self.lines), len(self.lines)

    def pixels(self, index: Index) -> NDArray[np.float32]:
        read = rows(self.images, index).astype(np.float64)
        return np.rint(self.lines @ read @ self.lines.T).astype(np.float32)
