"""`backward` and `grad`: from tensors that were computed, down the record.

Both check what they start from and leave the rest to `tape.sweep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError, GradientError
from minigrad.tensor import Tensor, alias, asarray, constant, value_of, wrap


def backward(
    self: Tensor,
    grad: Tensor | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> None:
    """Add the gradient of this tensor to `grad` of every leaf it depends on.

    `grad`, of this tensor's spec, is the cotangent to start from; a tensor of one element
    starts from 1. With `create_graph` the gradients are recorded and can be differentiated
    again. The saved arrays are released unless `retain_graph` (by default `create_graph`).
    Raises GradientError or FreedGraphError.
    """
    root = _root("backward", self, grad)
    retain = create_graph if retain_graph is None else retain_graph
    with tape.Recording(create_graph):
        for (node, index), gradient in tape.sweep([root], None, wrap, retain).items():
            leaf = node.receivers[index]() if node.receivers else None
            if leaf is not None and leaf._node is node and leaf._requires_grad:
                earlier = leaf._grad
                # A tensor of its own: two leaves may have received the same cotangent.
                leaf._grad = alias(gradient) if earlier is None else earlier + gradient


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of the sum of `outputs` by each of `inputs`, without touching any `.grad`.

    `grad_outputs` are the cotangents to start from, one an output. Only the part of the record
    between inputs and outputs is walked; for `create_graph` and `retain_graph` see `backward`.
    Raises GradientError where an output does not depend on an input, unless `allow_unused`, which
    gives None for it, and FreedGraphError.
    """
    outs, ins = _listed("outputs", outputs), _listed("inputs", inputs)
    cotangents: list[Tensor | None] = [None] * len(outs)
    if grad_outputs is not None:
        cotangents = _listed("grad_outputs", grad_outputs)
    if len(cotangents) != len(outs):
        raise ArgumentError(f"grad: {len(cotangents)} grad_outputs for {len(outs)} outputs")
    for i, x in enumerate(ins):
        if not isinstance(x, Tensor) or not x._requires_grad:
            raise GradientError(f"grad: input {i} does not require a gradient")
    roots = [_root("grad", out, ct) for out, ct in zip(outs, cotangents, strict=True)]
    values = [value_of(x) for x in ins]
    retain = create_graph if retain_graph is None else retain_graph
    with tape.Recording(create_graph):
        found = tape.sweep(roots, set(values), wrap, retain)
    gradients = [found.get(value) for value in values]
    unused = [i for i, gradient in enumerate(gradients) if gradient is None]
    if unused and not allow_unused:
        raise GradientError(
            f"grad: the outputs do not depend on input {unused[0]} (of shape "
            f"{ins[unused[0]].shape}); pass allow_unused=True to get None for it"
        )
    return tuple(gradients)


def _listed(argument: str, tensors: Any) -> list[Any]:
    try:
        return [tensors] if isinstance(tensors, Tensor) else list(tensors)
    except TypeError:
        got = type(tensors).__name__
        raise ArgumentError(f"grad: {argument} takes one or several tensors, got {got}") from None


def _root(who: str, output: Tensor, cotangent: Tensor | None) -> tuple[tape.Value, Tensor]:
    """An output and the cotangent that the sweep starts from, both checked."""
    if not isinstance(output, Tensor):
        raise ArgumentError(f"{who}: takes a tensor, got {type(output).__name__}")
    if not output._requires_grad:
        raise GradientError(
            f"{who}: this tensor of shape {output.shape} does not depend on anything that "
            "requires a gradient (or was computed within no_grad)"
        )
    if cotangent is None:
        if output.size != 1:
            raise GradientError(
                f"{who}: a tensor of shape {output.shape} has no single gradient; reduce it to "
                "one element, or pass the cotangent to start from, of the same shape"
            )
        return value_of(output), constant(np.ones(output.shape, output.dtype))
    cotangent = asarray(cotangent)
    if cotangent.spec != output.spec:
        raise GradientError(
            f"{who}: the cotangent must be {output.spec} as its output, got {cotangent.spec}"
        )
    return value_of(output), cotangent
