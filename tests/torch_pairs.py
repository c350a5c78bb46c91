"""Functions of minigrad beside PyTorch's: for each pair, how to draw arguments both take.

A drawer takes a generator and gives the arrays, which are differentiated by where they are
floating, and the options; `theirs` is called with the same arrays and options as `ours`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.nn import functional

torch = pytest.importorskip("torch")
T, L = torch.nn.functional, torch.linalg

Rng = np.random.Generator
Drawn = tuple[list[Any], dict[str, Any]]


class Pair(NamedTuple):
    """One function twice; `gradient` says whether PyTorch has a derivative of it."""

    name: str
    theirs: Callable[..., Any]
    draw: Callable[[Rng], Drawn]
    ours: Callable[..., Any]
    gradient: bool = True


PAIRS: list[Pair] = []


def row(name: str, theirs: Any, draw: Any, ours: Any = None, gradient: bool = True) -> None:
    """Add a pair to the table."""
    chosen = (
        ours or getattr(ops, name, None) or getattr(functional, name, None) or getattr(mg, name)
    )
    PAIRS.append(Pair(name, theirs, draw, chosen, gradient))


def shape(rng: Rng, low: int = 0, high: int = 4, empty: float = 0.1) -> tuple[int, ...]:
    lengths = rng.integers(1, 5, rng.integers(low, high + 1))
    if lengths.size and rng.random() < empty:
        lengths[rng.integers(lengths.size)] = 0
    return tuple(int(n) for n in lengths)


def narrowed(rng: Rng, full: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to `full`: some lengths 1, some first axes left out."""
    cut = rng.integers(len(full) + 1) if rng.random() < 0.3 else 0
    return tuple(1 if rng.random() < 0.3 else n for n in full[cut:])


def coin(rng: Rng) -> bool:
    return bool(rng.random() < 0.5)


def some_axis(rng: Rng, ndim: int) -> int:
    return int(rng.integers(-ndim, ndim))


def several_axes(rng: Rng, ndim: int) -> Any:
    """None, one axis, or a tuple of axes, counted from either end."""
    if ndim == 0 or rng.random() < 0.3:
        return None
    if coin(rng):
        return some_axis(rng, ndim)
    chosen = rng.permutation(ndim)[: rng.integers(1, ndim + 1)]
    return tuple(int(a) - ndim * coin(rng) for a in chosen)


def ties(rng: Rng, *lengths: int) -> np.ndarray:
    return rng.integers(-2, 3, lengths).astype(float)


def normal(rng: Rng, *lengths: int) -> np.ndarray:
    return rng.normal(size=lengths) * 2


def unary(low: float, high: float) -> Callable[[Rng], Drawn]:
    return lambda rng: ([rng.uniform(low, high, shape(rng))], {})


def binary(low: float = -3, high: float = 3, kind: str = "f") -> Callable[[Rng], Drawn]:
    def draw(rng: Rng) -> Drawn:
        full = shape(rng)
        shapes = narrowed(rng, full), full
        arrays = [rng.uniform(low, high, s) for s in shapes[:: 1 if coin(rng) else -1]]
        cast = {"f": float, "i": np.int64, "b": np.bool_}[kind]
        return [np.asarray(np.round(a) if kind == "b" else a).astype(cast) for a in arrays], {}

    return draw


# Elementwise: the name with us, the function of PyTorch, the interval of the arguments.
UNARY: list[tuple[str, Any, float, float]] = [
    *[(n, getattr(torch, n), -3, 3) for n in ["abs", "asinh", "atan", "cos", "cosh", "erf", "exp"]],
    *[(n, getattr(torch, n), -3, 3) for n in ["exp2", "expm1", "negative", "positive"]],
    *[
        (n, getattr(torch, n), -3, 3)
        for n in ["relu", "sigmoid", "sin", "sinc", "sinh", "square", "tan", "tanh"]
    ],
    *[
        (n, getattr(torch, n), 0.1, 4)
        for n in ["log", "log2", "log10", "log1p", "sqrt", "reciprocal"]
    ],
    *[(n, getattr(torch, n), -0.95, 0.95) for n in ["acos", "asin", "atanh"]],
    ("acosh", torch.acosh, 1.1, 4),
    *[(n, getattr(torch, n), -4, 4) for n in ["ceil", "floor", "round", "sign", "trunc", "clone"]],
    *[(n, getattr(T, n), -5, 5) for n in ["celu", "elu", "gelu", "hardswish"]],
    *[(n, getattr(T, n), -5, 5) for n in ["hardtanh", "leaky_relu", "logsigmoid", "mish"]],
    *[(n, getattr(T, n), -5, 5) for n in ["relu6", "selu", "silu", "softplus", "softsign"]],
]
# PyTorch's own hardsigmoid has a gradient of the precision of float32.
UNARY.append(("hardsigmoid", lambda x: T.relu6(x + 3) / 6, -5, 5))
for _name, _function, _low, _high in UNARY:
    row(_name, _function, unary(_low, _high))
PREDICATES = ["isfinite", "isinf", "isnan", "signbit"]
for _name in PREDICATES:
    row(_name, getattr(torch, _name), unary(-2, 2), gradient=False)

BINARY: list[tuple[str, Any, float, float]] = [
    *[(n, getattr(torch, n), -3, 3) for n in ["add", "subtract", "multiply", "hypot", "copysign"]],
    *[(n, getattr(torch, n), -3, 3) for n in ["maximum", "minimum", "logaddexp", "atan2"]],
    ("divide", torch.divide, 0.2, 3),
    ("remainder", torch.remainder, 0.4, 5),
    ("power", torch.pow, 0.1, 3),
    ("pow", torch.pow, 0.1, 3),
]
for _name, _function, _low, _high in BINARY:
    row(_name, _function, binary(_low, _high))
COMPARISONS = {
    **{name: getattr(torch, name) for name in ["greater", "greater_equal", "less", "less_equal"]},
    "equal": torch.eq,
    "not_equal": torch.ne,
    "nextafter": torch.nextafter,
}
for _name, _function in COMPARISONS.items():
    row(_name, _function, binary(), gradient=False)
    if _name != "nextafter":
        row(_name, _function, binary(-2, 3, "i"), gradient=False)
for _name in ["logical_and", "logical_or", "logical_xor"]:
    row(_name, getattr(torch, _name), binary(0, 1, "b"), gradient=False)
for _name in ["add", "subtract", "multiply", "maximum", "minimum"]:
    row(_name, getattr(torch, _name), binary(-9, 9, "i"), gradient=False)
row(
    "logical_not", torch.logical_not, lambda rng: ([ties(rng, *shape(rng)) > 0], {}), gradient=False
)
row("floor_divide", torch.floor_divide, binary(0.3, 5), gradient=False)
row("floor_divide", torch.floor_divide, binary(1, 9, "i"), gradient=False)
row("remainder", torch.remainder, binary(-9, -1, "i"), gradient=False)
for _name in ["bitwise_and", "bitwise_or", "bitwise_xor"]:
    row(_name, getattr(torch, _name), binary(-99, 99, "i"), gradient=False)
    row(_name, getattr(torch, _name), binary(0, 1, "b"), gradient=False)
for _name in ["bitwise_left_shift", "bitwise_right_shift"]:
    row(_name, getattr(torch, _name), binary(0, 20, "i"), gradient=False)
row(
    "bitwise_invert",
    torch.bitwise_not,
    lambda rng: ([rng.integers(-99, 99, shape(rng))], {}),
    gradient=False,
)


def _where(rng: Rng) -> Drawn:
    full = shape(rng)
    arrays = [normal(rng, *narrowed(rng, full)) for _ in range(3)]
    return [np.asarray(arrays[0] > 0), *arrays[1:]], {}


def _clip(rng: Rng) -> Drawn:
    full = shape(rng, empty=0)
    x = normal(rng, *full)  # PyTorch fails at bounds that broadcast x
    low, high = (normal(rng, *narrowed(rng, full)) for _ in range(2))
    kind = rng.integers(4)
    if kind == 0:
        return [x], {"min": -0.7, "max": None if coin(rng) else 1.2}
    return [[x, low, high], [x, low], [x, low + 2, low]][kind - 1], {}


row("where", torch.where, _where)
row("clip", torch.clip, _clip)
row("gelu", T.gelu, lambda rng: ([normal(rng, *shape(rng))], {"approximate": "tanh"}))
row("prelu", T.prelu, lambda rng: ([normal(rng, 2, 3, *shape(rng, 0, 2)), normal(rng, 3)], {}))
row("glu", T.glu, lambda rng: ([normal(rng, 3, 4, 2)], {"dim": int(rng.choice([-2, 1, -1]))}))
row("softplus", T.softplus, lambda rng: ([9 * normal(rng, 5)], {"beta": 1.5, "threshold": 6.0}))


def _probabilities(rng: Rng) -> Drawn:
    full = shape(rng, empty=0)
    return [rng.uniform(0.05, 0.95, full), rng.uniform(0, 1, full)], {}


row("bernoulli_loss", lambda x, t: T.binary_cross_entropy(x, t, reduction="none"), _probabilities)
row(
    "logistic_loss",
    lambda x, t: T.binary_cross_entropy_with_logits(x, t, reduction="none"),
    _probabilities,
)


# Reductions: of generic numbers or of few different ones, over none, one or several axes.


def along(function: Any) -> Callable[..., Any]:
    """A reduction of PyTorch that takes our `axis` and `keepdims`; None is all axes."""

    def call(x: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        dim = tuple(range(x.ndim)) if axis is None else axis
        return function(x, dim=dim, keepdim=keepdims, **options)

    return call


def one_by_one(function: Any) -> Callable[..., Any]:
    """A reduction of PyTorch over one axis, applied to each of several."""

    def call(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        for a in sorted((a % x.ndim for a in axes), reverse=True):
            x = function(x, dim=a, keepdim=keepdims)
        return x if axis is not None or x.ndim else function(x, dim=0)

    return call


def reduced(empty: float = 0.1, tied: bool = True, **options: Any) -> Callable[[Rng], Drawn]:
    def draw(rng: Rng) -> Drawn:
        lengths = shape(rng, empty=empty)
        x = ties(rng, *lengths) if tied and coin(rng) else normal(rng, *lengths)
        how = {"axis": several_axes(rng, x.ndim), "keepdims": coin(rng)}
        return [x], {**how, **{key: value(rng) for key, value in options.items()}}

    return draw


def of_one_axis(
    low: int = 1, empty: float = 0.1, tied: bool = False, **options: Any
) -> Callable[[Rng], Drawn]:
    def draw(rng: Rng) -> Drawn:
        lengths = shape(rng, low, empty=empty)
        x = ties(rng, *lengths) if tied and coin(rng) else normal(rng, *lengths)
        return [x], {"axis": some_axis(rng, x.ndim), **{k: v(rng) for k, v in options.items()}}

    return draw


def _on_axis(function: Any) -> Callable[..., Any]:
    """A function of PyTorch with our names of its options."""
    names = {"axis": "dim", "keepdims": "keepdim"}
    return lambda x, **how: function(x, **{names[key]: value for key, value in how.items()})


def _correction(rng: Rng) -> float:
    return float(rng.choice([0, 1, 0.5]))


for _name in ("sum", "mean"):
    row(_name, along(getattr(torch, _name)), reduced(empty=0.1))
for _name, _function in {"max": torch.amax, "min": torch.amin}.items():
    row(_name, along(_function), reduced(empty=0))
    row(f"a{_name}", along(_function), reduced(empty=0))
row("prod", one_by_one(torch.prod), reduced())
row("logsumexp", along(torch.logsumexp), reduced(empty=0))
row("var", along(torch.var), reduced(empty=0, tied=False, correction=_correction))
row("std", along(torch.std), reduced(empty=0, tied=False, correction=_correction))
for _name in ("all", "any"):
    row(_name, one_by_one(getattr(torch, _name)), reduced(), gradient=False)
row(
    "count_nonzero",
    along(lambda x, dim, keepdim: (x != 0).sum(dim, keepdim)),
    reduced(),
    gradient=False,
)
for _name in ("argmax", "argmin"):
    row(
        _name,
        _on_axis(getattr(torch, _name)),
        of_one_axis(empty=0, tied=True, keepdims=coin),
        gradient=False,
    )
row("argmax", torch.argmax, lambda rng: ([normal(rng, *shape(rng, empty=0))], {}), gradient=False)


def _cumulative(function: Any, first: float) -> Callable[..., Any]:
    def call(x: Any, axis: int, include_initial: bool) -> Any:
        y = function(x, dim=axis)
        if not include_initial:
            return y
        start = torch.full_like(x.sum(axis, keepdim=True), first)
        return torch.cat([start, y], axis)

    return call


row("cumulative_sum", _cumulative(torch.cumsum, 0), of_one_axis(include_initial=coin))
row("cumulative_prod", _cumulative(torch.cumprod, 1), of_one_axis(include_initial=coin, tied=True))
for _name in ("softmax", "log_softmax"):
    row(_name, _on_axis(getattr(torch, _name)), of_one_axis())
row("softmin", T.softmin, lambda rng: ([normal(rng, 3, 4)], {"dim": some_axis(rng, 2)}))
