"""What convolutions by bilinear algorithms have in common, Winograd's and Strassen's.

Values of a tile of the input and values of the filters, linear in them, are multiplied one with one
and summed over channels, and outputs are linear in these sums. Products of tiles by channels by
filters stand in the middle: matrix products, fewer than those of the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["GradTransforms", "Products", "Transforms"]


class Products(NamedTuple):
    """Which values are multiplied, and where each sum's products begin."""

    inputs: np.ndarray
    filters: np.ndarray
    sums: np.ndarray
    firsts: np.ndarray

    @staticmethod
    def of(inputs: np.ndarray, filters: np.ndarray, sums: np.ndarray) -> Products:
        """Product i is of the values inputs[i] and filters[i], and part of sums[i]; they are put in
        the order of the sums."""
        order = np.argsort(sums, kind="stable")
        firsts = np.searchsorted(sums[order], np.arange(sums.max() + 2))
        return Products(inputs[order], filters[order], sums[order], firsts)


@dataclass(frozen=True, eq=False)
class Transforms:
    """The linear maps of one algorithm, on vectors of channels or filters.

    y = Aᵀ [(G w) ∘ (B d)], of filters w, a tile d of the input and the tile y of the output. By
    transposition, the gradient of w is Gᵀ [(B d) ∘ (A g)], g being that of y.
    """

    name: str  # which tells its kernels apart
    products: Products
    values: int  # of a tile of the input
    filters: int  # values of the filters
    sums: int
    seen: int  # inputs of a channel that a tile sees
    room: int  # vectors in `half`, for all of the maps
    weight_room: int  # vectors in `taps`
    weight_rows: Callable[..., None]  # G w
    input_tile: Callable[..., None]  # B d
    output_tile: Callable[..., None]  # Aᵀ m


@dataclass(frozen=True, eq=False)
class GradTransforms(Transforms):
    """With those for the gradient of the filters."""

    grad_tile: Callable[..., None]  # A g
    filter_tile: Callable[..., None]  # Gᵀ u
