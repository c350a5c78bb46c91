"""What ONNX's products, normalizations and losses are in minigrad: rules of the table in
`operators`."""

from __future__ import annotations

from typing import Any

import minigrad.ops.arrays as mg
from minigrad.nn import functional
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import FLOATING, float64
from minigrad.tensor import Tensor, as_tensor


def gemm(op: Operator, a: Any, b: Any, c: Any = None) -> Any:
    a, b = as_tensor(a), as_tensor(b)
    y = product(op, a.T if op.get("transA", 0) else a, b.T if op.get("transB", 0) else b)
    y = y if op.get("alpha", 1.0) == 1 else y * op.get("alpha", 1.0)
    if c is None:
        return y
    return y + (as_tensor(c) if op.get("beta", 1.0) == 1 else as_tensor(c) * op.get("beta", 1.0))


def product(op: Operator, a: Any, b: Any) -> Any:
    """Integers are multiplied as float64, which holds their sums up to 2^53."""
    a, b = as_tensor(a), as_tensor(b)
    if a.dtype in FLOATING:
        return mg.matmul(a, b)
    return mg.matmul(a.astype(float64), b.astype(float64)).astype(a.dtype)


def batch_normalization(op: Operator, x: Any, scale: Any, b: Any, mean: Any, var: Any) -> Any:
    """With the running moments; with `training_mode` by those of the batch, which the running ones
    then come nearer to."""
    eps = op.get("epsilon", 1e-5)
    if not op.get("spatial", 1):
        raise op.refuse("spatial=0 is not known")
    if not op.get("training_mode", 0):
        return functional.batch_norm(x, mean, var, scale, b, training=False, eps=eps)
    x, share = as_tensor(x), op.get("momentum", 0.9)
    axes = (0, *range(2, x.ndim))
    y = functional.batch_norm(x, None, None, scale, b, training=True, eps=eps)
    moments = mg.mean(x, axis=axes), mg.var(x, axis=axes)
    kept = [
        as_tensor(old) * share + new.astype(as_tensor(old).dtype) * (1 - share)
        for old, new in zip((mean, var), moments, strict=True)
    ]
    return y, *kept


def instance_normalization(op: Operator, x: Any, scale: Any, bias: Any) -> Any:
    eps = op.get("epsilon", 1e-5)
    return functional.instance_norm(as_tensor(x), weight=scale, bias=bias, eps=eps)


def layer_normalization(op: Operator, x: Any, scale: Any, bias: Any = None) -> Any:
    """The result, and where they are asked for the mean and the inverse of the deviation."""
    x, axis, eps = as_tensor(x), op.get("axis", -1), op.get("epsilon", 1e-5)
    axes = tuple(range(axis % x.ndim, x.ndim))
    y = functional.layer_norm(x, x.shape[axis:], eps=eps)
    y = mg.multiply(y, scale)
    y = y if bias is None else mg.add(y, bias)
    if op.outputs == 1:
        return y
    variance = mg.var(x, axis=axes, keepdims=True)
    return y, mg.mean(x, axis=axes, keepdims=True), mg.divide(1, mg.sqrt(variance + eps))


def group_normalization(op: Operator, x: Any, scale: Any, bias: Any) -> Any:
    """The scale and bias are one a channel; before opset 21 one a group."""
    x, groups = as_tensor(x), op.get("num_groups")
    y = functional.group_norm(x, groups, eps=op.get("epsilon", 1e-5))

    def by_channel(values: Any) -> Tensor:
        v = as_tensor(values)
        v = mg.repeat(v, x.shape[1] // groups) if op.opset < 21 else v
        return mg.reshape(v, (1, -1, *[1] * (x.ndim - 2)))

    return y * by_channel(scale) + by_channel(bias)


def local_response_norm(op: Operator, x: Any) -> Any:
    how = op.get("alpha", 1e-4), op.get("beta", 0.75), op.get("bias", 1.0)
    if op.get("size") % 2 == 0:
        return mg.flip(functional.local_response_norm(mg.flip(x, 1), op.get("size"), *how), 1)
    return functional.local_response_norm(as_tensor(x), op.get("size"), *how)


def negative_log_likelihood(op: Operator, x: Any, classes: Any, weight: Any = None) -> Any:
    return functional.nll_loss(x, classes, **_loss(op, weight))


def _loss(op: Operator, weight: Any) -> dict[str, Any]:
    """What both losses are told."""
    ignored = op.get("ignore_index", -100)
    return {"weight": weight, "reduction": op.get("reduction", "mean"), "ignore_index": ignored}


def cross_entropy(op: Operator, scores: Any, classes: Any, weight: Any = None) -> Any:
    """The loss, and where they are asked for the logarithms of the probabilities."""
    scores = as_tensor(scores)
    loss = functional.cross_entropy(scores, classes, **_loss(op, weight))
    return loss if op.outputs == 1 else (loss, mg.log_softmax(scores, axis=1))


def einsum(op: Operator, *x: Any) -> Any:
    return mg.einsum(op.get("equation").replace(" ", ""), *x)


RULES: dict[str, Rule] = {
    "BatchNormalization": batch_normalization,
    "Einsum": einsum,
    "Gemm": gemm,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_norm,
    "LayerNormalization": layer_normalization,
    "MatMul": product,
    "NegativeLogLikelihoodLoss": negative_log_likelihood,
    "SoftmaxCrossEntropyLoss": cross_entropy,
}
"""By the operator's name."""
