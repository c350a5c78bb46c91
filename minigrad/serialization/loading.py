"""`load`: finds out by its first bytes what a file is, and has the right reader read it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from minigrad.errors import CheckpointError
from minigrad.serialization import npz, safetensors_file, torch_file
from minigrad.serialization.archive import Archive
from minigrad.serialization.contents import Contents
from minigrad.serialization.plain import as_path, as_prefixes, dictionaries, strip

_TAR = slice(257, 262), b"ustar"
_FIRST = 512  # bytes, enough to tell every format

# What is recognized in order to say what it is.
_OTHERS = {
    b"\x93NUMPY": "is one NumPy array (npy); numpy.load reads it",
    b"\x89HDF": "is an HDF5 file, as Keras writes; save its weights as safetensors or npz",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
}


def load(
    path: str | os.PathLike[str],
    *,
    strip_prefix: str | Sequence[str] = (),
    mmap: bool = False,
) -> Any:
    """What is stored in a file of safetensors, npz, or PyTorch's own format (.pth, .pt, .bin).

    The contents decide which it is, not the ending; PyTorch is not needed. A file of `save` comes
    back as it was; any other safetensors or npz file is a flat dictionary of tensors. In PyTorch's
    files tensors (parameters too), dictionaries, lists, tuples, sets, numbers, text and bytes are
    read, and nothing else: no file can run code. float16 and bfloat16 become float32, which is
    exact, a torch.Size a tuple, and no tensor requires a gradient. Where a file holds
    {"state_dict": {...}, ...}, take `load(path)["state_dict"]`.

    strip_prefix is taken from the front of the keys of all dictionaries, as "module." of
    DataParallel or "_orig_mod." of torch.compile; several prefixes are given as a list.

    With mmap=True, tensors stay in the file until they are used (in safetensors files, PyTorch's
    since 1.6, and npz where neither compression nor position forbids it). That saves time and
    memory, but checksums are not verified, and whoever changes the file in place changes the
    tensors or, by shortening it, ends this process; `save` does not, since it writes a new file.

    Raises CheckpointError if there is no such file, or if it is damaged, holds more than plain
    values, or is of a kind that is not read; ArgumentError for a strip_prefix that is no text and a
    path that is none, such as an open file.
    """
    prefixes = as_prefixes(strip_prefix)
    file = as_path("load", path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "no such file"
        raise CheckpointError(f"{file}: {what}")
    try:
        with Contents(file, mmap) as contents:
            result = _read(contents)
        for dictionary in dictionaries(result):
            strip(dictionary, prefixes)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: cannot be read: {error}") from None
    except MemoryError:
        raise CheckpointError(f"{file}: cannot be read: it does not fit in the memory") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error}); it may be cut short") from None
    return result


def _read(contents: Contents) -> Any:
    first = contents.bytes(0, _FIRST)
    if first[8:9] == b"{":  # behind the length of a safetensors header
        return safetensors_file.read(contents)
    if first.startswith((b"PK\3\4", b"PK\5\6")):
        archive = Archive(contents)
        is_npz = archive.names and all(name.endswith(".npy") for name in archive.names)
        return npz.read(archive) if is_npz else torch_file.read_archive(archive)
    if first.startswith(b"\x80") and first[1:2] <= b"\5":
        return torch_file.read_sequence(contents)
    where, mark = _TAR
    if first[where] == mark:
        raise CheckpointError(
            "it is a tar archive, as PyTorch wrote before version 0.1.10; load it with PyTorch and "
            "save it again"
        )
    for start, what in _OTHERS.items():
        if first.startswith(start):
            raise CheckpointError(f"it {what}")
    return safetensors_file.read(contents)
