"""Op samples of linear algebra.

Matrices are well conditioned and have distinct eigenvalues and singular values. Eigenvectors and
singular vectors enter as functions that no change of their signs shows in, and ops that read one
triangle are given symmetric matrices, so that central differences mean something.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from product_samples import EINSUMS, PRODUCTS
from sample import FIXED, Array, Sample, away, distinct, mask, normal, whole

import minigrad as mg
from minigrad import linalg
from minigrad.ops.decompositions import TriangularInverse
from minigrad.ops.determinants import Cofactor, CofactorDerivative, RegularInverse
from minigrad.ops.spectral import InverseGaps
from minigrad.ops.triangle import DiagonalEmbed
from minigrad.tensor import Tensor, apply

INFINITY = float("inf")


def regular(*shape: int) -> Array:
    """Square matrices far from singular, with determinants of either sign."""
    return np.clip(normal(*shape), -1.5, 1.5) / 3 + 2 * np.eye(shape[-1])[::-1]


def regular_triangle(*shape: int) -> Array:
    """Square matrices with numbers of about 2 on the diagonal, of either sign elsewhere."""
    return regular(*shape)[..., ::-1]


def spread(*shape: int) -> Array:
    """Matrices whose singular values are about 1, 2, 3, ..."""
    k = min(shape[-2:])
    left, _ = np.linalg.qr(normal(*shape[:-1], k))
    right, _ = np.linalg.qr(normal(*shape[:-2], shape[-1], k))
    return (left * np.arange(1.0, k + 1)) @ np.swapaxes(right, -2, -1)


def definite(*shape: int) -> Array:
    """Symmetric matrices whose eigenvalues are about 1, 2, 3, ..."""
    q, _ = np.linalg.qr(normal(*shape))
    return (q * np.arange(1.0, shape[-1] + 1)) @ np.swapaxes(q, -2, -1)


def apart(*shape: int) -> Array:
    """Numbers of either sign, none 0, no two of one magnitude."""
    return np.asarray(distinct(*shape) + 1 / 32)


def _mirrored(x: Any) -> Any:
    """Of arrays and tensors alike: the symmetric part."""
    return (x + x.mT) / 2


def _one(
    op: str, name: str, function: Any, reference: Any, inputs: Any, *shapes: tuple[int, ...]
) -> list[Sample]:
    return [
        Sample(op, f"{name}_{'x'.join(map(str, shape)) or '0d'}", function, reference,
               (inputs(*shape),))
        for shape in shapes
    ]  # fmt: skip


# -- parts of matrices ------------------------------------------------------------------------

SHAPES = [(3, 3), (2, 4), (4, 2), (2, 3, 4), (0, 3), (2, 0, 0)]


def _diag_of(x: Array, offset: int, m: int, n: int) -> Array:
    y = np.zeros((*x.shape[:-1], m, n), x.dtype)
    for i in range(x.shape[-1]):
        y[..., i + max(-offset, 0), i + max(offset, 0)] = x[..., i]
    return y


PARTS = [
    *[
        sample
        for k in (0, 1, -2, 5)
        for sample in [
            *_one("tril", f"{k}", partial(mg.tril, k=k), partial(np.tril, k=k), normal, *SHAPES),
            *_one("triu", f"{k}", partial(mg.triu, k=k), partial(np.triu, k=k), normal, *SHAPES),
            *_one(
                "diagonal",
                f"{k}",
                partial(mg.diagonal, offset=k),
                partial(np.diagonal, offset=k, axis1=-2, axis2=-1),
                normal,
                *SHAPES,
            ),
            *_one(
                "diagonal",
                f"trace_{k}",
                partial(mg.linalg.trace, offset=k),
                partial(np.trace, offset=k, axis1=-2, axis2=-1),
                normal,
                *SHAPES,
            ),
        ]
    ],
    *[
        Sample(
            "diagonal",
            f"axes_{first}_{second}",
            partial(mg.diagonal, offset=1, axis1=first, axis2=second),
            partial(np.diagonal, offset=1, axis1=first, axis2=second),
            (normal(2, 3, 4),),
        )
        for first, second in [(0, 1), (1, 0), (2, -3), (-2, -1)]
    ],
    *_one("diagonal", "diag", mg.diag, np.diag, normal, (3, 4)),
    *_one(
        "diagonal_embed", "diag", partial(mg.diag, k=-1), partial(np.diag, k=-1), normal, (3,), (0,)
    ),
    *[
        Sample(
            "diagonal_embed",
            f"{'x'.join(map(str, shape))}_at_{offset}",
            lambda x, how=(offset, m, n): apply(DiagonalEmbed(*how), x),
            partial(_diag_of, offset=offset, m=m, n=n),
            (normal(*shape),),
        )
        for shape, offset, m, n in [((3,), 0, 3, 4), ((2, 2), 1, 2, 4), ((2, 0), 5, 3, 3)]
    ],
    Sample("tril", "booleans", mg.tril, np.tril, (mask(3, 3),), **FIXED),
    Sample("triu", "integers", mg.triu, np.triu, (whole(3, 3),), **FIXED),
    Sample(
        "diagonal",
        "bytes",
        mg.linalg.trace,
        np.trace,
        (whole(3, 3, low=0, dtype="uint8"),),
        **FIXED,
    ),
]


# -- inverses ---------------------------------------------------------------------------------

SQUARES = [(3, 3), (1, 1), (2, 3, 3), (2, 1, 2, 2), (0, 0), (0, 2, 2)]


def _solved(a: Array, b: Array) -> Array:
    return np.linalg.inv(a) @ b


def _cofactors(a: Array) -> Array:
    return np.asarray(np.linalg.det(a))[..., None, None] * np.linalg.inv(a).mT


def _cofactor_derivative(a: Array, g: Array) -> Array:
    inverse = np.linalg.inv(a)
    c = _cofactors(a)
    total = (g * c).sum((-2, -1), keepdims=True)
    return np.asarray((total * np.eye(a.shape[-1], dtype=a.dtype) - c @ g.mT) @ inverse.mT)


INVERSES = [
    *_one("inv", "of", linalg.inv, np.linalg.inv, regular, *SQUARES),
    *_one("det", "of", linalg.det, np.linalg.det, regular, *SQUARES),
    *_one("cofactor", "of", partial(apply, Cofactor()), _cofactors, regular, (3, 3), (2, 2, 2)),
    *[
        Sample("cofactor_derivative", f"of_{len(shape)}d_{shape[-1]}",
               partial(apply, CofactorDerivative()), _cofactor_derivative,
               (regular(*shape), normal(*shape)))
        for shape in [(3, 3), (4, 4), (2, 2, 2), (1, 1), (0, 0)]
    ],
    *_one("regular_inverse", "of", partial(apply, RegularInverse("slogdet")), np.linalg.inv,
          regular, (3, 3), (2, 2, 2), (0, 0)),
    *_one("slogdet", "logarithm", lambda x: linalg.slogdet(x)[1],
          lambda x: np.linalg.slogdet(x)[1], regular, *SQUARES),
    *_one("slogdet", "product", lambda x: linalg.slogdet(x)[0] * linalg.slogdet(x)[1],
          lambda x: np.prod(np.linalg.slogdet(x), axis=0), regular, (3, 3)),
    *_one("pinv", "of", linalg.pinv, np.linalg.pinv, spread,
          (3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 3)),
    *[
        Sample("solve", label, linalg.solve, _solved, (regular(*a), normal(*b)))
        for label, a, b in [
            ("vector", (3, 3), (3,)),
            ("matrix", (3, 3), (3, 2)),
            ("batches", (2, 3, 3), (2, 3, 2)),
            ("one_vector_for_all", (2, 3, 3), (3,)),
            ("broadcast", (2, 1, 2, 2), (3, 2, 1)),
            ("no_columns", (2, 2), (2, 0)),
            ("nothing", (0, 0), (0,)),
        ]
    ],
    *[
        sample
        for n in (1, 2, 3, 5)
        for sample in _one("clone" if n == 1 else "matmul", f"power_{n}",
                           lambda x, n=n: linalg.matrix_power(x, n).clone(),
                           partial(np.linalg.matrix_power, n=n), regular, (2, 2), (2, 3, 3))
    ],
    *_one("inv", "power_-3", lambda x: linalg.matrix_power(x, -3),
          lambda x: np.linalg.matrix_power(x, -3), regular, (3, 3)),
]  # fmt: skip


# -- factorizations ---------------------------------------------------------------------------


def _eigh(of: Callable[[Any, Any], Any]) -> dict[str, Callable[..., Any]]:
    return {
        "function": lambda x: of(*linalg.eigh(_mirrored(x))),
        "reference": lambda x: of(*np.linalg.eigh(_mirrored(x))),
    }


def _svd(of: Callable[[Any, Any, Any], Any]) -> dict[str, Callable[..., Any]]:
    return {
        "function": lambda x: of(*linalg.svd(x, full_matrices=False)),
        "reference": lambda x: of(*np.linalg.svd(x, full_matrices=False)),
    }


def _gaps(x: Array) -> Array:
    gaps = x[..., None, :] - x[..., :, None] + np.eye(x.shape[-1], dtype=x.dtype)
    return 1 / gaps - np.eye(x.shape[-1], dtype=x.dtype)


def _joined(q: Tensor, r: Tensor) -> Tensor:
    """Both factors in one."""
    return mg.concat([q.mT, r], axis=-1)


STACKS = [(3, 3), (1, 1), (2, 2, 2), (0, 0)]
OBLONGS = [(3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 3), (0, 3)]

FACTORS = [
    *_one("cholesky", "lower", lambda x: linalg.cholesky(_mirrored(x)), np.linalg.cholesky,
          definite, *STACKS),
    *_one("cholesky", "upper", lambda x: linalg.cholesky(_mirrored(x), upper=True),
          lambda x: np.linalg.cholesky(x).mT, definite, (3, 3)),
    *_one("qr", "both", lambda x: _joined(*linalg.qr(x)),
          lambda x: np.concatenate([np.linalg.qr(x)[0].mT, np.linalg.qr(x)[1]], axis=-1),
          spread, *OBLONGS),
    *_one("qr", "q", lambda x: linalg.qr(x).Q, lambda x: np.linalg.qr(x)[0], spread, (3, 2)),
    *_one("qr", "r", lambda x: linalg.qr(x).R, lambda x: np.linalg.qr(x)[1], spread, (3, 2)),
    *_one("qr", "complete_r", lambda x: linalg.qr(x, mode="complete").R,
          lambda x: np.linalg.qr(x, mode="complete")[1], spread, (4, 2), (2, 2, 3), (3, 0)),
    *_one("qr", "complete_part_of_q", lambda x: linalg.qr(x, mode="complete").Q[..., :2],
          lambda x: np.linalg.qr(x, mode="complete")[0][..., :2], spread, (4, 2), (2, 3, 2)),
    *_one("triangular_inverse", "of", lambda x: apply(TriangularInverse(), mg.triu(x)),
          lambda x: np.linalg.inv(np.triu(x)), regular_triangle, (3, 3), (2, 2, 2), (0, 0)),
    *_one("svd", "full_values", lambda x: linalg.svd(x).S,
          lambda x: np.linalg.svd(x)[1], spread, *OBLONGS),
    *_one("svd", "full_left", lambda x: linalg.svd(x).U[..., :2] ** 2,
          lambda x: np.linalg.svd(x)[0][..., :2] ** 2, spread, (4, 2), (2, 3, 2)),
    *_one("svd", "full_right", lambda x: linalg.svd(x).Vh[..., :2, :] ** 2,
          lambda x: np.linalg.svd(x)[2][..., :2, :] ** 2, spread, (2, 4), (2, 2, 3)),
    *_one("inverse_gaps", "of", partial(apply, InverseGaps()), _gaps, distinct, (3,), (2, 2), (0,)),
    *[
        Sample("eigh", f"{label}_{len(shape)}d_{shape[-1]}", **_eigh(of),
               inputs=(definite(*shape),))
        for shape in STACKS
        for label, of in [
            ("values", lambda w, v: w * w),
            ("squared_vectors", lambda w, v: v * v),
            ("function", lambda w, v: (v * (1 / (1 + w))[..., None, :]) @ v.mT),
        ]
    ],
    *_one("eigh", "eigvalsh", lambda x: linalg.eigvalsh(_mirrored(x)), np.linalg.eigvalsh,
          definite, (3, 3), (2, 2, 2)),
    *[
        Sample("svd", f"{label}_{'x'.join(map(str, shape))}", **_svd(of), inputs=(spread(*shape),))
        for shape in OBLONGS
        for label, of in [
            ("values", lambda u, s, vh: s * s),
            ("squared_left", lambda u, s, vh: u * u),
            ("squared_right", lambda u, s, vh: vh * vh),
            ("polar", lambda u, s, vh: u @ vh),
            ("function", lambda u, s, vh: (u * (1 / (1 + s))[..., None, :]) @ vh),
        ]
    ],
    *[
        Sample("svd", f"matrix_rank_{'x'.join(map(str, shape))}", linalg.matrix_rank,
               np.linalg.matrix_rank, (spread(*shape),), **FIXED)
        for shape in [(3, 3), (2, 4), (2, 3, 2)]
    ],
    *_one("svd", "svdvals", linalg.svdvals, np.linalg.svdvals, spread, (3, 2), (2, 2, 3)),
]  # fmt: skip


# -- norms ------------------------------------------------------------------------------------


def _p_norm(x: Array, p: float, axis: Any = None, keepdims: bool = False) -> Array:
    return (np.abs(x) ** p).sum(axis=axis, keepdims=keepdims) ** (1 / p)


def _norm(op: str, label: str, shape: tuple[int, ...], **how: Any) -> Sample:
    return Sample(op, f"norm_{label}", partial(linalg.norm, **how), partial(np.linalg.norm, **how),
                  (away(*shape),))  # fmt: skip


NORMS = [
    *[
        Sample("sqrt", f"vector_norm_{label}", partial(linalg.vector_norm, **how),
               partial(np.linalg.vector_norm, **how), (away(*shape),))
        for label, shape, how in [
            ("all", (2, 3), {}),
            ("kept", (2, 3), {"keepdims": True}),
            ("axis", (2, 3), {"axis": -1}),
            ("axes", (2, 3, 4), {"axis": (0, -1), "keepdims": True}),
            ("0d", (), {}),
            ("no_rows", (0, 3), {"axis": 1}),
        ]
    ],
    *[
        Sample(op, f"vector_norm_{label}_{p}", partial(linalg.vector_norm, ord=p, **how),
               partial(np.linalg.vector_norm, ord=p, **how),
               (apart(*shape),))
        for op, p in [("abs", 1), ("power", 3), ("power", 1.5), ("power", 0.5), ("power", -2),
                      ("max", INFINITY), ("min", -INFINITY)]
        for label, shape, how in [
            ("all", (2, 3), {}),
            ("axis", (2, 3), {"axis": 0}),
            ("axes", (2, 2, 2), {"axis": (0, 2), "keepdims": True}),
            ("0d", (), {}),
        ]
    ],
    Sample("sum", "vector_norm_0", partial(linalg.vector_norm, ord=0),
           partial(np.linalg.vector_norm, ord=0), (np.array([0.0, 2, -1]),), **FIXED),
    *[
        Sample(op, f"matrix_norm_{order}_{'x'.join(map(str, shape))}",
               partial(linalg.matrix_norm, ord=order, keepdims=keepdims),
               partial(np.linalg.matrix_norm, ord=order, keepdims=keepdims),
               (spread(*shape),))
        for op, order in [("sqrt", "fro"), ("svd", "nuc"), ("svd", 2), ("svd", -2), ("abs", 1),
                          ("abs", -1), ("max", INFINITY), ("min", -INFINITY)]
        for shape, keepdims in [((3, 2), False), ((2, 2, 3), True), ((1, 1), False)]
    ],
    _norm("sqrt", "all", (2, 3, 2)),
    _norm("sqrt", "axes", (2, 3, 2), axis=(0, 1)),
    _norm("abs", "vector", (4,), ord=1),
    _norm("abs", "matrix", (3, 2), ord=1),
    _norm("max", "axes_exchanged", (3, 2, 2), ord=INFINITY, axis=(2, 0), keepdims=True),
    _norm("svd", "axes_2", (3, 2, 2), ord=2, axis=(0, -1)),
    _norm("power", "axis", (3, 2), ord=3, axis=-1, keepdims=True),
]  # fmt: skip

LINEAR_ALGEBRA = [*PARTS, *EINSUMS, *PRODUCTS, *INVERSES, *FACTORS, *NORMS]
