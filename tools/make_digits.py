"""Writes minigrad/data/digits.npz from scikit-learn's copy of UCI's handwritten digits.

Needs scikit-learn, which minigrad itself does not depend on: `pip install scikit-learn`, then
`python tools/make_digits.py [PATH]`. No clock and no random number goes into the file, so every
run with the same zlib writes the same bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

TARGET = Path(__file__).resolve().parents[1] / "minigrad" / "data" / "digits.npz"
TEST_SIZE = 360
EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def held_out_rows(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """TEST_SIZE of the rows, ascending, every class within one of its exact share.

    Systematic sampling: the rows sorted by class are cut into TEST_SIZE equal stretches, and the
    middle row of each is taken.
    """
    by_class = np.argsort(labels, kind="stable")
    middles = (2 * np.arange(TEST_SIZE) + 1) * len(labels) // (2 * TEST_SIZE)
    return np.sort(by_class[middles])


def digits_arrays() -> dict[str, NDArray[np.generic]]:
    """The arrays of the file: training samples first, each part in the published order."""
    published = load_digits()
    test = held_out_rows(published.target)
    train = np.setdiff1d(np.arange(len(published.target)), test)
    order = np.concatenate([train, test])
    return {
        "images": published.images[order].astype(np.uint8),  # (1797, 8, 8), counts 0..16
        "labels": published.target[order].astype(np.uint8),  # (1797,)
        "train_size": np.array(len(train), dtype=np.int64),
    }


def write_npz(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """What `numpy.savez_compressed` writes, with the date and the system pinned."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=EARLIEST_ZIP_DATE)
            member.create_system = 3  # Unix; it would name the system that runs this
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


if __name__ == "__main__":
    write_npz(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET, digits_arrays())
