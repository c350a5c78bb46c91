"""Integers as vectors: a row of a table for each (embedding), or a one among zeros (one_hot)."""

from __future__ import annotations

import numpy as np

from minigrad.errors import ArgumentError, IndexingError, ShapeError
from minigrad.ops import where
from minigrad.ops.movement import require_integers
from minigrad.spec import as_integer, require_floating
from minigrad.tensor import Operand, Tensor, as_tensor, constant

__all__ = ["embedding", "one_hot"]


def embedding(input: Operand, weight: Operand, padding_idx: int | None = None) -> Tensor:
    """weight[input]: for integers of any shape, rows of the table (num_embeddings, D).

    The row `padding_idx` (negative ones count from the end) receives no gradient. Raises
    IndexingError for an index outside the table, ShapeError, DtypeError.
    """
    index, table = as_tensor(input), as_tensor(weight)
    require_integers("embedding", "input", index)
    require_floating("embedding", table.spec)
    if table.ndim != 2:
        raise ShapeError(f"embedding: weight is (num_embeddings, D), got shape {table.shape}")
    rows, places = table.shape[0], index.numpy()
    if places.size and (places.min() < 0 or places.max() >= rows):
        wrong = places.min() if places.min() < 0 else places.max()
        raise IndexingError(
            f"embedding: indices lie between 0 and {rows - 1} for weight {table.shape}, got {wrong}"
        )
    found = table[places]
    if padding_idx is None:
        return found
    padding = as_integer("embedding", "padding_idx", padding_idx)
    if not -rows <= padding < rows:
        raise ArgumentError(f"embedding: padding_idx {padding} is no row of {table.shape}")
    padded = constant(np.asarray(places == padding % rows)[..., None])
    return where(padded, found.detach(), found)


def one_hot(tensor: Operand, num_classes: int = -1) -> Tensor:
    """For integers of any shape, int64 zeros along a new last axis with a 1 at each integer.

    The axis has `num_classes` places, by default one more than the largest integer.
    """
    index = as_tensor(tensor)
    require_integers("one_hot", "tensor", index)
    classes = as_integer("one_hot", "num_classes", num_classes)
    places = index.numpy()
    if classes < 1:
        if classes != -1:
            raise ArgumentError(f"one_hot: num_classes takes -1 or a number from 1, got {classes}")
        if places.size == 0:
            raise ShapeError("one_hot: of no integers none is largest; pass num_classes")
        classes = int(places.max()) + 1
    if places.size and (places.min() < 0 or places.max() >= classes):
        wrong = places.min() if places.min() < 0 else places.max()
        raise IndexingError(f"one_hot: integers lie between 0 and {classes - 1}, got {wrong}")
    return constant((places[..., None] == np.arange(classes)).astype(np.int64))
