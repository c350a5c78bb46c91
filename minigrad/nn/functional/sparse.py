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
    rows = table.shape[0]
    _require_range("embedding", index, rows, f"indices for weight {table.shape}")
    if max_norm is not None:
        _limit_norms(table, np.unique(index.numpy()), max_norm, norm_type)
    found = table[index]
    if padding_idx is None:
        return found
    padding = as_integer("embedding", "padding_idx", padding_idx)
    if not -rows <= padding < rows:
        raise ArgumentError(f"embedding: padding_idx {padding} is no row of {table.shape}")
    padded = (index == padding % rows).reshape(*index.shape, 1)
    return where(padded, found.detach(), found)


def _require_range(op: str, index: Tensor, count: int, what: str) -> None:
    """Raise unless 0 <= index < count; what has no values is checked where it is used."""
    places = None if index.is_abstract else index.numpy()
    if places is not None and places.size and (places.min() < 0 or places.max() >= count):
        wrong = places.min() if places.min() < 0 else places.max()
        raise IndexingError(f"{op}: {what} lie between 0 and {count - 1}, got {wrong}")


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
    if classes < 1:
        places = index.numpy()
        if classes != -1:
            raise ArgumentError(f"one_hot: num_classes takes -1 or a number from 1, got {classes}")
        if places.size == 0:
            raise ShapeError("one_hot: of no integers none is largest; pass num_classes")
        classes = int(places.max()) + 1
    _require_range("one_hot", index, classes, "integers")
    numbers = constant(np.arange(classes, dtype=index.dtype))
    return (index.reshape(*index.shape, 1) == numbers).astype("int64")
