"""`save`: nested dictionaries of tensors and plain values as one safetensors or npz file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.serialization import npz, safetensors_file
from minigrad.serialization.atomic import write_atomically
from minigrad.serialization.plain import as_path
from minigrad.serialization.skeleton import take_apart

_PYTORCH = (".pth", ".pt", ".bin", ".pkl", ".ckpt")


def save(obj: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dictionary of tensors, arrays, numbers, text, lists and further dictionaries.

    A path that ends in .npz becomes a NumPy archive, every other one a safetensors file. Tensors
    are stored under their path in the dictionary, joined with dots, as state_dicts name them; the
    rest as JSON. Writing is atomic: whoever reads the path sees the old file or the whole new one.
    A symbolic link stays, and what it points to is written.

    Raises ArgumentError for what cannot be stored, for what is no path, and for the endings of
    PyTorch's own format, which minigrad reads but does not write; CheckpointError if the file
    cannot be written, and an older file is then still whole.
    """
    file = as_path("save", path)
    ending = file.suffix.lower()
    if ending in _PYTORCH:
        raise ArgumentError(
            f"save: {file}: PyTorch's format is read, not written; take .safetensors (which "
            "safetensors.torch.load_file reads in PyTorch) or .npz"
        )
    form = npz if ending == ".npz" else safetensors_file
    arrays, skeleton = take_apart(obj, form.RESERVED)
    write_atomically(file, form.writer(arrays, skeleton))
