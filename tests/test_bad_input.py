"""What does not fit is refused: with an error of minigrad that names the op and what it got.

Bad indices have their tests in `test_indexing`, data that is no number in `test_tensor`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import array_refusals
import convolution_refusals
import network_refusals
import numpy as np
import pooling_refusals
import pytest
from array_refusals import FLOATING
from refusal import V, X

import minigrad as mg
from minigrad import ops
from minigrad.errors import MinigradError, ShapeError

ROWS = [
    *array_refusals.REFUSED,
    *convolution_refusals.REFUSED,
    *network_refusals.REFUSED,
    *pooling_refusals.REFUSED,
]


@pytest.mark.parametrize(
    ("op", "call", "error", "fragments"),
    [pytest.param(*row, id=f"{row[0]}-{'-'.join(row[3])}".replace(" ", "_")) for row in ROWS],
)
def test_is_refused(
    op: str, call: Callable[[], Any], error: type[MinigradError], fragments: list[str]
) -> None:
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert re.search(rf"\b{op}\b", message), message
    for fragment in fragments:
        assert fragment in message


def test_every_public_function_is_given_something_bad() -> None:
    """Those that take anything are given what is no array at all."""
    takes_anything = {
        "abs",
        "amax",
        "amin",
        "astype",
        "broadcast_to",
        "clone",
        "getitem",
        "isfinite",
        "isinf",
        "isnan",
        "pow",
        "setitem",
        "unique",
        "unique_all",
        "unique_counts",
        "unique_inverse",
        "unique_values",
    }
    assert set(ops.__all__) - {row[0] for row in ROWS} <= takes_anything


@pytest.mark.parametrize("name", ops.__all__)
@pytest.mark.parametrize(
    "wrong",
    [None, "text", 1j, object(), {}, np.zeros(2, complex)],
    ids=lambda wrong: type(wrong).__name__,
)
def test_what_is_no_array_is_refused(name: str, wrong: Any) -> None:
    others = {
        "astype": ["float32"],
        "batch_normalize": [V, V],
        "broadcast_to": [(2,)],
        "concat": [],
        "expand": [(2,)],
        "getitem": [0],
        "matrix_power": [2],
        "moveaxis": [0, 0],
        "pad": [1],
        "permute_dims": [(0,)],
        "repeat": [2],
        "reshape": [(2,)],
        "roll": [1],
        "scatter_add": [[0], 1.0],
        "setitem": [0, 1.0],
        "split": [1],
        "tile": [2],
        "topk": [1],
        "where": [X, X],
        **{name: [2] for name in ops.__all__ if "_pool" in name},
        **{f"lp_pool{n}d": [2, 2] for n in (1, 2, 3)},
        **{f"max_unpool{n}d": [X.astype("int64"), 2] for n in (1, 2, 3)},
    }
    unary = "abs argmax clone dropout exp flatten log log_softmax logical_not matrix_transpose max"
    unary += " mean negative relu sigmoid sqrt standardize sum tanh"
    unary += " cholesky det diag diagonal eigh eigvalsh inv matrix_norm norm pinv qr slogdet svd"
    unary += " svdvals trace tril triu vector_norm"
    unary += " all amax amin any argmin argsort broadcast_arrays count_nonzero cumulative_prod"
    unary += " cumulative_sum expand_dims flip logsumexp meshgrid min nonzero prod sort squeeze"
    unary += " diff matrix_rank stack std unique unique_all unique_counts unique_inverse"
    unary += " unique_values unstack var"
    unary += f" {FLOATING} bitwise_invert ceil floor isfinite isinf isnan positive round"
    unary += " sign square trunc"
    arguments = others.get(name, [] if name in unary.split() else [X])
    with pytest.raises(MinigradError):
        getattr(ops, name)(wrong, *arguments)


@pytest.mark.parametrize("error", MinigradError.__subclasses__(), ids=lambda e: e.__name__)
def test_every_error_is_a_builtin_one_too(error: type[MinigradError]) -> None:
    assert issubclass(error, (ValueError, TypeError, RuntimeError))


def test_a_refused_call_records_nothing() -> None:
    x = mg.ones((2, 3), requires_grad=True)
    for _, call, _, _ in ROWS[:20]:
        with pytest.raises(MinigradError):
            call()
    with pytest.raises(ShapeError):
        x + mg.ones((2, 2))
    assert x._node is None
