"""The rows of `torch_pairs` that multiply arrays: matmul, einsum, tensordot and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch_pairs import Drawn, L, Rng, coin, normal, row, shape, torch

from minigrad import ops

MATMUL = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((3,), (5, 3, 2)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
]
EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,ij", (2, 3), (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (4, 3, 2)),
    ("ijk->kji", (2, 3, 4)),
    ("i,j->ij", (2,), (3,)),
    ("bij,bj,i->b", (2, 3, 4), (2, 4), (3,)),
    ("ij->", (2, 3)),
    ("ba", (2, 3)),
    ("iij,jk->ik", (2, 2, 3), (3, 2)),
]
TENSORDOT = [
    ((2, 3), (3, 4), 1),
    ((2, 3, 4), (3, 4, 5), 2),
    ((2, 3), (4,), 0),
    ((2, 3, 4), (4, 3), ([1, 2], [1, 0])),
    ((2, 3), (2, 3), ([-1], [1])),
]


def _of_shapes(rows: list[Any]) -> Callable[[Rng], Drawn]:
    return lambda rng: ([normal(rng, *s) for s in rows[rng.integers(len(rows))]], {})


def _einsum(rng: Rng) -> Drawn:
    subscripts, *shapes = EINSUM[rng.integers(len(EINSUM))]
    return [normal(rng, *s) for s in shapes], {"subscripts": subscripts}


def _tensordot(rng: Rng) -> Drawn:
    a, b, axes = TENSORDOT[rng.integers(len(TENSORDOT))]
    return [normal(rng, *a), normal(rng, *b)], {"axes": axes}


def _three(rng: Rng) -> Drawn:
    full = shape(rng, 1, 3)
    axis = -1 - int(rng.integers(len(full)))
    shapes = [list(full), [1 if coin(rng) else n for n in full]]
    for lengths in shapes:
        lengths[axis] = 3
    return [normal(rng, *s) for s in shapes], {"axis": axis}


row("matmul", torch.matmul, _of_shapes(MATMUL))
row(
    "einsum",
    lambda *x, subscripts: torch.einsum(subscripts, *x),
    _einsum,
    lambda *x, subscripts: ops.einsum(subscripts, *x),
)
row("tensordot", lambda x, y, axes: torch.tensordot(x, y, axes), _tensordot)
row(
    "inner",
    torch.inner,
    _of_shapes(
        [
            ((3,), (3,)),
            ((2, 3), (4, 3)),
            ((2, 3), ()),
            ((), (2,)),
            ((2, 5, 3), (3,)),
            ((0, 3), (2, 3)),
        ]
    ),
)
row("outer", torch.outer, _of_shapes([((3,), (2,)), ((0,), (2,))]))
row(
    "kron",
    torch.kron,
    _of_shapes([((3,), (2,)), ((2, 3), (2, 2)), ((2,), (3, 2)), ((), (3,)), ((2, 1, 3), (2, 2))]),
)
row("vecdot", lambda x, y, axis: L.vecdot(x, y, dim=axis), _three)
row("cross", lambda x, y, axis: L.cross(x, y, dim=axis), _three)
