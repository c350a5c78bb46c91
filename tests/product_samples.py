"""Op samples of products: einsum, tensordot, outer, kron, vecdot, cross."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sample import Sample, normal

import minigrad as mg


def _einsum(subscripts: str) -> dict[str, Callable[..., Any]]:
    return {
        "function": lambda *arrays: mg.einsum(subscripts, *arrays),
        "reference": lambda *arrays: np.asarray(np.einsum(subscripts, *arrays)),
    }


EINSUMS = [
    Sample(op, f"einsum_{subscripts}", **_einsum(subscripts), inputs=tuple(normal(*s) for s in sh))
    for op, subscripts, *sh in [
        ("matmul", "ij,jk->ik", (2, 3), (3, 4)),
        ("matmul", "ij,jk", (2, 3), (3, 4)),
        ("matmul", "ij,kj->ki", (2, 3), (4, 3)),
        ("matmul", "bij,bjk->bik", (2, 2, 3), (2, 3, 4)),
        ("matmul", "bij,bjk->kbi", (2, 2, 3), (2, 3, 4)),
        ("matmul", "...ij,...jk->...ik", (2, 1, 2, 3), (3, 3, 2)),
        ("matmul", "...ij,jk", (2, 2, 3), (3, 2)),
        ("matmul", "i...,i...->...", (2, 3), (2, 3)),
        ("matmul", "i,i->", (3,), (3,)),
        ("matmul", "i,i", (3,), (3,)),
        ("matmul", "abc,cbd->ad", (2, 3, 4), (4, 3, 2)),
        ("matmul", "ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
        ("matmul", "bi,ijk,bk->bj", (2, 3), (3, 2, 4), (2, 4)),
        ("matmul", "i,ij,j->", (2,), (2, 3), (3,)),
        ("matmul", "ij,jk->ki", (2, 0), (0, 3)),
        ("multiply", "i,j->ij", (2,), (3,)),
        ("multiply", "ij,ij->ij", (2, 3), (2, 3)),
        ("multiply", "ij,i,j->ij", (2, 3), (2,), (3,)),
        ("multiply", ",ij->ji", (), (2, 3)),
        ("multiply", "ij,jk->ik", (2, 1), (3, 2)),
        ("multiply", "aij,jb->ib", (2, 2, 3), (1, 4)),
        ("permute_dims", "ij->ji", (2, 3)),
        ("permute_dims", "ba", (2, 3)),
        ("permute_dims", "...i->i...", (2, 3, 4)),
        ("sum", "ij->j", (2, 3)),
        ("sum", "ij->", (2, 3)),
        ("diagonal", "ii", (3, 3)),
        ("diagonal", "ii->i", (3, 3)),
        ("diagonal", "iii->i", (2, 2, 2)),
        ("diagonal", "ijij->ji", (2, 3, 2, 3)),
        ("diagonal", "b i i, b -> i", (2, 3, 3), (2,)),
    ]
]  # fmt: skip


def _pair(op: str, label: str, function: Any, reference: Any, a: Any, b: Any) -> Sample:
    return Sample(op, label, function, reference, (normal(*a), normal(*b)))


PRODUCTS = [
    *[
        _pair("matmul", f"tensordot_{axes}".replace(" ", ""), partial(mg.tensordot, axes=axes),
              partial(np.tensordot, axes=axes), a, b)
        for axes, a, b in [
            (2, (2, 3, 4), (3, 4, 2)),
            (1, (2, 3), (3, 2, 2)),
            (0, (2,), (3, 2)),
            (([0, -1], [2, 0]), (2, 3, 4), (4, 3, 2)),
            ((1, 0), (2, 3), (3, 2)),
            (([], []), (2,), (2,)),
        ]
    ],
    _pair("matmul", "inner", mg.inner, np.inner, (2, 2, 3), (4, 3)),
    _pair("multiply", "inner_0d", mg.inner, np.inner, (), (4, 3)),
    _pair("multiply", "outer", mg.outer, np.outer, (2,), (3,)),
    _pair("multiply", "outer_empty", mg.outer, np.outer, (0,), (3,)),
    _pair("multiply", "kron", mg.kron, np.kron, (2, 3), (3, 2)),
    _pair("multiply", "kron_axes", mg.kron, np.kron, (2,), (2, 3, 2)),
    _pair("multiply", "vecdot", mg.vecdot, np.vecdot, (2, 3), (3,)),
    _pair("multiply", "vecdot_first", partial(mg.vecdot, axis=0), partial(np.vecdot, axis=0),
          (3, 2), (3, 2)),
    _pair("multiply", "vecdot_broadcast", partial(mg.vecdot, axis=-2), partial(np.vecdot, axis=-2),
          (2, 3, 1), (3, 4)),
    _pair("multiply", "cross", mg.cross, np.cross, (3,), (3,)),
    _pair("multiply", "cross_broadcast", mg.cross, np.cross, (2, 1, 3), (4, 3)),
    _pair("multiply", "cross_first", partial(mg.cross, axis=0), partial(np.cross, axis=0),
          (3, 2), (3, 2)),
]  # fmt: skip
