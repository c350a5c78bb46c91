"""How a convolution, or a gradient of one, is computed: by which of the kernels' algorithms."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad import kernels
from minigrad.op import Op
from minigrad.ops.convolution import Convolution, Spread, WeightGrad
from minigrad.spec import Spec


def algorithm(op: Op, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str:
    """The name of the algorithm, at the present precision; "" for what is no convolution."""
    if not isinstance(op, Convolution):
        return ""
    x, weight, y = _roles(op, inputs, outputs)
    stride, padding, dilation, groups = op.geometry
    return kernels.convolution.algorithms(
        x.shape, weight.shape, y.shape[2:], stride, padding, dilation, groups, x.dtype
    )


def _roles(op: Convolution, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> tuple[Spec, ...]:
    """Input, weight and output of the convolution that an op is, or is a gradient of."""
    if isinstance(op, Spread):
        return outputs[0], inputs[1], inputs[0]
    if isinstance(op, WeightGrad):
        return inputs[0], outputs[0], inputs[1]
    return inputs[0], inputs[1], outputs[0]
