"""Where minigrad and PyTorch differ at special numbers, each with its reason, and what has no pair.

A key of `KNOWN` is a function and "value" or the gradient by one input; a row says at which
points (one column for each argument, or for each element along the reduced axis) they differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

COMPARED_ELSEWHERE = {
    "cross_entropy": "test_against_torch, test_nn_against_torch",
    "nll_loss": "test_nn_against_torch",
    **{
        f"{name}{axes}d": "test_convolution_against_torch"
        for name in ("conv", "conv_transpose")
        for axes in (1, 2, 3)
    },
    **{
        f"{name}{axes}d": "test_pooling_against_torch"
        for axes in (1, 2, 3)
        for name in ("avg_pool", "max_pool", "lp_pool", "max_unpool")
    },
    **{
        f"adaptive_{kind}_pool{axes}d": "test_pooling_against_torch"
        for axes in (1, 2, 3)
        for kind in ("avg", "max")
    },
}
WITHOUT_COUNTERPART = {
    "dropout": "its masks are random, from another generator",
    "unique_all": "no function of PyTorch gives the first index of each value",
}


def _huge(*columns: Any) -> Any:
    return np.any([np.abs(c) == 1e300 for c in columns], axis=0)


def _same_infinity(x: Any, y: Any) -> Any:
    return np.isinf(x) & (x == y)


_AT_ZERO = "the subgradient 0, where PyTorch has infinity or NaN"
_OVERFLOW = "PyTorch squares a number that overflows; the exact derivative is ours"
_LIMIT = "the limit along equal numbers, where PyTorch has infinity - infinity"

KNOWN: dict[tuple[str, str], tuple[Any, str]] = {
    ("sign", "value"): (np.isnan, "NaN as in the array API standard; 0 in PyTorch"),
    ("relu", "gradient 0"): (np.isnan, "0 wherever x > 0 does not hold; 1 in PyTorch"),
    ("sqrt", "gradient 0"): (lambda x: x == 0, _AT_ZERO),
    ("hypot", "gradient 0"): (lambda x, y: (x == 0) & (y == 0), _AT_ZERO),
    ("hypot", "gradient 1"): (lambda x, y: (x == 0) & (y == 0), _AT_ZERO),
    ("sinc", "gradient 0"): (_huge, _OVERFLOW),
    ("softsign", "gradient 0"): (_huge, _OVERFLOW),
    ("atan2", "gradient 0"): (_huge, _OVERFLOW),
    ("atan2", "gradient 1"): (_huge, _OVERFLOW),
    ("acosh", "gradient 0"): (
        lambda x: (x < 0) | (x == 1e300),
        f"NaN outside of the domain, where PyTorch has numbers; and {_OVERFLOW}",
    ),
    ("copysign", "gradient 0"): (
        lambda x, y: ~np.isfinite(x),
        "the derivative is ±1 by the signs; PyTorch divides the result by x",
    ),
    ("logaddexp", "gradient 0"): (_same_infinity, _LIMIT),
    ("logaddexp", "gradient 1"): (_same_infinity, _LIMIT),
    ("logsumexp", "gradient 0"): (
        lambda x, y: (x == -np.inf) & (y == -np.inf),
        "0, as nothing finite changes it; NaN in PyTorch",
    ),
    ("var", "gradient 0"): (
        lambda x, y: np.isinf(x) ^ np.isinf(y),
        "NaN for all, as the mean is infinite; PyTorch has an infinity for the finite one",
    ),
    ("cumulative_prod", "gradient 0"): (
        lambda x, y: ~np.isfinite(x * y) | ~np.isfinite(x),
        "products of the other elements; PyTorch divides a sum of products by the element",
    ),
}
