"""Integers as vectors: a row of a table for each (embedding), or a one among zeros (one_hot)."""

from __future__ import annotations

import numpy as np

from minigrad.errors import ArgumentError, IndexingError, ShapeError
from minigrad.ops import where
from minigrad.ops.movement import require_integers
from minigrad.ops.number import as_number
from minigrad.spec import as_integer, require_floating
from minigrad.tensor import Array, Operand, Tensor, as_tensor, constant

__all__ = ["embedding", "one_hot"]


def embedding(
    input: Operand,
    weight: Operand,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: for integers of any shape, rows of the table (num_embeddings, D).

    The row `padding_idx` (negative ones count from the end) receives no gradient. With `max_norm`
    the rows that are read and whose norm of order `norm_type` exceeds it are scaled down to it
    first, in the weight itself, as in PyTorch. Gradients are dense and plain sums: `sparse` and
    `scale_grad_by_freq` take False. Raises IndexingError for an index outside the table,
    GradientError if `max_norm` would write to a weight that an op computed, ArgumentError,
    ShapeError, DtypeError.
    """
    for argument, value in (("scale_grad_by_freq", scale_grad_by_freq), ("sparse", sparse)):
        if value:
            raise ArgumentError(f"embedding: {argument} takes False, got {value!r}")
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
    if max_norm is not None:
        _limit_norms(table, np.unique(places), max_norm, norm_type)
    found = table[places]
    if padding_idx is None:
        return found
    padding = as_integer("embedding", "padding_idx", padding_idx)
    if not -rows <= padding < rows:
        raise ArgumentError(f"embedding: padding_idx {padding} is no row of {table.shape}")
    padded = constant(np.asarray(places == padding % rows)[..., None])
    return where(padded, found.detach(), found)


def _limit_norms(table: Tensor, read: Array, max_norm: float, norm_type: float) -> None:
    """Scale those of the rows `read` down to the norm that are longer."""
    limit = as_number("embedding", "max_norm", max_norm, 0)
    order = as_number("embedding", "norm_type", norm_type)
    values = table.detach().numpy().copy()
    norms = np.linalg.vector_norm(values[read], axis=1, keepdims=True, ord=order)
    # PyTorch's 1e-7 keeps the quotient below the limit.
    values[read] *= np.where(norms > limit, limit / (norms + 1e-7), 1).astype(values.dtype)
    if (norms > limit).any():
        table.assign(values)


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
