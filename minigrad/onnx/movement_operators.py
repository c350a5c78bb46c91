"""What ONNX's operators that move values are in minigrad: rules of the table in `operators`."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule
from minigrad.tensor import as_tensor


def reshape(op: Operator, x: Any, shape: Any) -> Any:
    """0 keeps the length of the input, unless `allowzero`."""
    x, lengths = as_tensor(x), op.integers(1, "shape")
    if not op.get("allowzero", 0):
        lengths = [x.shape[i] if n == 0 else n for i, n in enumerate(lengths)]
    return mg.reshape(x, tuple(lengths))


def flatten(op: Operator, x: Any) -> Any:
    x = as_tensor(x)
    axis = op.get("axis", 1)
    front = x.shape[: axis if axis >= 0 else axis + x.ndim]
    return mg.reshape(x, (int(np.prod(front)), x.size // max(int(np.prod(front)), 1)))


def transpose(op: Operator, x: Any) -> Any:
    x = as_tensor(x)
    return mg.permute_dims(x, tuple(op.get("perm", range(x.ndim)[::-1])))


def squeeze(op: Operator, x: Any, axes: Any = None) -> Any:
    over = op.integers(1, "axes")
    return mg.squeeze(x, None if over is None else tuple(over))


def unsqueeze(op: Operator, x: Any, axes: Any = None) -> Any:
    return mg.expand_dims(x, tuple(op.integers(1, "axes")))


def expand(op: Operator, x: Any, shape: Any) -> Any:
    x = as_tensor(x)
    return mg.expand(x, op.bounded(np.broadcast_shapes(x.shape, tuple(op.integers(1, "shape")))))


def tile(op: Operator, x: Any, repeats: Any) -> Any:
    x, repeats = as_tensor(x), op.integers(1, "repeats")
    op.bounded([n * count for n, count in zip(x.shape, repeats, strict=True)])
    return mg.tile(x, tuple(repeats))


def concat(op: Operator, *x: Any) -> Any:
    return mg.concat(x, op.get("axis"))


def split(op: Operator, x: Any, _: Any = None) -> Any:
    x, axis = as_tensor(x), op.get("axis", 0)
    sizes = op.integers(1, "split")
    if sizes is None:
        count = op.get("num_outputs", op.outputs)
        each = -(-x.shape[axis] // count)
        return mg.split(x, [each * i for i in range(1, count)], axis)
    return mg.split(x, [int(n) for n in np.cumsum(sizes)[:-1]], axis)


def pad(op: Operator, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    x, widths = as_tensor(x), op.integers(1, "pads")
    over = op.integers(3, "axes", list(range(x.ndim)))
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(over):
        pairs[axis] = widths[i], widths[len(over) + i]
    cut = tuple(
        [slice(max(-a, 0), n + min(b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True)]
    )
    x = x[cut] if min((min(pair) for pair in pairs), default=0) < 0 else x
    filling = op.array(2)
    number = op.get("value", 0) if filling is None else filling.reshape(-1)[0].item()
    mode = op.get("mode", "constant")
    positive = [(max(a, 0), max(b, 0)) for a, b in pairs]
    op.bounded([n + a + b for n, (a, b) in zip(x.shape, positive, strict=True)])
    return mg.pad(x, positive, mode=mode, **({"value": number} if mode == "constant" else {}))


def depth_to_space(op: Operator, x: Any) -> Any:
    """Channels as blocks of pixels; "DCR" has the place in the block before the channel."""
    x, b = as_tensor(x), op.get("blocksize")
    n, c, h, w = x.shape
    if op.get("mode", "DCR") == "DCR":
        parts = mg.permute_dims(mg.reshape(x, (n, b, b, c // b**2, h, w)), (0, 3, 4, 1, 5, 2))
    else:
        parts = mg.permute_dims(mg.reshape(x, (n, c // b**2, b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return mg.reshape(parts, (n, c // b**2, h * b, w * b))


def space_to_depth(op: Operator, x: Any) -> Any:
    """Blocks of pixels as channels; "DCR" has the place in the block before the channel."""
    x, b = as_tensor(x), op.get("blocksize")
    n, c, h, w = x.shape
    parts = mg.reshape(x, (n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if op.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return mg.reshape(mg.permute_dims(parts, order), (n, c * b**2, h // b, w // b))


def triangle(op: Operator, x: Any, k: Any = None) -> Any:
    offset = op.integers(1, "k", [0])[0]
    return (mg.triu if op.get("upper", 1) else mg.tril)(x, k=offset)


RULES: dict[str, Rule] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Pad": pad,
    "Reshape": reshape,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": triangle,
    "Unsqueeze": unsqueeze,
}
"""By the operator's name."""
