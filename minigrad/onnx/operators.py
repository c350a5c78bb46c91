"""What ONNX's operators are in minigrad: a table from operator to the function that calls the ops.

Here stand those that are an op of the same operands; the others are in the files of their families.
"""

from __future__ import annotations

import minigrad.ops.arrays as mg
from minigrad.onnx import (
    control_operators,
    creating_operators,
    elementwise_operators,
    fourier_operators,
    indexing_operators,
    movement_operators,
    normalization_operators,
    quantized_operators,
    recurrent_operators,
    reduction_operators,
    resize_operators,
    sampling_operators,
    window_operators,
)
from minigrad.onnx.operator import Rule, plain
from minigrad.ops.determinants import det
from minigrad.ops.special import erf
from minigrad.tensor import as_tensor

RULES: dict[str, Rule] = {
    "Abs": plain(mg.abs), "Acos": plain(mg.acos), "Acosh": plain(mg.acosh), "Add": plain(mg.add),
    "And": plain(mg.logical_and), "Asin": plain(mg.asin), "Asinh": plain(mg.asinh),
    "Atan": plain(mg.atan), "Atanh": plain(mg.atanh), "BitwiseAnd": plain(mg.bitwise_and),
    "BitwiseNot": plain(mg.bitwise_invert), "BitwiseOr": plain(mg.bitwise_or),
    "BitwiseXor": plain(mg.bitwise_xor), "Ceil": plain(mg.ceil), "Cos": plain(mg.cos),
    "Cosh": plain(mg.cosh), "Det": plain(det), "Equal": plain(mg.equal), "Erf": plain(erf),
    "Exp": plain(mg.exp), "Floor": plain(mg.floor), "Greater": plain(mg.greater),
    "GreaterOrEqual": plain(mg.greater_equal), "Identity": plain(as_tensor),
    "IsNaN": plain(mg.isnan), "Less": plain(mg.less), "LessOrEqual": plain(mg.less_equal),
    "Log": plain(mg.log), "Mul": plain(mg.multiply), "Neg": plain(mg.negative),
    "Not": plain(mg.logical_not), "Or": plain(mg.logical_or), "Round": plain(mg.round),
    "Sign": plain(mg.sign), "Sin": plain(mg.sin), "Sinh": plain(mg.sinh), "Sqrt": plain(mg.sqrt),
    "Sub": plain(mg.subtract), "Tan": plain(mg.tan), "Tanh": plain(mg.tanh),
    "Where": plain(mg.where), "Xor": plain(mg.logical_xor),
    **control_operators.RULES,
    **creating_operators.RULES,
    **elementwise_operators.RULES,
    **fourier_operators.RULES,
    **indexing_operators.RULES,
    **movement_operators.RULES,
    **normalization_operators.RULES,
    **quantized_operators.RULES,
    **recurrent_operators.RULES,
    **reduction_operators.RULES,
    **resize_operators.RULES,
    **sampling_operators.RULES,
    **window_operators.RULES,
}  # fmt: skip
"""By the operator's name in ONNX's default domain."""
