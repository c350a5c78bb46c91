"""The rows of `torch_pairs` that move elements, look them up, sort them, multiply or factor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from torch_pairs import (
    Drawn,
    Rng,
    T,
    coin,
    functional,
    narrowed,
    normal,
    of_one_axis,
    row,
    several_axes,
    shape,
    some_axis,
    ties,
    torch,
)

from minigrad import ops


def array(rng: Rng, low: int = 0, high: int = 4, empty: float = 0.1) -> np.ndarray:
    return normal(rng, *shape(rng, low, high, empty))


def drawn(low: int = 0, high: int = 4, empty: float = 0.1, **options: Any) -> Any:
    """One array, and options that are drawn for its number of axes."""

    def draw(rng: Rng) -> Drawn:
        x = array(rng, low, high, empty)
        return [x], {key: value(rng, x) for key, value in options.items()}

    return draw


# Movement.


def broadcast(rng: Rng) -> Drawn:
    full = shape(rng)
    return [normal(rng, *narrowed(rng, full))], {"shape": full}


def like(number: int, ranks: tuple[int, int] = (0, 4)) -> Callable[[Rng], Drawn]:
    """`number` arrays of one shape, as one list."""

    def draw(rng: Rng) -> Drawn:
        lengths = shape(rng, *ranks)
        arrays = [normal(rng, *lengths) for _ in range(number)]
        return arrays, {"axis": some_axis(rng, len(lengths) or 1)}

    return draw


def _listed(function: Any) -> Callable[..., Any]:
    return lambda *arrays, **options: function(list(arrays), **options)


def _reshape(rng: Rng) -> Drawn:
    x = array(rng, empty=0)
    return [x], {"shape": [(-1,), (x.size, 1), (1, -1), x.shape[::-1]][rng.integers(4)]}


def _flatten(rng: Rng) -> Drawn:
    x = array(rng, 1)
    first, last = sorted(int(a) for a in rng.integers(0, x.ndim, 2))
    return [x], {"start_dim": first, "end_dim": last - x.ndim}


def _moves(rng: Rng, x: np.ndarray) -> Any:
    return tuple(int(a) - x.ndim * coin(rng) for a in rng.permutation(x.ndim)[:2])


def _moveaxis(rng: Rng) -> Drawn:
    x = array(rng, 2)
    return [x], {"source": _moves(rng, x), "destination": _moves(rng, x)}


def _shifts(rng: Rng) -> Drawn:
    x = array(rng, 2)
    if coin(rng):
        return [x], {"shift": int(rng.integers(-5, 6)), "axis": None}
    return [x], {"shift": tuple(int(n) for n in rng.integers(-5, 6, 2)), "axis": _moves(rng, x)}


def _permutation(rng: Rng, x: np.ndarray) -> tuple[int, ...]:
    return tuple(int(a) - x.ndim * coin(rng) for a in rng.permutation(x.ndim))


def _squeeze(rng: Rng) -> Drawn:
    x = normal(rng, *rng.choice([1, 1, 3], 3))
    single = [a for a in range(3) if x.shape[a] == 1]
    return [x], {"axis": tuple(single[: rng.integers(4)]) if coin(rng) else None}


row("broadcast_to", lambda x, shape: torch.broadcast_to(x, shape), broadcast)
row("expand", lambda x, shape: x.expand(shape), broadcast)
row(
    "astype",
    lambda x: x.to(torch.float32).to(torch.float64),
    drawn(),
    lambda x: x.astype("float32").astype("float64"),
)
row("reshape", torch.reshape, _reshape)
row("flatten", torch.flatten, _flatten)
row("permute_dims", lambda x, axes: torch.permute(x, axes), drawn(axes=_permutation))
row("matrix_transpose", lambda x: x.mT, drawn(2))
row("concat", _listed(torch.concat), like(3, (1, 4)), _listed(ops.concat))
row("stack", _listed(torch.stack), like(3), _listed(ops.stack))
row("unstack", lambda x, axis: torch.unbind(x, axis), of_one_axis())
row(
    "expand_dims",
    lambda x, axis: torch.unsqueeze(x, axis),
    drawn(axis=lambda rng, x: some_axis(rng, x.ndim + 1)),
)
row(
    "squeeze",
    lambda x, axis: torch.squeeze(x) if axis is None else torch.squeeze(x, axis),
    _squeeze,
)
row(
    "flip",
    lambda x, axis: torch.flip(
        x, tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    ),
    drawn(axis=lambda rng, x: several_axes(rng, x.ndim)),
)
row("roll", lambda x, shift, axis: torch.roll(x, shift, axis), _shifts)
row("moveaxis", torch.moveaxis, _moveaxis)
row(
    "repeat",
    lambda x, repeats, axis: torch.repeat_interleave(x, repeats, axis),
    drawn(
        1,
        repeats=lambda rng, x: int(rng.integers(0, 4)),
        axis=lambda rng, x: some_axis(rng, x.ndim) if coin(rng) else None,
    ),
)
row(
    "repeat",
    lambda x, n, axis: torch.repeat_interleave(x, n, axis),
    lambda rng: ([normal(rng, 2, 3), rng.integers(0, 4, 3)], {"axis": int(rng.choice([1, -1]))}),
)
row(
    "tile",
    lambda x, repetitions: torch.tile(x, repetitions),
    drawn(repetitions=lambda rng, x: tuple(int(n) for n in rng.integers(0, 4, rng.integers(1, 5)))),
)
row(
    "split",
    lambda x, indices_or_sections, axis: torch.tensor_split(x, indices_or_sections, axis),
    lambda rng: (
        [normal(rng, 4, 6)],
        {
            "indices_or_sections": 2 if coin(rng) else [int(n) for n in rng.integers(0, 5, 2)],
            "axis": some_axis(rng, 2),
        },
    ),
)
row(
    "meshgrid",
    torch.meshgrid,
    lambda rng: (
        [normal(rng, n) for n in rng.integers(1, 4, rng.integers(2, 4))],
        {"indexing": "ij" if coin(rng) else "xy"},
    ),
)
row(
    "broadcast_arrays",
    torch.broadcast_tensors,
    lambda rng: ([normal(rng, *narrowed(rng, (2, 3, 4))) for _ in range(3)], {}),
)


def _pad(rng: Rng) -> Drawn:
    x = normal(rng, 2, 3, *rng.integers(4, 7, rng.integers(1, 4)))
    width = [(0, 0)] * 2 + [tuple(int(n) for n in rng.integers(0, 4, 2)) for _ in x.shape[2:]]
    return [x], {
        "pad_width": width,
        "mode": str(rng.choice(["constant", "reflect", "replicate", "circular"])),
    }


def _torch_pad(x: Any, pad_width: Any, mode: str) -> Any:
    return T.pad(x, [n for pair in pad_width[:1:-1] for n in pair], mode)


def _nn_pad(x: Any, pad_width: Any, mode: str) -> Any:
    return functional.pad(x, [n for pair in pad_width[:1:-1] for n in pair], mode)


row("pad", _torch_pad, _pad)
row("pad", _torch_pad, _pad, _nn_pad)


def by_position(function: Any) -> Callable[..., Any]:
    return lambda x, **options: function(x, *options.values())


# Triangles and diagonals.
for _name in ("tril", "triu"):
    row(
        _name,
        by_position(getattr(torch, _name)),
        drawn(2, k=lambda rng, x: int(rng.integers(-4, 5))),
    )
row(
    "diag", lambda x, k: torch.diag(x, k), drawn(1, 2, 0, k=lambda rng, x: int(rng.integers(-2, 3)))
)


def _diagonal(rng: Rng) -> Drawn:
    x = array(rng, 2)
    a, b = _moves(rng, x)
    return [x], {"offset": int(rng.integers(-2, 3)), "axis1": a, "axis2": b}


row("diagonal", lambda x, offset, axis1, axis2: torch.diagonal(x, offset, axis1, axis2), _diagonal)
row(
    "trace",
    lambda x, offset, axis1, axis2: torch.diagonal(x, offset, axis1, axis2).sum(-1),
    _diagonal,
)

# Indexing.
INDICES: list[Any] = [
    (0,),
    (-1, slice(None, None, 2)),
    (Ellipsis, 1),
    (None, slice(1, 3), None),
    ([0, 2, 0],),
    ([[0, 1], [2, 2]], slice(None), [1]),
    (slice(None), 0, [3, 3]),
    ([True, False, True],),
    (slice(None), [2, 0], [1, 1]),
    (),
]


def _index(rng: Rng) -> Drawn:
    return [normal(rng, 3, 4, 5)], {"index": INDICES[rng.integers(len(INDICES))]}


def _setitem(rng: Rng) -> Drawn:
    x = normal(rng, 3, 4, 5)
    index = [
        (0,),
        (-1, slice(None, None, 2)),
        (Ellipsis, 1),
        ([0, 2],),
        (slice(None), [2, 0], [1, 1]),
    ]
    chosen = index[rng.integers(len(index))]
    return [x, normal(rng, *narrowed(rng, x[chosen].shape))], {"index": chosen}


def _torch_setitem(x: Any, value: Any, index: Any) -> Any:
    y = x.clone()
    y[index] = value
    return y


def _take_along(rng: Rng) -> Drawn:
    x = array(rng, 1, 3, 0)
    axis = some_axis(rng, x.ndim)
    lengths = list(x.shape)
    lengths[axis] = int(rng.integers(1, 5))
    return [x, rng.integers(0, x.shape[axis], lengths)], {"axis": axis}


def _scatter(rng: Rng) -> Drawn:
    (x, index), how = _take_along(rng)
    return [x, index, normal(rng, *index.shape)], how


def _take(rng: Rng) -> Drawn:
    x = array(rng, 1, 3, 0)
    axis = some_axis(rng, x.ndim)
    return [x, rng.integers(-x.shape[axis], x.shape[axis], 3) % x.shape[axis]], {"axis": axis}


row("getitem", lambda x, index: x[index], _index)
row("setitem", _torch_setitem, _setitem, lambda x, value, index: ops.setitem(x, index, value))
row("take", lambda x, i, axis: torch.index_select(x, axis, i), _take)
row("take", torch.take, lambda rng: ([normal(rng, 3, 4), rng.integers(-12, 12, (2, 3))], {}))
row("take_along_axis", lambda x, i, axis: torch.take_along_dim(x, i, axis), _take_along)
row("scatter_add", lambda x, i, v, axis: torch.scatter_add(x, axis, i, v), _scatter)
row(
    "nonzero",
    lambda x: torch.nonzero(x, as_tuple=True),
    lambda rng: ([ties(rng, *shape(rng, 1))], {}),
    gradient=False,
)

# Sorting.
row(
    "sort",
    lambda x, axis, descending: torch.sort(x, dim=axis, descending=descending, stable=True)[0],
    of_one_axis(tied=True, descending=coin),
)
row(
    "argsort",
    lambda x, axis, descending: torch.argsort(x, dim=axis, descending=descending, stable=True),
    of_one_axis(tied=True, descending=coin),
    gradient=False,
)
row(
    "topk",
    lambda x, k, axis, largest: tuple(torch.topk(x, k, axis, largest)),
    lambda rng: (
        [normal(rng, 4, 3, 4)],
        {"axis": some_axis(rng, 3), "k": int(rng.integers(0, 4)), "largest": coin(rng)},
    ),
)
row(
    "searchsorted",
    lambda a, v, side: torch.searchsorted(a, v, side=side),
    lambda rng: (
        [np.sort(ties(rng, 7)), ties(rng, *shape(rng))],
        {"side": "left" if coin(rng) else "right"},
    ),
    gradient=False,
)
row(
    "unique",
    lambda x: torch.unique(x, sorted=True, return_inverse=True, return_counts=True),
    lambda rng: ([ties(rng, *shape(rng))], {}),
    lambda x: ops.unique(x, return_inverse=True, return_counts=True),
    gradient=False,
)
for _name, _options in {
    "unique_counts": {"return_counts": True},
    "unique_inverse": {"return_inverse": True},
}.items():
    row(
        _name,
        partial(torch.unique, **_options),
        lambda rng: ([ties(rng, *shape(rng))], {}),
        gradient=False,
    )
row(
    "isin",
    torch.isin,
    lambda rng: ([ties(rng, *shape(rng)), ties(rng, 3)], {"invert": coin(rng)}),
    gradient=False,
)
row(
    "diff",
    lambda x, n, axis: torch.diff(x, n, axis),
    lambda rng: (
        [normal(rng, 4, 3, 4)],
        {"n": int(rng.integers(0, 6)), "axis": some_axis(rng, 3)},
    ),
)
row("unique_values", torch.unique, lambda rng: ([ties(rng, *shape(rng))], {}), gradient=False)
