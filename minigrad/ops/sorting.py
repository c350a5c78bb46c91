"""sort, argsort, topk; searchsorted, nonzero and unique.

What sorts is `argsort`, which has no gradient; the values are taken at the indices it gives, so
their gradients are those of `take_along_axis`. NaN counts as larger than every number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Cost, Op, bytes_moved
from minigrad.ops.gathering import take_along_axis
from minigrad.ops.rearrange import part
from minigrad.spec import Spec, as_integer, common_dtype, int64, normalize_axis
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor


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
    side: str

    def infer(self, x: Spec, v: Spec) -> Spec:
        if x.ndim != 1:
            raise ShapeError(f"searchsorted: searches in a vector, got shape {x.shape}")
        common_dtype("searchsorted", x, v)
        return Spec.of(v.shape, int64)

    def forward(self, x: Array, v: Array) -> Array:
        return np.asarray(np.searchsorted(x, v, side=self.side), int64)  # type: ignore[call-overload]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        x, v = inputs
        return Cost(0, _comparisons(v.size, x.size + 1), bytes_moved(inputs, outputs))


def searchsorted(x1: Operand, x2: Operand, side: str = "left") -> Tensor:
    """Where each element of `x2` would have to stand in the sorted vector `x1`.

    Raises ShapeError, DtypeError, ArgumentError.
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side takes 'left' or 'right', got {side!r}")
    return apply(SearchSorted(side), as_tensor(x1), as_tensor(x2))


def nonzero(x: Operand) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one vector an axis. Has no gradient.

    How long they are depends on the values, so this is not recorded and cannot be traced.
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError("nonzero: a 0-d array has no axes to index; reshape it to (1,)")
    return tuple([as_tensor(i) for i in np.nonzero(x.detach().numpy())])


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
    found = np.unique(  # type: ignore[call-overload]
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
