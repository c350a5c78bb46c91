"""The IDX format, and the data sets MNIST and Fashion-MNIST that are published in it.

An IDX file is two zero bytes, a type code, the number of dimensions, one big-endian 32-bit size
per dimension, and the values. A file's claims are not trusted: memory grows only with the bytes
that really come, and whatever is wrong is one DataError that names the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.data.dataset import ImageDataset, check_split
from minigrad.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_OTHER_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_MOST_DIMENSIONS = 4
_LARGEST_BODY = 2**30  # 20 times MNIST; keeps a crafted gzip file from filling the memory
_CHUNK = 2**20

_SIDE = 28
_PADDING = 2
_PREFIX = {"train": "train", "test": "t10k"}


class _Known(NamedTuple):
    """What is known of a published data set; mean and std are of all 32x32 training pixels."""

    name: str
    classes: tuple[str, ...]
    mean: float
    std: float


_MNIST = _Known("mnist", tuple("0123456789"), 0.1000369271, 0.2752173462)
_FASHION_MNIST = _Known(
    "fashion-mnist",
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    0.2189998321,
    0.3318113730,
)


def mnist(folder: str | os.PathLike[str], split: str = "train") -> ImageDataset:
    """MNIST's digits as uint8 pictures (N, 1, 32, 32), from the published files in `folder`.

    Looks for `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` (`t10k-...` for "test"),
    also spelled `train-images.idx3-ubyte`, also with `.gz`; only the split's own files are
    needed. The 28x28 pictures get two zero pixels on each side, as LeNet-5 reads them. `mean` and
    `std` are constants of the 60,000 published training pictures, padding included.

    Raises ArgumentError for any other split, DataError for files that are absent or damaged, that
    are not 28x28 pictures with as many labels 0..9, or that cannot be read.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), "Gradient-based learning
    applied to document recognition", sections II-B and III-A.
    """
    return _load(_MNIST, Path(folder), split)


def fashion_mnist(folder: str | os.PathLike[str], split: str = "train") -> ImageDataset:
    """Fashion-MNIST's clothes as uint8 pictures (N, 1, 32, 32); all else is as for `mnist`.

    Source: H. Xiao, K. Rasul and R. Vollgraf (2017), "Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms", arXiv:1708.07747.
    """
    return _load(_FASHION_MNIST, Path(folder), split)


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The uint8 array of 1 to 4 dimensions in an IDX file, plain or gzip, told by the content.

    Raises DataError for a file that is absent, unreadable, empty, not IDX, of other values than
    bytes, shorter or longer than its header says, damaged as gzip, or over 1 GiB of values.

    Source: the format's description at http://yann.lecun.com/exdb/mnist/.
    """
    path = Path(path)
    with _opened(path) as stream:
        shape = _read_shape(stream, path)
        size = prod(shape)
        body = _read(stream, size + 1)  # one byte more: to see that nothing follows
    if len(body) < size:
        raise DataError(
            f"{path}: the header announces {shape}, {size:,} bytes, but {len(body):,} follow; "
            "the file is cut short, get it again"
        )
    if len(body) > size:
        raise DataError(
            f"{path}: more bytes follow than the {size:,} the header announces with {shape}; "
            "the file is damaged, get it again"
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    """The file's bytes, unpacked if they are gzip's; reading errors come out as DataError."""
    import gzip  # here and not above: only who reads such a file pays for the import
    import zlib

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a directory" if path.is_dir() else "not a regular file"
            raise DataError(f"{path}: is {kind}; an IDX file was expected")
        with path.open("rb") as file:
            packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield unpacked
            else:
                yield file
    except DataError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged as gzip ({error}); get the file again") from error
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise DataError(f"{path}: cannot be read: {_reason(error)}") from error


def _read_shape(stream: BufferedIOBase, path: Path) -> tuple[int, ...]:
    """The shape an IDX header announces, once the header is found to be one."""
    magic = _read(stream, 4)
    if not magic:
        raise DataError(f"{path}: is empty; an IDX file was expected")
    if any(magic[:2]):
        raise DataError(
            f"{path}: is not an IDX file; it begins with {magic.hex(' ')}, not with 00 00"
        )
    if len(magic) < 4:
        raise DataError(f"{path}: ends within the IDX header; the file is cut short, get it again")
    code, dimensions = magic[2:]
    if code != _UNSIGNED_BYTE:
        raise DataError(
            f"{path}: holds values of type 0x{code:02x} ({_OTHER_TYPES.get(code, 'unknown')}); "
            "this reader takes IDX files of unsigned bytes, type 0x08"
        )
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise DataError(
            f"{path}: the header announces {dimensions} dimensions; "
            f"this reader takes 1 to {_MOST_DIMENSIONS}"
        )
    sizes = _read(stream, 4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path}: ends within the IDX header; the file is cut short, get it again")
    shape = tuple(np.frombuffer(sizes, dtype=">u4").tolist())
    # A size of 0 counts as 1: NumPy takes no empty array either whose other sizes overflow.
    if prod(max(size, 1) for size in shape) > _LARGEST_BODY:
        raise DataError(
            f"{path}: the header announces {shape}, more than the {_LARGEST_BODY:,} bytes this "
            "reader takes; the file is damaged or too large"
        )
    return shape


def _read(stream: BufferedIOBase, size: int) -> bytearray:
    """Up to `size` bytes, in chunks: one `read(size)` would allocate what a header claims."""
    data = bytearray()
    while len(data) < size and (chunk := stream.read(min(_CHUNK, size - len(data)))):
        data += chunk
    return data


def _load(known: _Known, folder: Path, split: str) -> ImageDataset:
    check_split(split)
    images_path = _find(known.name, folder, f"{_PREFIX[split]}-images", "idx3-ubyte")
    labels_path = _find(known.name, folder, f"{_PREFIX[split]}-labels", "idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != (_SIDE, _SIDE) or not len(images):
        raise DataError(
            f"{images_path}: holds an array of shape {images.shape}; "
            f"{known.name} images are (N, {_SIDE}, {_SIDE}) with N above 0"
        )
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"{labels_path}: holds an array of shape {labels.shape}; "
            f"the {len(images)} images of {images_path.name} take labels ({len(images)},)"
        )
    if labels.max() >= len(known.classes):
        first = int(np.argmax(labels >= len(known.classes)))
        raise DataError(
            f"{labels_path}: label {first} is {labels[first]}; "
            f"{known.name} labels are 0 to {len(known.classes) - 1}"
        )
    return ImageDataset(
        _padded(images), labels.astype(np.int64), known.classes, known.mean, known.std, known.name
    )


def _find(name: str, folder: Path, stem: str, kind: str) -> Path:
    """The file's path in `folder`, under the first of its usual spellings that is there."""
    spellings = [f"{stem}{mark}{kind}{end}" for mark in "-." for end in ("", ".gz")]
    try:
        with os.scandir(folder) as entries:
            is_folder = {entry.name: entry.is_dir() for entry in entries}
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: not a folder with {name} files: {_reason(error)}") from error
    present = [spelling for spelling in spellings if spelling in is_folder]
    if not present:
        raise DataError(f"{folder}: has no {name} file {' or '.join(spellings)}")
    # Unpackers leave folders of that name, with the file under its other spelling beside them.
    return folder / min(present, key=is_folder.__getitem__)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _padded(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 28, 28) in the middle of zeros (N, 1, 32, 32)."""
    side = _SIDE + 2 * _PADDING
    padded = np.zeros((len(images), 1, side, side), dtype=np.uint8)
    padded[:, 0, _PADDING:-_PADDING, _PADDING:-_PADDING] = images
    return padded
