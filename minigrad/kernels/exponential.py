"""e^x of vectors, for the arguments a softmax has: 0 and below.

x = n ln 2 + r with a whole n and |r| <= ln(2) / 2; e^r is Taylor's series, 2^n is put together from
its exponent's bits (Muller 2016, "Elementary Functions", chapter 11). Errors stay within two units
of the last place.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir

from minigrad.kernels.simd import VectorType, fused, intrinsic, primitive, suffix

__all__ = ["exp"]

# By the bits of a number: the degree whose next term is below its precision, the least x whose
# e^x is a normal number, the bits of the fraction, and ln 2 in two parts, the first with so few
# digits that its product with n is exact.
FORMATS = {
    32: (7, -87.3, 23, (0.693359375, -2.1219444005469057e-4)),
    64: (13, -708.3, 52, (0.693147180369123816490, 1.90821492927058770002e-10)),
}


def exp(v: np.ndarray) -> np.ndarray:
    """e^v where v <= 0, with 0 for what is below the normal numbers. NaN stays NaN."""
    with np.errstate(under="ignore"):
        return np.exp(v)


@primitive(exp, lambda v: v, VectorType)
def _(builder: ir.IRBuilder, kinds: tuple, values: tuple) -> ir.Value:
    (kind,), (x,) = kinds, values
    bits = kind.dtype.bitwidth
    degree, least, fraction, (high, low) = FORMATS[bits]
    integers = ir.VectorType(ir.IntType(bits), kind.lanes)

    def number(value: float) -> ir.Value:
        return ir.Constant(kind.llvm, [value] * kind.lanes)

    def whole(value: int) -> ir.Value:
        return ir.Constant(integers, [value] * kind.lanes)

    # Comparisons with NaN fail, so that it takes the way of the least x, and comes back at the end.
    normal = builder.fcmp_ordered(">", x, number(least))
    bounded = builder.select(normal, x, number(least))
    scaled = builder.fmul(bounded, number(1 / math.log(2)))
    n = intrinsic(builder, f"llvm.rint.{suffix(kind)}", kind.llvm, [scaled])
    r = fused(builder, kind, n, number(-high), bounded)
    r = fused(builder, kind, n, number(-low), r)
    y = number(1 / math.factorial(degree))
    for power in reversed(range(degree)):
        y = fused(builder, kind, y, r, number(1 / math.factorial(power)))
    exponent = builder.add(builder.fptosi(n, integers), whole((1 << (bits - fraction - 2)) - 1))
    y = builder.fmul(y, builder.bitcast(builder.shl(exponent, whole(fraction)), kind.llvm))
    y = builder.select(normal, y, number(0))
    return builder.select(builder.fcmp_unordered("uno", x, x), x, y)
