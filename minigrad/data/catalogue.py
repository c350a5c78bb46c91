"""The data sets by name: one row each, which is all that `minigrad train --data NAME` knows."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from minigrad.data.dataset import ImageDataset
from minigrad.data.digits import digits
from minigrad.data.idx import fashion_mnist, mnist
from minigrad.data.scaling import scaled
from minigrad.errors import ArgumentError

SIDE = 32
"""That of all pictures as they are read, for LeNet-5."""


class DataSource(NamedTuple):
    """`read` is called as read(folder, split) if it needs a folder of files, else read(split).

    `side` is that of the pictures without the black that was put around them to make 32.
    """

    read: Callable[..., ImageDataset]
    needs_folder: bool
    side: int

    def inner(self, size: int) -> int:
        """The side of the picture itself where it is `size` with the black around it."""
        return max(1, round(self.side * size / SIDE))


DATASETS: dict[str, DataSource] = {
    "digits": DataSource(digits, needs_folder=False, side=32),
    "mnist": DataSource(mnist, needs_folder=True, side=28),
    "fashion-mnist": DataSource(fashion_mnist, needs_folder=True, side=28),
}


def load(
    name: str,
    split: str = "train",
    folder: str | os.PathLike[str] | None = None,
    size: int = SIDE,
) -> ImageDataset:
    """The split "train" or "test" of a data set of DATASETS, read from `folder` if it needs one,
    with pictures scaled to `size` x `size`.

    Raises ArgumentError for an unknown name or split, a folder that is missing, or one that would
    be ignored, and a size that is none; DataError for files that are absent or damaged.
    """
    if name not in DATASETS:
        raise ArgumentError(f"there is no data set {name!r}; there are {', '.join(DATASETS)}")
    source = DATASETS[name]
    if not source.needs_folder:
        if folder is not None:
            raise ArgumentError(
                f"data set {name!r} comes with minigrad and takes no folder, got {str(folder)!r}; "
                "leave out folder (--data-dir)"
            )
        return scaled(source.read(split), size, source.side)
    if folder is None:
        raise ArgumentError(
            f"data set {name!r} is read from files; pass the folder that holds them (--data-dir)"
        )
    return scaled(source.read(folder, split), size, source.side)
