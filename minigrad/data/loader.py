"""`DataLoader`: the batches of an epoch, in an order that is a pure function of (seed, epoch).

Nothing but these two numbers and the position is needed to go on where a run stopped, so a
checkpoint stores no generator state: `set_epoch(epoch)`, then `batches(start)`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import ArgumentError

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)


class Dataset(Protocol[Batch_co]):
    """What a loader needs: a length, and the rows that an int64 index array (n,) names."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: NDArray[np.int64], /) -> Batch_co: ...


def epoch_order(length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A random permutation of 0..length-1, int64 (length,), for `seed` and `epoch` in 0..2**64-1.

    Sorts `length` words of the counter-based generator Philox4x64-10 (Salmon et al. 2011,
    "Parallel random numbers: as easy as 1, 2, 3") whose key is the seed and whose counter's
    highest word is the epoch. NumPy promises a bit generator's raw words for good, but not what
    `Generator.permutation` makes of them: hence the sort, the same on every machine and version.
    """
    key = np.array([seed, 0], dtype=np.uint64)
    counter = np.array([0, 0, 0, epoch], dtype=np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(length)
    return np.argsort(words, kind="stable").astype(np.int64, copy=False)


class DataLoader(Generic[Batch]):
    """Cuts a data set into batches of `batch_size`, shuffled anew in every epoch if asked.

    Each `for` over the loader walks one epoch and moves on to the next; `epoch` is the one that
    comes next. The last batch is smaller where the length does not divide, or left out with
    `drop_last`. Names and defaults are those of `torch.utils.data.DataLoader`.

    Raises ArgumentError for a batch size below 1, an empty data set, a data set smaller than the
    only batch `drop_last` would keep, and a seed outside 0..2**64-1.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.batch_size = _whole("batch_size", batch_size, 1, None)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = _whole("seed", seed, 0, 2**64 - 1)
        self._epoch = 0
        if len(dataset) == 0:
            raise ArgumentError("DataLoader: the data set is empty; it has at least one sample")
        if len(self) == 0:
            raise ArgumentError(
                f"DataLoader: batch_size={self.batch_size} with drop_last leaves no batch of "
                f"{len(dataset)} samples; take a smaller batch or drop_last=False"
            )

    @property
    def epoch(self) -> int:
        """The epoch the next walk goes through, counted from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch`, in 0..2**64-1, the one the next walk goes through."""
        self._epoch = _whole("epoch", epoch, 0, 2**64 - 1)

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        batches = self.batches()
        self._epoch += 1
        return batches

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The batches of the epoch from number `start` on, 0 <= start <= len(self).

        `epoch` stays as it is, so that (epoch, batch) names a place to resume from.
        """
        return self._walk(self._order(), _whole("start", start, 0, len(self)))

    def _order(self) -> NDArray[np.int64]:
        length = len(self.dataset)
        if self.shuffle:
            return epoch_order(length, self.seed, self._epoch)
        return np.arange(length, dtype=np.int64)

    def _walk(self, order: NDArray[np.int64], start: int) -> Iterator[Batch]:
        for first in range(start * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield self.dataset[order[first : first + self.batch_size]]


def _whole(argument: str, value: Any, least: int, most: int | None) -> int:
    """`value` as an int within [least, most], or an ArgumentError that names the argument."""
    try:
        whole = operator.index(value)
    except TypeError:
        whole = least - 1
    if whole < least or (most is not None and whole > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise ArgumentError(f"DataLoader: {argument} is {value!r}; it is an integer, {bounds}")
    return whole
