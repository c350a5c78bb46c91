"""sort, argsort, topk; searchsorted, isin, nonzero; unique and its kin.

What sorts is `argsort`, which has no gradient; the values are taken at the indices it gives, so
their gradients are those of `take_along_axis`. NaN counts as larger than every number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Cost, Op, bytes_moved
from minigrad.ops.comparison import logical_not
from minigrad.ops.elementwise import operands
from minigrad.ops.gathering import take_along_axis
from minigrad.ops.movement import part
from minigrad.spec import Spec, as_integer, bool_, common_dtype, int64, normalize_axis
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor

__all__ = [
    "argsort",
    "isin",
    "nonzero",
    "searchsorted",
    "sort",
    "topk",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


def _comparisons(count: int, length: int) -> int:
    """count * log2(length): the comparisons of sorting, or of searching among `length`."""
    return count * max(length - 1, 0).bit_length()


@dataclass(frozen=True)
class ArgSort(Op):
    """The indices i for which x[i] goes up, or down, along the axis. A stable sort leaves equal
    elements in their order, up or down."""

    name: ClassVar[str] = "argsort"
    differentiable: ClassVar[bool] = False
    axis: int
    descending: bool
    stable: bool

    def infer(self, x: Spec) -> Spec:
        return Spec.of(x.shape, int64)

    def forward(self, x: Array) -> Array:
        kind: Any = "stable" if self.stable else "quicksort"
        if not self.descending:
            return np.argsort(x, axis=self.axis, kind=kind)
        # The order from above, of what was reversed before: equal elements stay in their order.
        order = np.argsort(np.flip(x, self.axis), axis=self.axis, kind=kind)
        return np.flip(x.shape[self.axis] - 1 - order, self.axis)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        (x,) = inputs
        return Cost(0, _comparisons(x.size, x.shape[self.axis]), bytes_moved(inputs, outputs))


def argsort(x: Operand, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices that sort x along `axis`. NaN comes last, or first if descending."""
    x = as_tensor(x)
    a = normalize_axis("argsort", axis, x.ndim)
    return apply(ArgSort(a, bool(descending), bool(stable)), x)


def sort(x: Operand, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """x sorted along `axis`. Each gradient goes back to where its value came from."""
    x = as_tensor(x)
    a = normalize_axis("sort", axis, x.ndim)
    return take_along_axis(x, apply(ArgSort(a, bool(descending), bool(stable)), x), a)


def topk(
    x: Operand, k: int, axis: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Tensor, Tensor]:
    """The k largest elements along `axis`, or the smallest, and their indices: both in order.

    They come sorted whether asked for or not; of equal elements the first are taken. Raises
    ArgumentError unless k lies between 0 and the length.
    """
    x = as_tensor(x)
    a = normalize_axis("topk", axis, x.ndim)
    count = as_integer("topk", "k", k)
    if not 0 <= count <= x.shape[a]:
        raise ArgumentError(f"topk: k lies between 0 and {x.shape[a]} for {x.shape}, got {k}")
    order = apply(ArgSort(a, bool(largest), True), x)
    indices = part(order, a, slice(0, count))
    return take_along_axis(x, indices, a), indices


@dataclass(frozen=True)
class SearchSorted(Op):
    """The index i at which v would have to stand in the sorted x: x[i-1] < v <= x[i] from the
    left, x[i-1] <= v < x[i] from the right."""

    name: ClassVar[str] = "searchsorted"
    differentiable: ClassVar[bool] = False
    side: Literal["left", "right"]

    def infer(self, x: Spec, v: Spec) -> Spec:
        if x.ndim != 1:
            raise ShapeError(f"searchsorted: searches in a vector, got shape {x.shape}")
        common_dtype("searchsorted", x, v)
        return Spec.of(v.shape, int64)

    def forward(self, x: Array, v: Array) -> Array:
        return np.asarray(np.searchsorted(x, v, side=self.side), int64)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        x, v = inputs
        return Cost(0, _comparisons(v.size, x.size + 1), bytes_moved(inputs, outputs))


def searchsorted(x1: Operand, x2: Operand, side: str = "left") -> Tensor:
    """Where each element of `x2` would have to stand in the sorted vector `x1`.

    Raises ShapeError, DtypeError, ArgumentError.
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side takes 'left' or 'right', got {side!r}")
    op = SearchSorted("right" if side == "right" else "left")
    return apply(op, as_tensor(x1), as_tensor(x2))


class IsIn(Op):
    """y = whether x is equal to one of the values. NaN is equal to none."""

    name = "isin"
    differentiable = False

    def infer(self, x: Spec, values: Spec) -> Spec:
        common_dtype("isin", x, values)
        return Spec.of(x.shape, bool_)

    def forward(self, x: Array, values: Array) -> Array:
        return np.isin(x, values)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        x, values = inputs
        length = x.size + values.size
        return Cost(0, _comparisons(length, length), bytes_moved(inputs, outputs))


def isin(x1: Operand, x2: Operand, invert: bool = False) -> Tensor:
    """Whether each element of `x1` is equal to one of `x2`, or (if `invert`) to none: booleans of
    the shape of `x1`. Raises DtypeError, ArgumentError.
    """
    if not isinstance(invert, (bool, np.bool_)):
        raise ArgumentError(f"isin: invert takes True or False, got {invert!r}")
    found: Tensor = apply(IsIn(), *operands("isin", x1, x2))
    return logical_not(found) if invert else found


def nonzero(x: Operand) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one vector an axis. Has no gradient.

    How long they are depends on the values, so this is not recorded and cannot be traced.
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError("nonzero: a 0-d array has no axes to index; reshape it to (1,)")
    return tuple([as_tensor(i) for i in np.nonzero(x.detach().numpy())])


class UniqueAllResult(NamedTuple):
    """What `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Operand) -> UniqueAllResult:
    """The different values of x, in order, every NaN one of its own; the index of the first of
    each in the flat array; the index of each element's value, of the shape of x; and how often
    each value occurs. Has no gradient."""
    return UniqueAllResult(*map(as_tensor, np.unique_all(as_tensor(x).detach().numpy())))


def unique_counts(x: Operand) -> UniqueCountsResult:
    """The different values of x, in order, every NaN one of its own, and how often each occurs.
    Has no gradient."""
    return UniqueCountsResult(*map(as_tensor, np.unique_counts(as_tensor(x).detach().numpy())))


def unique_inverse(x: Operand) -> UniqueInverseResult:
    """The different values of x, in order, every NaN one of its own, and the index of each
    element's value, of the shape of x. Has no gradient."""
    return UniqueInverseResult(*map(as_tensor, np.unique_inverse(as_tensor(x).detach().numpy())))


def unique_values(x: Operand) -> Tensor:
    """The different values of x, in order; every NaN is one of its own. Has no gradient."""
    return as_tensor(np.unique(as_tensor(x).detach().numpy(), equal_nan=False))


def unique(
    x: Operand,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, ...]:
    """The different values of x, in order, all NaN as one. Has no gradient.

    On request followed by the index of the first of each in the flat array, by the index of
    each element's value, of the shape of x, and by how often each occurs.
    """
    x = as_tensor(x)
    unique: Any = np.unique  # whose stubs want the flags as literals
    found = unique(
        x.detach().numpy(),
        return_index=bool(return_index),
        return_inverse=bool(return_inverse),
        return_counts=bool(return_counts),
    )
    if not isinstance(found, tuple):
        return as_tensor(found)
    parts = [as_tensor(array) for array in found]
    if return_inverse:
        place = 2 if return_index else 1
        parts[place] = parts[place].reshape(x.shape)
    return tuple(parts)
