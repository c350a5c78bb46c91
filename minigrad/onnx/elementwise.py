"""How elementwise ops and reductions are written: one node of the same mathematics, or a few."""

from __future__ import annotations

import math
from collections.abc import Callable

from minigrad.onnx.model import RefusedError, Site
from minigrad.spec import FLOATING, bool_, int32, int64

# By the op's name: ONNX's operator of the same operands.
SAME = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin",
    "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh", "clone": "Identity", "cos": "Cos",
    "cosh": "Cosh", "det": "Det", "divide": "Div", "equal": "Equal", "erf": "Erf", "exp": "Exp",
    "log": "Log", "logical_and": "And", "logical_not": "Not", "logical_or": "Or",
    "logical_xor": "Xor", "matmul": "MatMul", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "power": "Pow", "relu": "Relu", "sigmoid": "Sigmoid",
    "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "subtract": "Sub",
    "tan": "Tan", "tanh": "Tanh", "where": "Where",
}  # fmt: skip
ROUNDING = {"ceil": "Ceil", "floor": "Floor", "round": "Round"}
ORDER = {
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
}
BITS = {
    "bitwise_and": ("And", "BitwiseAnd"),
    "bitwise_invert": ("Not", "BitwiseNot"),
    "bitwise_or": ("Or", "BitwiseOr"),
    "bitwise_xor": ("Xor", "BitwiseXor"),
}
REDUCTIONS = {
    "logsumexp": "ReduceLogSumExp",
    "max": "ReduceMax",
    "mean": "ReduceMean",
    "min": "ReduceMin",
    "prod": "ReduceProd",
    "sum": "ReduceSum",
}
TRUTH = {"all": "ReduceMin", "any": "ReduceMax"}


def same(site: Site) -> str:
    return str(site.add(SAME[site.op.name], *site.inputs))


def rounding(site: Site) -> str:
    """Whole numbers stay as they are; Round has no decimals, so these are multiplied away."""
    decimals = getattr(site.op, "decimals", 0)
    if decimals and site.dtype in FLOATING:
        factor = site.number(10.0 ** abs(decimals))
        there, back = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
        whole = site.add("Round", site.add(there, *site.inputs, factor))
        return str(site.add(back, whole, factor))
    if decimals < 0:
        raise RefusedError(f"Round has no decimals, here {decimals}")
    return str(
        site.add(ROUNDING[site.op.name] if site.dtype in FLOATING else "Identity", *site.inputs)
    )


def trunc(site: Site) -> str:
    (x,) = site.inputs
    if site.dtype not in FLOATING:
        return str(site.add("Identity", x))
    return str(site.add("Mul", site.add("Sign", x), site.add("Floor", site.add("Abs", x))))


def order(site: Site) -> str:
    """ONNX does not order booleans, so they are compared as integers."""
    given = [site.cast(x, int32) if site.dtype == bool_ else x for x in site.inputs]
    return str(site.add(ORDER[site.op.name], *given))


def not_equal(site: Site) -> str:
    return str(site.add("Not", site.add("Equal", *site.inputs)))


def bits(site: Site) -> str:
    logical, bitwise = BITS[site.op.name]
    return str(site.add(logical if site.dtype == bool_ else bitwise, *site.inputs))


def infinite(site: Site) -> str:
    """isnan, isinf and isfinite; ONNX asks only floating-point numbers."""
    x = site.inputs[0] if site.dtype in FLOATING else site.cast(site.inputs[0], "float32")
    if site.op.name != "isfinite":
        return str(site.add({"isnan": "IsNaN", "isinf": "IsInf"}[site.op.name], x))
    return str(site.add("Not", site.add("Or", site.add("IsNaN", x), site.add("IsInf", x))))


def remainder(site: Site) -> str:
    x, y = site.inputs
    if site.dtype not in FLOATING:
        zero = site.number(0)
        by_zero = site.add("Equal", y, zero)  # which ONNX does not define
        rest = site.add("Mod", x, site.add("Where", by_zero, site.number(1), y))
        return str(site.add("Where", by_zero, zero, rest))
    whole = site.add("Floor", site.add("Div", x, y))
    return str(site.add("Sub", x, site.add("Mul", whole, y)))


def scaled_log(base: float) -> Callable[[Site], str]:
    """The logarithm to another base."""

    def rule(site: Site) -> str:
        factor = site.number(1 / math.log(base))
        return str(site.add("Mul", site.add("Log", *site.inputs), factor))

    return rule


def exp2(site: Site) -> str:
    return str(site.add("Pow", site.number(2), *site.inputs))


def expm1(site: Site) -> str:
    return str(site.add("Sub", site.add("Exp", *site.inputs), site.number(1)))


def log1p(site: Site) -> str:
    return str(site.add("Log", site.add("Add", *site.inputs, site.number(1))))


def hypot(site: Site) -> str:
    squares = [site.add("Mul", x, x) for x in site.inputs]
    return str(site.add("Sqrt", site.add("Add", *squares)))


def logaddexp(site: Site) -> str:
    """max(x, y) + ln(1 + e^-|x - y|)."""
    apart = site.add("Neg", site.add("Abs", site.add("Sub", *site.inputs)))
    return str(site.add("Add", site.add("Max", *site.inputs), site.add("Softplus", apart)))


def gelu(site: Site) -> str:
    how = "tanh" if site.op.name == "gelu_tanh" else "none"
    return str(site.add("Gelu", *site.inputs, approximate=how))


def softplus(site: Site) -> str:
    """ln(1 + e^(β x)) / β, and x beyond the threshold where that shows."""
    (x,) = site.inputs
    beta, threshold = site.op.beta, site.op.threshold
    bent = x if beta == 1 else site.add("Mul", x, site.number(beta))
    y = site.add("Softplus", bent)
    y = y if beta == 1 else site.add("Div", y, site.number(beta))
    if threshold >= 20:
        return str(y)
    return str(site.add("Where", site.add("Greater", bent, site.number(threshold)), x, y))


def hardtanh(site: Site) -> str:
    return str(site.add("Clip", *site.inputs, site.number(site.op.low), site.number(site.op.high)))


def logistic_loss(site: Site) -> str:
    x, t = site.inputs
    return str(site.add("Sub", site.add("Softplus", x), site.add("Mul", t, x)))


def bernoulli_loss(site: Site) -> str:
    x, t = site.inputs
    one, bound = site.number(1), site.number(-100)
    by_no = site.add("Max", site.add("Log", site.add("Sub", one, x)), bound)
    by_yes = site.add("Max", site.add("Log", x), bound)
    left = site.add("Mul", site.add("Sub", t, one), by_no)
    return str(site.add("Sub", left, site.add("Mul", t, by_yes)))


def reduction(site: Site) -> str:
    """Sums and products are taken in the dtype of the result, booleans compared as integers."""
    (x,) = site.inputs
    compared = site.op.name in ("max", "min") and site.dtype.itemsize < 4
    dtype = int32 if compared else site.out_dtype
    x = x if dtype == site.dtype else site.cast(x, dtype)
    y = _reduced(site, REDUCTIONS[site.op.name], x)
    return site.cast(y, site.out_dtype) if dtype != site.out_dtype else y


def truth(site: Site) -> str:
    x = site.inputs[0] if site.dtype == bool_ else site.cast(site.inputs[0], bool_)
    return site.cast(_reduced(site, TRUTH[site.op.name], site.cast(x, int32)), bool_)


def _reduced(site: Site, kind: str, x: str) -> str:
    """No axes mean all of them to ONNX, unless told otherwise."""
    nothing = {} if site.op.axes else {"noop_with_empty_axes": 1}
    axes = site.integers(site.op.axes)
    return str(site.add(kind, x, axes, keepdims=int(site.op.keepdims), **nothing))


def arg_extremum(site: Site) -> str:
    (x,) = site.inputs
    kind = {"argmax": "ArgMax", "argmin": "ArgMin"}[site.op.name]
    x = site.cast(x, int32) if site.dtype == bool_ else x
    if site.op.axis is not None:
        return str(site.add(kind, x, axis=site.op.axis, keepdims=int(site.op.keepdims)))
    flat = site.reshape(x, (-1,))
    return site.reshape(site.add(kind, flat, axis=0, keepdims=0), site.out_shape)


def cumulative_sum(site: Site) -> str:
    (x,) = site.inputs
    x = x if site.dtype == site.out_dtype else site.cast(x, site.out_dtype)
    return str(site.add("CumSum", x, site.number(site.op.axis, int64)))


def shares(site: Site) -> str:
    kind = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[site.op.name]
    return str(site.add(kind, *site.inputs, axis=site.op.axis))


RULES: dict[str, Callable[[Site], str]] = {
    **dict.fromkeys(SAME, same),
    **dict.fromkeys(ROUNDING, rounding),
    **dict.fromkeys(ORDER, order),
    **dict.fromkeys(BITS, bits),
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(TRUTH, truth),
    **dict.fromkeys(("isfinite", "isinf", "isnan"), infinite),
    **dict.fromkeys(("argmax", "argmin"), arg_extremum),
    **dict.fromkeys(("log_softmax", "softmax"), shares),
    **dict.fromkeys(("gelu", "gelu_tanh"), gelu),
    "bernoulli_loss": bernoulli_loss,
    "cumulative_sum": cumulative_sum,
    "exp2": exp2,
    "expm1": expm1,
    "hardtanh": hardtanh,
    "hypot": hypot,
    "log10": scaled_log(10),
    "log1p": log1p,
    "log2": scaled_log(2),
    "logaddexp": logaddexp,
    "logistic_loss": logistic_loss,
    "not_equal": not_equal,
    "remainder": remainder,
    "softplus": softplus,
    "trunc": trunc,
}
