"""The handwritten digits that come with minigrad: 1,797 real pictures, no download.

Stored as the 8x8 counts their authors published (`digits.npz`, made by tools/make_digits.py,
training samples first) and enlarged on first use to the 32x32 that LeNet-5 reads.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigrad.data.dataset import ImageDataset, check_split
from minigrad.data.scaling import bilinear_weights
from minigrad.errors import DataError

_FILE = Path(__file__).with_name("digits.npz")
_SIDE = 32
_LARGEST_COUNT = 16  # a stored pixel counts the inked ones of a 4x4 block of the scan


def digits(split: str = "train") -> ImageDataset:
    """The digits 0 to 9 as uint8 pictures (N, 1, 32, 32): 1,437 to train on, 360 to test on.

    The split is fixed and part of the file: stratified by class, and the same for every seed.
    The 8x8 counts 0..16 are interpolated bilinearly and scaled to 0..255. Raises ArgumentError
    for any other split, and DataError where the file is missing from the installation.

    Source: E. Alpaydin and C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI
    Machine Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0; its test
    part, as scikit-learn ships it, here split anew and enlarged.
    """
    check_split(split)
    return _splits()[split]


@cache
def _splits() -> dict[str, ImageDataset]:
    try:
        with np.load(_FILE, allow_pickle=False) as file:
            counts, labels = file["images"], file["labels"]  # (1797, 8, 8), (1797,)
            train_size = int(file["train_size"])
    except OSError as error:
        raise DataError(f"{_FILE}: {error.strerror}; install minigrad again") from error
    images = _enlarged(counts)
    mean, std = _mean_and_std(images[:train_size])
    classes = tuple("0123456789")
    return {
        split: ImageDataset(images[rows], labels[rows], classes, mean, std, "digits")
        for split, rows in (("train", slice(train_size)), ("test", slice(train_size, None)))
    }


def _enlarged(counts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Counts 0..16 (N, H, W) as pixels 0..255 (N, 1, 32, 32)."""
    rows = bilinear_weights(counts.shape[1], _SIDE)
    columns = bilinear_weights(counts.shape[2], _SIDE)
    # From 8 to 32 every weight is a multiple of 1/8: the products are exact in any order.
    pixels = rows @ counts.astype(np.float64) @ columns.T
    return np.rint(pixels * 255 / _LARGEST_COUNT).astype(np.uint8)[:, None]


def _mean_and_std(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Of all pixels on the scale 0..1, from the histogram of the 256 levels."""
    levels = np.arange(256) / 255
    share = np.bincount(images.ravel(), minlength=256) / images.size
    mean = float(share @ levels)
    return mean, float(np.sqrt(share @ (levels - mean) ** 2))
