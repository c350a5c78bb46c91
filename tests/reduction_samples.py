"""Op samples of reductions: sums, products, extrema, moments, truths; and of running results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sample import FIXED, Array, Sample, away, distinct, mask, normal, whole

import minigrad as mg
from minigrad.ops.cumulative import LinearRecurrence
from minigrad.tensor import Tensor, apply

AXES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "all": ((2, 3), {}),
    "all_kept": ((2, 3), {"keepdims": True}),
    "first": ((2, 3, 4), {"axis": 0}),
    "negative": ((2, 3, 4), {"axis": -1}),
    "kept": ((2, 3, 4), {"axis": 1, "keepdims": True}),
    "two": ((2, 3, 4), {"axis": (0, 2)}),
    "two_reversed_kept": ((2, 3, 4), {"axis": (-1, 0), "keepdims": True}),
    "planes": ((2, 3, 2, 2), {"axis": (2, 3)}),
    "no_axes": ((2, 3), {"axis": ()}),
    "0d": ((), {}),
    "empty_batch": ((0, 3), {"axis": 1}),
}


def _over_axes(
    op: str,
    function: Callable[..., Tensor],
    reference: Any,
    inputs: Any,
    without: tuple[str, ...] = (),
    prefix: str = "",
    **options: Any,
) -> list[Sample]:
    return [
        Sample(
            op,
            prefix + label,
            partial(function, **how),
            partial(reference, **how),
            (inputs(*shape),),
            **options,
        )
        for label, (shape, how) in AXES.items()
        if label not in without
    ]


def _with_zeros(*shape: int) -> Array:
    """Numbers of which every third is 0."""
    x = away(*shape)
    x.reshape(-1)[::3] = 0
    return x


def _logsumexp(x: Array, **how: Any) -> Array:
    return np.log(np.sum(np.exp(x), **how))


def _recurrence(a: Array, b: Array, axis: int) -> Array:
    a, h = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0).copy()
    for i in range(1, len(h)):
        h[i] = a[i] * h[i - 1] + h[i]
    return np.moveaxis(h, 0, axis)


# NumPy's variance of integers is one of doubles; here it is refused. Its `ddof` is `correction`.
MOMENTS = [
    *_over_axes("sum", mg.var, np.var, normal, prefix="var_"),
    *_over_axes("sqrt", mg.std, np.std, normal, prefix="std_", without=("0d", "no_axes")),
    *[
        Sample(
            op,
            f"{function.__name__}_correction_{correction}",
            partial(function, axis=1, correction=correction),
            partial(reference, axis=1, ddof=correction),
            (normal(3, 4),),
        )
        for op, function, reference in [("sum", mg.var, np.var), ("sqrt", mg.std, np.std)]
        for correction in (1, 0.5)
    ],
]

TRUTHS = [
    sample
    for op, function, reference in [("any", mg.any, np.any), ("all", mg.all, np.all)]
    for sample in [
        *_over_axes(op, function, reference, mask, **FIXED),
        Sample(op, "of_nothing", function, reference, (mask(0, 2),), **FIXED),
        Sample(op, "numbers", partial(function, axis=0), partial(reference, axis=0),
               (np.array([[0.0, 0.0, 1.0], [np.nan, 0.0, 2.0]]),), **FIXED),
        Sample(op, "integers", function, reference, (whole(2, 3, dtype="uint8", low=0),), **FIXED),
    ]
]  # fmt: skip

COUNTS = [
    *_over_axes("sum", mg.count_nonzero, np.count_nonzero, _with_zeros, prefix="count_nonzero_",
                **FIXED),
    Sample("sum", "count_nonzero_booleans", mg.count_nonzero, np.count_nonzero, (mask(3, 4),),
           **FIXED),
]  # fmt: skip


def _running(
    op: str, function: Callable[..., Tensor], reference: Any, initial: int, inputs: Any
) -> list[Sample]:
    def with_initial(x: Array, axis: int) -> Array:
        y = reference(x, axis=axis)
        return np.insert(y, 0, np.asarray(initial, y.dtype), axis=axis)

    rows = [
        Sample(op, label, partial(function, axis=axis), partial(reference, axis=axis),
               (inputs(*shape),))
        for label, shape, axis in [
            ("vector", (5,), None),
            ("first", (3, 4), 0),
            ("negative", (2, 3, 4), -2),
            ("of_one", (2, 1), 1),
            ("of_nothing", (2, 0), 1),
            ("empty_batch", (0, 3), 1),
        ]
    ]  # fmt: skip
    rows += [
        Sample(op, f"initial_{axis}", partial(function, axis=axis, include_initial=True),
               partial(with_initial, axis=axis), (inputs(3, 4),))
        for axis in (0, -1)
    ]  # fmt: skip
    rows += [
        Sample(op, dtype, function, reference, (whole(6, low=0, high=4, dtype=dtype),), **FIXED)
        for dtype in ("int8", "uint8", "int64")
    ]
    return [*rows, Sample(op, "booleans", function, reference, (mask(6),), **FIXED)]


RUNNING = [
    *_running("cumulative_sum", mg.cumulative_sum, np.cumsum, 0, normal),
    *_running("cumulative_prod", mg.cumulative_prod, np.cumprod, 1, away),
    *[
        Sample("cumulative_prod", f"zeros_along_{axis}", partial(mg.cumulative_prod, axis=axis),
               partial(np.cumprod, axis=axis), (_with_zeros(4, 5),))
        for axis in (0, 1)
    ],
    *[
        Sample(
            "linear_recurrence",
            label,
            lambda a, b, axis=axis: apply(LinearRecurrence(axis), a, b),
            partial(_recurrence, axis=axis),
            (normal(*shape), normal(*shape)),
        )
        for label, shape, axis in [
            ("vector", (5,), 0),
            ("columns", (4, 3), 0),
            ("amid", (2, 4, 3), 1),
            ("of_one", (2, 1), 1),
            ("of_nothing", (2, 0), 1),
        ]
    ],
]  # fmt: skip

SUMS_AND_EXTREMA = [
    *_over_axes("sum", mg.sum, np.sum, normal),
    *_over_axes("mean", mg.mean, np.mean, normal),
    *_over_axes("max", mg.max, np.max, distinct),
    Sample("sum", "of_nothing", mg.sum, np.sum, (normal(0, 3),)),
    Sample("sum", "integers", mg.sum, np.sum, (whole(2, 3, dtype="int8"),), **FIXED),
    Sample("sum", "bytes", mg.sum, np.sum, (whole(9, low=0, dtype="uint8"),), **FIXED),
    Sample("sum", "booleans", mg.sum, np.sum, (mask(3, 4),), **FIXED),
    Sample("max", "integers", mg.max, np.max, (whole(3, 4, dtype="int16"),), **FIXED),
    *[
        Sample(
            "argmax",
            label,
            partial(mg.argmax, **how),
            partial(np.argmax, **how),
            (distinct(*shape),),
            **FIXED,
        )
        for label, shape, how in [
            ("all", (3, 4), {}),
            ("all_kept", (3, 4), {"keepdims": True}),
            ("first", (3, 4), {"axis": 0}),
            ("negative_kept", (2, 3, 4), {"axis": -2, "keepdims": True}),
            ("0d", (), {}),
        ]
    ],
    Sample("argmax", "first_of_equals", mg.argmax, np.argmax, (np.ones((2, 3)),), **FIXED),
]


REDUCTIONS = [
    *SUMS_AND_EXTREMA,
    *_over_axes("min", mg.min, np.min, distinct),
    Sample("min", "integers", mg.min, np.min, (whole(3, 4, dtype="int16"),), **FIXED),
    Sample("min", "amin", mg.amin, np.min, (distinct(2, 3),)),
    Sample("max", "amax", mg.amax, np.max, (distinct(2, 3),)),
    *[
        Sample("argmin", label, partial(mg.argmin, **how), partial(np.argmin, **how),
               (distinct(*shape),), **FIXED)
        for label, shape, how in [
            ("all", (3, 4), {}),
            ("all_kept", (3, 4), {"keepdims": True}),
            ("first", (3, 4), {"axis": 0}),
            ("negative_kept", (2, 3, 4), {"axis": -2, "keepdims": True}),
            ("0d", (), {}),
        ]
    ],
    Sample("argmin", "first_of_equals", mg.argmin, np.argmin, (np.ones((2, 3)),), **FIXED),
    *_over_axes("prod", mg.prod, np.prod, away),
    *_over_axes("prod", mg.prod, np.prod, _with_zeros, prefix="zeros_"),
    Sample("prod", "one_zero", partial(mg.prod, axis=1), partial(np.prod, axis=1),
           (np.array([[2.0, 0.0, 3.0], [1.0, 2.0, -1.0], [0.0, 0.0, 4.0]]),)),
    Sample("prod", "of_nothing", mg.prod, np.prod, (normal(0, 3),)),
    Sample("prod", "integers", mg.prod, np.prod, (whole(2, 3, dtype="int8"),), **FIXED),
    Sample("prod", "bytes", mg.prod, np.prod, (whole(9, low=0, dtype="uint8"),), **FIXED),
    Sample("prod", "booleans", mg.prod, np.prod, (mask(3, 4),), **FIXED),
    *_over_axes("logsumexp", mg.logsumexp, _logsumexp, normal),
    *MOMENTS,
    *TRUTHS,
    *COUNTS,
    *RUNNING,
]  # fmt: skip
