"""What ONNX's operators are in minigrad: a table from operator to the function that calls the ops.

A rule takes the node and its inputs, tensors or arrays that are known (None for one left out), and
returns a tensor or array, or several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.nn import functional
from minigrad.onnx.operator import Operator
from minigrad.onnx.window_operators import (
    avg_pool,
    batch_normalization,
    convolution,
    max_pool,
    over_space,
    transposed,
)
from minigrad.ops.determinants import det
from minigrad.ops.softmax import log_softmax, softmax
from minigrad.ops.special import erf
from minigrad.tensor import as_tensor

Rule = Callable[..., Any]


def plain(function: Callable[..., Any]) -> Rule:
    """An operator that is a function of its operands."""
    return lambda op, *x: function(*x)


def folded(function: Callable[..., Any]) -> Rule:
    """An operator of any number of operands, from left to right."""

    def rule(op: Operator, *x: Any) -> Any:
        y = as_tensor(x[0])
        for operand in x[1:]:
            y = function(y, operand)
        return y

    return rule


def reduced(function: Callable[..., Any], before: Any = None, after: Any = None) -> Rule:
    """A reduction over `axes`, all of them by default."""

    def rule(op: Operator, x: Any, axes: Any = None) -> Any:
        over = op.integers(1, "axes")
        if not over and op.get("noop_with_empty_axes", 0):
            over = []
        elif not over:
            over = list(range(as_tensor(x).ndim))
        y = function(
            before(x) if before else x, axis=tuple(over), keepdims=bool(op.get("keepdims", 1))
        )
        return after(y) if after else y

    return rule


def extremum(function: Callable[..., Any]) -> Rule:
    def rule(op: Operator, x: Any) -> Any:
        if op.get("select_last_index", 0):
            raise op.refuse("select_last_index is not known")
        return function(x, axis=op.get("axis", 0), keepdims=bool(op.get("keepdims", 1)))

    return rule


def gemm(op: Operator, a: Any, b: Any, c: Any = None) -> Any:
    a, b = as_tensor(a), as_tensor(b)
    y = mg.matmul(a.T if op.get("transA", 0) else a, b.T if op.get("transB", 0) else b)
    y = y if op.get("alpha", 1.0) == 1 else y * op.get("alpha", 1.0)
    if c is None:
        return y
    return y + (as_tensor(c) if op.get("beta", 1.0) == 1 else as_tensor(c) * op.get("beta", 1.0))


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
    return mg.expand(x, np.broadcast_shapes(x.shape, tuple(op.integers(1, "shape"))))


def slices(op: Operator, x: Any, *_: Any) -> Any:
    x = as_tensor(x)
    starts, ends = op.integers(1, "starts"), op.integers(2, "ends")
    axes = op.integers(3, "axes", list(range(len(starts))))
    steps = op.integers(4, "steps", [1] * len(starts))
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        n = x.shape[axis]
        low, high = (0, n) if step > 0 else (-1, n - 1)
        first = min(max(start + n if start < 0 else start, 0), high)
        last = min(max(end + n if end < 0 else end, low), n)
        index[axis] = slice(first, None if last < 0 else last, step)
    return x[tuple(index)]


def gather_nd(op: Operator, x: Any, indices: Any) -> Any:
    if op.get("batch_dims", 0):
        raise op.refuse("batch_dims are not known")
    places = as_tensor(indices)
    return as_tensor(x)[tuple([places[..., i] for i in range(places.shape[-1])])]


def scatter_nd(op: Operator, x: Any, indices: Any, updates: Any) -> Any:
    places = as_tensor(indices)
    at = as_tensor(x).at[tuple([places[..., i] for i in range(places.shape[-1])])]
    how = {b"none": "set", b"add": "add", b"mul": "multiply", b"max": "max", b"min": "min"}
    return getattr(at, how[op.get("reduction", b"none")])(updates)


def pad(op: Operator, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    x, widths = as_tensor(x), op.integers(1, "pads")
    over = op.integers(3, "axes", list(range(x.ndim)))
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(over):
        pairs[axis] = widths[i], widths[len(over) + i]
    cut = tuple(
        [slice(max(-a, 0), n + min(b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True)]
    )
    x = x[cut] if min(min(pair) for pair in pairs) < 0 else x
    filling = op.array(2)
    number = op.get("value", 0) if filling is None else filling.reshape(-1)[0].item()
    how = {b"constant": "constant", b"reflect": "reflect", b"edge": "edge", b"wrap": "wrap"}
    mode = how[op.get("mode", b"constant")]
    positive = [(max(a, 0), max(b, 0)) for a, b in pairs]
    return mg.pad(x, positive, mode=mode, **({"value": number} if mode == "constant" else {}))


def clip(op: Operator, x: Any, low: Any = None, high: Any = None) -> Any:
    low = op.get("min") if low is None else low
    high = op.get("max") if high is None else high
    x = as_tensor(x)
    x = x if low is None else mg.maximum(x, low)
    return x if high is None else mg.minimum(x, high)


def split(op: Operator, x: Any, _: Any = None) -> Any:
    x, axis = as_tensor(x), op.get("axis", 0)
    sizes = op.integers(1, "split")
    if sizes is None:
        each = -(-x.shape[axis] // op.get("outputs"))
        return mg.split(x, [each * i for i in range(1, op.get("outputs"))], axis)
    return mg.split(x, [int(n) for n in np.cumsum(sizes)[:-1]], axis)


def cumulative_sum(op: Operator, x: Any, _: Any) -> Any:
    x, axis = as_tensor(x), op.integers(1, "axis")[0]
    x = mg.flip(x, axis) if op.get("reverse", 0) else x
    y = mg.cumulative_sum(x, axis=axis)
    y = y - x if op.get("exclusive", 0) else y
    return mg.flip(y, axis) if op.get("reverse", 0) else y


def top_k(op: Operator, x: Any, _: Any = None) -> Any:
    x, axis = as_tensor(x), op.get("axis", -1)
    order = mg.argsort(x, axis=axis, descending=bool(op.get("largest", 1)))
    order = mg.take(order, np.arange(op.integers(1, "k")[0]), axis=axis)
    return mg.take_along_axis(x, order, axis=axis), order


def shares(function: Callable[..., Any]) -> Rule:
    """Before opset 13 over all axes from `axis` on, taken as one."""

    def rule(op: Operator, x: Any) -> Any:
        x = as_tensor(x)
        if op.opset >= 13:
            return function(x, op.get("axis", -1))
        return mg.reshape(function(flatten(op, x), 1), x.shape)

    return rule


def layer_normalization(op: Operator, x: Any, scale: Any, bias: Any = None) -> Any:
    x, axis = as_tensor(x), op.get("axis", -1)
    shape = x.shape[axis:]
    return functional.layer_norm(x, shape, scale, bias, eps=op.get("epsilon", 1e-5))


def local_response_norm(op: Operator, x: Any) -> Any:
    how = op.get("alpha", 1e-4), op.get("beta", 0.75), op.get("bias", 1.0)
    if op.get("size") % 2 == 0:
        return mg.flip(functional.local_response_norm(mg.flip(x, 1), op.get("size"), *how), 1)
    return functional.local_response_norm(as_tensor(x), op.get("size"), *how)


def modulo(op: Operator, x: Any, y: Any) -> Any:
    if op.get("fmod", 0):
        whole = mg.trunc(mg.divide(x, y))
        return mg.subtract(x, mg.multiply(whole, y))
    return mg.remainder(x, y)


def hard_sigmoid(op: Operator, x: Any) -> Any:
    line = as_tensor(x) * op.get("alpha", 0.2) + op.get("beta", 0.5)
    return mg.minimum(mg.maximum(line, 0), 1)


def instance_normalization(op: Operator, x: Any, scale: Any, bias: Any) -> Any:
    eps = op.get("epsilon", 1e-5)
    return functional.instance_norm(as_tensor(x), weight=scale, bias=bias, eps=eps)


def is_infinite(op: Operator, x: Any) -> Any:
    if not (op.get("detect_negative", 1) and op.get("detect_positive", 1)):
        raise op.refuse("detect_negative and detect_positive are not known")
    return mg.isinf(x)


def cross_entropy(op: Operator, scores: Any, classes: Any, weight: Any = None) -> Any:
    how = {"ignore_index": op.get("ignore_index", -100), "weight": weight}
    reduction = op.get("reduction", b"mean").decode()
    return functional.cross_entropy(scores, classes, reduction=reduction, **how)


def triangle(op: Operator, x: Any, k: Any = None) -> Any:
    offset = op.integers(1, "k", [0])[0]
    return (mg.triu if op.get("upper", 1) else mg.tril)(x, k=offset)


RULES: dict[str, Rule] = {
    "Det": plain(det), "Erf": plain(erf), "HardSigmoid": hard_sigmoid,
    "InstanceNormalization": instance_normalization, "IsInf": is_infinite,
    "PRelu": lambda op, x, slope: mg.where(mg.less(x, 0), mg.multiply(x, slope), x),
    "SoftmaxCrossEntropyLoss": cross_entropy, "Trilu": triangle,
    "Abs": plain(mg.abs), "Acos": plain(mg.acos), "Acosh": plain(mg.acosh), "Add": plain(mg.add),
    "And": plain(mg.logical_and), "ArgMax": extremum(mg.argmax), "ArgMin": extremum(mg.argmin),
    "Asin": plain(mg.asin), "Asinh": plain(mg.asinh), "Atan": plain(mg.atan),
    "Atanh": plain(mg.atanh), "AveragePool": avg_pool, "BatchNormalization": batch_normalization,
    "BitwiseAnd": plain(mg.bitwise_and), "BitwiseNot": plain(mg.bitwise_invert),
    "BitwiseOr": plain(mg.bitwise_or), "BitwiseXor": plain(mg.bitwise_xor),
    "Ceil": plain(mg.ceil), "Celu": lambda op, x: functional.celu(x, op.get("alpha", 1.0)),
    "Clip": clip, "Concat": lambda op, *x: mg.concat(x, op.get("axis")), "Conv": convolution,
    "ConvTranspose": transposed, "Cos": plain(mg.cos), "Cosh": plain(mg.cosh),
    "CumSum": cumulative_sum, "Div": plain(mg.divide),
    "Einsum": lambda op, *x: mg.einsum(op.get("equation").decode(), *x),
    "Elu": lambda op, x: functional.elu(x, op.get("alpha", 1.0)), "Equal": plain(mg.equal),
    "Exp": plain(mg.exp), "Expand": expand, "Flatten": flatten, "Floor": plain(mg.floor),
    "Gather": lambda op, x, i: mg.take(x, i, axis=op.get("axis", 0)), "GatherND": gather_nd,
    "Gelu": lambda op, x: functional.gelu(x, op.get("approximate", b"none").decode()),
    "Gemm": gemm, "GlobalAveragePool": over_space(mg.mean), "GlobalMaxPool": over_space(mg.max),
    "Greater": plain(mg.greater), "GreaterOrEqual": plain(mg.greater_equal),
    "HardSwish": plain(functional.hardswish), "Identity": plain(as_tensor),
    "IsNaN": plain(mg.isnan), "LRN": local_response_norm,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": lambda op, x: functional.leaky_relu(x, op.get("alpha", 0.01)),
    "Less": plain(mg.less), "LessOrEqual": plain(mg.less_equal), "Log": plain(mg.log),
    "LogSoftmax": shares(log_softmax), "MatMul": plain(mg.matmul), "Max": folded(mg.maximum),
    "MaxPool": max_pool, "Min": folded(mg.minimum), "Mish": plain(functional.mish),
    "Mod": modulo, "Mul": plain(mg.multiply), "Neg": plain(mg.negative),
    "Not": plain(mg.logical_not), "Or": plain(mg.logical_or), "Pad": pad,
    "Pow": plain(mg.pow),
    "Reciprocal": lambda op, x: mg.divide(1, as_tensor(x)),
    "ReduceL1": reduced(mg.sum, before=mg.abs),
    "ReduceL2": reduced(mg.sum, before=mg.square, after=mg.sqrt),
    "ReduceLogSumExp": reduced(mg.logsumexp), "ReduceMax": reduced(mg.max),
    "ReduceMean": reduced(mg.mean), "ReduceMin": reduced(mg.min), "ReduceProd": reduced(mg.prod),
    "ReduceSum": reduced(mg.sum), "ReduceSumSquare": reduced(mg.sum, before=mg.square),
    "Relu": plain(functional.relu), "Reshape": reshape, "Round": plain(mg.round),
    "ScatterND": scatter_nd, "Selu": plain(functional.selu),
    "Sigmoid": plain(functional.sigmoid), "Sign": plain(mg.sign), "Sin": plain(mg.sin),
    "Sinh": plain(mg.sinh), "Slice": slices, "Softmax": shares(softmax),
    "Softplus": lambda op, x: functional.softplus(x, threshold=1e4),
    "Softsign": plain(functional.softsign), "Split": split, "Sqrt": plain(mg.sqrt),
    "Squeeze": squeeze, "Sub": plain(mg.subtract), "Sum": folded(mg.add), "Tan": plain(mg.tan),
    "Tanh": plain(mg.tanh), "TopK": top_k, "Transpose": transpose, "Unsqueeze": unsqueeze,
    "Where": plain(mg.where), "Xor": plain(mg.logical_xor),
}  # fmt: skip
"""By the operator's name in ONNX's default domain."""
