"""The rows of `torch_pairs` that factor matrices and take norms, and those that make arrays.

What a factorization leaves open, the sign of a vector, is taken away by absolute values, and a
function of symmetric matrices is differentiated through x + xᵀ or x xᵀ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch_pairs import Drawn, L, Rng, T, along, coin, normal, row, several_axes, shape, torch

import minigrad as mg
from minigrad import linalg


def matrices(rng: Rng, rows: int, columns: int) -> np.ndarray:
    """A stack of matrices whose singular values lie apart."""
    stack = tuple(int(n) for n in rng.integers(1, 3, rng.integers(0, 3)))
    x = normal(rng, *stack, rows, columns)
    if min(x.shape[-2:]):
        u, _, v = np.linalg.svd(x, full_matrices=False)
        x = (u * (np.arange(1, min(rows, columns) + 1) + 0.3 * rng.random())) @ v
    return x


def square(rng: Rng) -> Drawn:
    n = int(rng.integers(1, 5))
    return [matrices(rng, n, n)], {}


def tall(rng: Rng) -> Drawn:
    n = int(rng.integers(1, 4))
    return [matrices(rng, n + int(rng.integers(3)), n)], {}


def any_matrix(rng: Rng) -> Drawn:
    return [matrices(rng, *(int(n) for n in rng.integers(1, 5, 2)))], {}


def symmetric(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **options: function(x + x.mT, **options)


def definite(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **options: function(x @ x.mT, **options)


def signless(function: Callable[..., Any]) -> Callable[..., Any]:
    """The absolute values of all results, which no choice of signs changes."""
    return lambda *arrays, **options: tuple([abs(y) for y in function(*arrays, **options)])


def with_options(draw: Callable[[Rng], Drawn], **options: Any) -> Callable[[Rng], Drawn]:
    return lambda rng: (draw(rng)[0], {key: value(rng) for key, value in options.items()})


for _name in ("det", "inv"):
    row(_name, getattr(L, _name), square)
row("slogdet", lambda x: tuple(L.slogdet(x)), square)
row("pinv", L.pinv, any_matrix)
row("matrix_power", L.matrix_power, with_options(square, n=lambda rng: int(rng.integers(-3, 5))))
row("cholesky", definite(L.cholesky), with_options(square, upper=coin), definite(linalg.cholesky))
row("eigh", symmetric(signless(L.eigh)), square, symmetric(signless(linalg.eigh)))
row("eigvalsh", symmetric(L.eigvalsh), square, symmetric(linalg.eigvalsh))
row("qr", signless(L.qr), tall, signless(linalg.qr))
row(
    "qr",
    signless(L.qr),
    any_matrix,
    signless(linalg.qr),
    gradient=False,
)
row(
    "svd",
    signless(lambda x: L.svd(x, full_matrices=False)),
    any_matrix,
    signless(lambda x: linalg.svd(x, full_matrices=False)),
)
row("svd", lambda x: L.svd(x).S, any_matrix, lambda x: linalg.svd(x).S)
row(
    "qr",
    signless(lambda x: L.qr(x, mode="complete")),
    square,
    signless(lambda x: linalg.qr(x, mode="complete")),
)
row("svdvals", L.svdvals, any_matrix)
row("matrix_rank", L.matrix_rank, any_matrix, gradient=False)


def _solve(rng: Rng) -> Drawn:
    (x,), _ = square(rng)
    n = x.shape[-1]
    if x.ndim == 2 and coin(rng):
        return [x, normal(rng, n)], {}
    return [x, normal(rng, *x.shape[:-1], int(rng.integers(1, 4)))], {}


row("solve", L.solve, _solve)

INFINITE = float("inf")
MATRIX_ORDERS = ["fro", "nuc", 1, -1, 2, -2, INFINITE, -INFINITE]
VECTOR_ORDERS = [0, 1, 2, 3, 0.5, -1, -2, INFINITE, -INFINITE]


def _matrix_norm(rng: Rng) -> Drawn:
    order = MATRIX_ORDERS[rng.integers(len(MATRIX_ORDERS))]
    return any_matrix(rng)[0], {"ord": order, "keepdims": coin(rng)}


def _vector_norm(rng: Rng) -> Drawn:
    x = normal(rng, *shape(rng, empty=0))
    order = VECTOR_ORDERS[rng.integers(len(VECTOR_ORDERS))]
    return [x], {"ord": order, "axis": several_axes(rng, x.ndim), "keepdims": coin(rng)}


def _norm(rng: Rng) -> Drawn:
    x = normal(rng, 2, 3, 4)
    if coin(rng):
        order = VECTOR_ORDERS[rng.integers(len(VECTOR_ORDERS))]
        return [x], {"ord": order, "axis": int(rng.integers(-3, 3)), "keepdims": coin(rng)}
    axis = [(0, 1), (-1, 0), (2, -2)][rng.integers(3)]
    order = [None, *MATRIX_ORDERS][rng.integers(len(MATRIX_ORDERS) + 1)]
    return [x], {"ord": order, "axis": axis, "keepdims": coin(rng)}


row(
    "matrix_norm",
    lambda x, keepdims, **how: L.matrix_norm(x, how["ord"], keepdim=keepdims),
    _matrix_norm,
)
row("vector_norm", along(L.vector_norm), _vector_norm)
row(
    "norm",
    lambda x, axis, keepdims, **how: L.norm(x, how["ord"], axis, keepdim=keepdims),
    _norm,
)
row("norm", L.norm, lambda rng: ([normal(rng, *shape(rng, 1))], {}))


def _standardize(rng: Rng) -> Drawn:
    x = normal(rng, 3, 2, 4)
    return [x], {"axis": several_axes(rng, 3), "eps": float(rng.choice([1e-5, 0.1]))}


def _torch_standardize(x: Any, axis: Any, eps: float) -> Any:
    dim = tuple(range(x.ndim)) if axis is None else axis
    variance, mean = torch.var_mean(x, dim=dim, correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps), mean, variance


def _torch_batch_normalize(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    axes = tuple(a for a in range(x.ndim) if a != 1)
    variance, mean = torch.var_mean(x, dim=axes, correction=0)
    return T.batch_norm(x, None, None, weight, bias, True, 0.1, eps), mean, variance


row("standardize", _torch_standardize, _standardize)
row(
    "batch_normalize",
    _torch_batch_normalize,
    lambda rng: (
        [normal(rng, 4, 3, *shape(rng, 0, 2, 0)), normal(rng, 3), normal(rng, 3)],
        {"eps": float(rng.choice([1e-5, 0.1]))},
    ),
)


# Creation: the dtypes are compared too, where they are not given.
DTYPES = ["float64", "float32", "int64", "int32", "uint8"]


def created(name: str, theirs: Any, draw: Callable[[Rng], dict[str, Any]]) -> None:
    row(name, theirs, lambda rng: ([], draw(rng)), getattr(mg, name), gradient=False)


def _typed(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arrays: Any, dtype: str | None = None, **options: Any) -> Any:
        chosen = {} if dtype is None else {"dtype": getattr(torch, dtype)}
        return function(*arrays, **options, **chosen)

    return call


def _dtype(rng: Rng) -> dict[str, str]:
    return {} if coin(rng) else {"dtype": str(rng.choice(DTYPES))}


def _arange(rng: Rng) -> dict[str, Any]:
    if coin(rng):
        return {"start": int(rng.integers(-5, 1)), "stop": int(rng.integers(1, 9)), "step": 2}
    return {"start": 0.5, "stop": 4.25, "step": 0.75}


def _full(rng: Rng) -> dict[str, Any]:
    value = [3, 2.5, True, -1, INFINITE][rng.integers(5)]
    typed = {} if value in (2.5, -1, INFINITE) else _dtype(rng)
    return {"shape": shape(rng), "fill_value": value, **typed}


for _name in ("zeros", "ones"):
    _made, _alike = getattr(torch, _name), getattr(torch, f"{_name}_like")
    created(
        _name,
        _typed(lambda shape, f=_made, **how: f(shape, **how)),
        lambda rng: {"shape": shape(rng), **_dtype(rng)},
    )
    row(
        f"{_name}_like",
        _typed(_alike),
        lambda rng: ([normal(rng, *shape(rng))], _dtype(rng)),
        gradient=False,
    )
created(
    "full", _typed(lambda shape, fill_value, **how: torch.full(shape, fill_value, **how)), _full
)
row(
    "full_like",
    _typed(torch.full_like),
    lambda rng: ([normal(rng, *shape(rng))], {"fill_value": 3, **_dtype(rng)}),
    gradient=False,
)
created(
    "arange",
    _typed(lambda start, stop, step, **how: torch.arange(start, stop, step, **how)),
    _arange,
)
created(
    "linspace",
    _typed(lambda start, stop, num, **how: torch.linspace(start, stop, num, **how)),
    lambda rng: {"start": -1.5, "stop": 2, "num": int(rng.integers(0, 9)), "dtype": "float64"},
)
created(
    "eye",
    _typed(lambda n_rows, n_cols, **how: torch.eye(n_rows, n_cols, **how)),
    lambda rng: {"n_rows": int(rng.integers(5)), "n_cols": int(rng.integers(5)), **_dtype(rng)},
)
