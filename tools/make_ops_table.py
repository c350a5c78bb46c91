"""Writes docs/ops.md: every op of the catalogue, with what it supports.

What an op takes is found out by running its samples of `tests/samples.py` in each dtype, so the
table cannot claim what the code does not do. Run `python tools/make_ops_table.py`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import minigrad as mg
from minigrad.errors import MinigradError
from minigrad.op import CATALOGUE, Op

if TYPE_CHECKING:
    from sample import Sample

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
SAMPLES = import_module("samples").SAMPLES

TARGET = ROOT / "docs" / "ops.md"
DTYPES = ("float32", "float64", "int64", "bool")

NUMPY = {
    "astype": "ndarray.astype",
    "cumulative_prod": "cumprod",
    "cumulative_sum": "cumsum",
    "diagonal_embed": "",
    "erf": "",
    "expand": "broadcast_to",
    "getitem": "x[index]",
    "max_at": "maximum.at",
    "min_at": "minimum.at",
    "setitem": "x[index] = v",
}
"""NumPy's name of an op, where it is not ours ("" where there is none)."""

PYTORCH = {
    "astype": "Tensor.to",
    "atan2": "atan2",
    "batch_normalize": "nn.functional.batch_norm",
    "bernoulli_loss": "nn.functional.binary_cross_entropy",
    "bitwise_invert": "bitwise_not",
    "concat": "cat",
    "cumulative_prod": "cumprod",
    "cumulative_sum": "cumsum",
    "diagonal_embed": "diag_embed",
    "getitem": "x[index]",
    "index_add": "Tensor.index_put_",
    "max_at": "scatter_reduce",
    "min_at": "scatter_reduce",
    "linear": "nn.functional.linear",
    "logistic_loss": "nn.functional.binary_cross_entropy_with_logits",
    "permute_dims": "permute",
    "power": "pow",
    "setitem": "x[index] = v",
    "standardize": "nn.functional.layer_norm",
}
"""PyTorch's name of an op, where it is not ours; `tests/test_ops_table.py` looks them up."""


def pytorch_name(op: str) -> str:
    """What the table says PyTorch calls it."""
    return PYTORCH.get(op, op)


def dtypes(op: str) -> list[str]:
    """The dtypes in which a sample of the op runs."""
    samples = [sample for sample in SAMPLES if sample.op == op]
    return [dtype for dtype in DTYPES if any(_runs(sample, dtype) for sample in samples)]


def _runs(sample: Sample, dtype: str) -> bool:
    kinds = "fiub" if not sample.differentiable else "f"
    with np.errstate(invalid="ignore"):
        inputs = [x.astype(dtype) if x.dtype.kind in kinds else x for x in sample.inputs]
    try:
        sample.function(*[mg.tensor(x) for x in inputs])
    except MinigradError:
        return False
    return True


def mathematics(op: type[Op]) -> str:
    """The first sentence or two of an op's docstring, on one line."""
    text = " ".join((op.__doc__ or "").strip().split("\n\n")[0].split())
    return text.replace("|", r"\|")


def table() -> str:
    """The page."""
    lines = [
        "# The ops",
        "",
        f"All {len(CATALOGUE)} ops of the catalogue, by the file that holds them. Gradients are of "
        "any order, since every backward is written in ops.",
        "",
        "`tools/make_ops_table.py` writes this page.",
    ]
    families = sorted({op.__module__ for op in CATALOGUE.values()})
    for family in families:
        lines += ["", f"## {family.removeprefix('minigrad.').replace('.', '/')}.py", ""]
        lines += ["| op | mathematics | gradient | dtypes | NumPy | PyTorch |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        for name in sorted(n for n, op in CATALOGUE.items() if op.__module__ == family):
            lines.append(_row(name, CATALOGUE[name]))
    return "\n".join(lines) + "\n"


def _row(name: str, op: type[Op]) -> str:
    numpy = NUMPY.get(name, name if hasattr(np, name) or hasattr(np.linalg, name) else "")
    cells = [
        f"`{name}`",
        mathematics(op),
        "any order" if op.differentiable else "none",
        ", ".join(dtypes(name)),
        f"`{numpy}`" if numpy else "",
        f"`{pytorch_name(name)}`" if name not in WITHOUT_PYTORCH else "",
    ]
    return "| " + " | ".join(cells) + " |"


WITHOUT_PYTORCH = frozenset(
    {
        "avg_pool_backward",
        "batch_normalize_backward",
        "channel_affine",
        "channel_sums",
        "cofactor",
        "cofactor_derivative",
        *(f"conv{axes}d_{which}_grad" for axes in (1, 2, 3) for which in ("input", "weight")),
        "inverse_gaps",
        "linear_recurrence",
        "local_response_norm_backward",
        "max_pool_backward",
        "max_pool_gather",
        "max_pool_indices",
        "regular_inverse",
        "relu_backward",
        "sigmoid_backward",
        "tanh_backward",
        "triangular_inverse",
    }
)
"""Ops that PyTorch has no public name for."""


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(table(), encoding="utf-8")
