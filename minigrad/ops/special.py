"""The error function, GELU, which is made of it, and the softplus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.op import Call
from minigrad.ops.activation import sigmoid, tanh
from minigrad.ops.elementwise import Elementwise, exp, unary, where
from minigrad.ops.extrema import clip
from minigrad.ops.number import as_number
from minigrad.tensor import Array, Operand, Tensor

__all__ = ["erf", "gelu", "softplus"]

# Rational approximations of Cody 1969 (Math. Comp. 23, 631-637): numerator and denominator,
# highest power first, of erf(x) / x in x² up to 0.46875 and of erfc(x) e^(x²) in x beyond.
NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)  # fmt: skip
FAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3),
)  # fmt: skip


def _rational(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    """Numerator over denominator by Horner's rule, in the dtype of x."""
    over, under = (np.full_like(x, first) for first, *_ in coefficients)
    for a, b in zip(coefficients[0][1:], coefficients[1][1:], strict=True):
        over *= x
        over += x.dtype.type(a)
        under *= x
        under += x.dtype.type(b)
    return np.divide(over, under, out=over)


def _erf(x: Array) -> Array:
    """erf to a few units in the last place. Beyond 6 it is 1 in float64 too."""
    size = np.minimum(np.abs(x), x.dtype.type(6))
    near = size <= 0.46875
    small = np.where(near, x, x.dtype.type(0))
    tail = np.exp(-size * size) * _rational(FAR, size)
    return np.where(near, small * _rational(NEAR, small * small), np.copysign(1 - tail, x))


class Erf(Elementwise):
    """y = 2 / sqrt(π) ∫₀ˣ e^(-t²) dt.  dy/dx = 2 / sqrt(π) e^(-x²)
    (Abramowitz and Stegun 1964, section 7.1)."""

    name = "erf"
    floating_only = True
    reads_inputs = ((0,),)
    flops = 40

    def forward(self, x: Array) -> Array:
        return _erf(x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        return cotangent * exp(-(x * x)) * (2 / math.sqrt(math.pi))


def erf(x: Operand) -> Tensor:
    """The error function, element by element, to about 1e-16 in float64 and 1e-7 in float32."""
    return unary(Erf(), x)


def _normal_share(x: Array) -> Array:
    """Φ(x), the normal distribution up to x."""
    share = _erf(x * x.dtype.type(math.sqrt(0.5)))
    share += 1
    share *= x.dtype.type(0.5)
    return share


class GELU(Elementwise):
    """y = x Φ(x), where Φ is the normal distribution, (1 + erf(x / sqrt(2))) / 2.
    dy/dx = Φ(x) + x e^(-x²/2) / sqrt(2π)  (Hendrycks and Gimpel 2016, equation 1)."""

    name = "gelu"
    floating_only = True
    reads_inputs = ((0,),)
    flops = 44

    def forward(self, x: Array) -> Array:
        return np.asarray(_normal_share(x) * x)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        (x,) = call.inputs
        share = 0.5 * (1 + erf(x * math.sqrt(0.5)))
        return cotangent * (share + x * exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi))


class TanhGELU(Elementwise):
    """y = x (1 + t) / 2 with t = tanh(k (x + c x³)), k = sqrt(2/π), c = 0.044715.
    dy/dx = (1 + t) / 2 + x (1 - t²) k (1 + 3 c x²) / 2  (Hendrycks and Gimpel 2016, section 2).
    From |x| = 10 on t is ±1 in float64 too, so x stands still there and x³ does not overflow."""

    name = "gelu_tanh"
    floating_only = True
    reads_inputs = ((0,),)
    flops = 10
    slope = math.sqrt(2 / math.pi)
    cubic = 0.044715

    def forward(self, x: Array) -> Array:
        bounded = np.clip(x, -10, 10)
        t = np.tanh(self.slope * (bounded + self.cubic * bounded * bounded * bounded))
        return np.asarray(x * (0.5 * (1 + t)), x.dtype)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        x = clip(call.inputs[0], -10, 10)
        square = x * x
        t = tanh(self.slope * (x + self.cubic * square * x))
        steep = self.slope * (1 + 3 * self.cubic * square)
        return cotangent * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * steep)


def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x Φ(x), where Φ is the normal distribution, element by element; with `approximate` "tanh"
    the approximation by a hyperbolic tangent (Hendrycks and Gimpel 2016)."""
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate takes 'none' or 'tanh', got {approximate!r}")
    return unary(GELU() if approximate == "none" else TanhGELU(), x)


@dataclass(frozen=True)
class Softplus(Elementwise):
    """y = ln(1 + e^(βx)) / β, and x where βx is above the threshold.  dy/dx = σ(βx), where σ is
    the sigmoid, and 1 above the threshold (Glorot et al. 2011, section 3)."""

    name = "softplus"
    floating_only = True
    reads_inputs = ((0,),)
    flops = 6
    beta: float
    threshold: float

    def forward(self, x: Array) -> Array:
        scaled = x * x.dtype.type(self.beta)
        curve = np.logaddexp(scaled, x.dtype.type(0)) / x.dtype.type(self.beta)
        return np.where(scaled > self.threshold, x, curve)

    def vjp(self, call: Call, cotangent: Tensor) -> Tensor:
        scaled = call.inputs[0] * self.beta
        return where(scaled > self.threshold, cotangent, cotangent * sigmoid(scaled))


def softplus(x: Operand, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(βx)) / β, element by element, and x itself where βx > threshold; no overflow.

    Raises ArgumentError where beta is 0 or not a number.
    """
    steepness = as_number("softplus", "beta", beta)
    if steepness == 0:
        raise ArgumentError("softplus: beta takes a number other than 0, got 0")
    return unary(Softplus(steepness, as_number("softplus", "threshold", threshold)), x)
