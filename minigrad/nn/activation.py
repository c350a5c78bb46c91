"""Activations as modules; what each computes is said at its function in `functional`.

`inplace` is taken and printed as PyTorch's; recorded values never change, so it has no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minigrad.nn import functional
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.spec import as_integer
from minigrad.tensor import Tensor

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
]


class Activation(Module):
    """A function of `functional` with the arguments that `settings` names, all printed."""

    function: ClassVar[Callable[..., Tensor]]
    settings: ClassVar[tuple[str, ...]] = ()

    def forward(self, input: Tensor) -> Tensor:
        arguments = {name: getattr(self, name) for name in self.settings}
        return type(self).function(input, **arguments)

    def extra_repr(self) -> str:
        printed = [f"{name}={getattr(self, name)!r}" for name in self.settings]
        return ", ".join(printed + ["inplace=True"] * getattr(self, "inplace", False))


class InplaceActivation(Activation):
    """An activation that takes nothing but `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class AlongAxis(Activation):
    """An activation along the axis `dim`."""

    settings = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class Sigmoid(Activation):
    """1 / (1 + e^-x), element by element."""

    function = staticmethod(functional.sigmoid)


class Tanh(Activation):
    """The hyperbolic tangent, element by element."""

    function = staticmethod(functional.tanh)


class Softsign(Activation):
    """x / (1 + |x|), element by element."""

    function = staticmethod(functional.softsign)


class LogSigmoid(Activation):
    """ln σ(x), element by element, where σ is the sigmoid."""

    function = staticmethod(functional.logsigmoid)


class ReLU(InplaceActivation):
    """max(x, 0), element by element."""

    function = staticmethod(functional.relu)


class ReLU6(InplaceActivation):
    """min(max(x, 0), 6), element by element."""

    function = staticmethod(functional.relu6)


class SELU(InplaceActivation):
    """λ x where x > 0, else λ α (e^x - 1), element by element."""

    function = staticmethod(functional.selu)


class SiLU(InplaceActivation):
    """x σ(x), element by element, where σ is the sigmoid."""

    function = staticmethod(functional.silu)


class Mish(InplaceActivation):
    """x tanh(ln(1 + e^x)), element by element."""

    function = staticmethod(functional.mish)


class Hardswish(InplaceActivation):
    """x min(max(x + 3, 0), 6) / 6, element by element."""

    function = staticmethod(functional.hardswish)

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(InplaceActivation):
    """min(max(x + 3, 0), 6) / 6, element by element."""

    function = staticmethod(functional.hardsigmoid)

    def extra_repr(self) -> str:
        return ""


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope · x, element by element."""

    function = staticmethod(functional.leaky_relu)
    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace


class ELU(Activation):
    """x where x > 0, else alpha (e^x - 1), element by element."""

    function = staticmethod(functional.elu)
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace


class CELU(ELU):
    """x where x > 0, else alpha (e^(x / alpha) - 1), element by element."""

    function = staticmethod(functional.celu)


class GELU(Activation):
    """x Φ(x), element by element, where Φ is the normal distribution."""

    function = staticmethod(functional.gelu)
    settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate


class Softplus(Activation):
    """ln(1 + e^(beta x)) / beta, element by element, and x where beta x > threshold."""

    function = staticmethod(functional.softplus)
    settings = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold


class Hardtanh(Activation):
    """min(max(x, min_val), max_val), element by element."""

    function = staticmethod(functional.hardtanh)
    settings = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace


class Softmax(AlongAxis):
    """e^x / Σ e^x along the axis `dim`."""

    function = staticmethod(functional.softmax)


class Softmin(AlongAxis):
    """The softmax of -x along the axis `dim`."""

    function = staticmethod(functional.softmin)


class LogSoftmax(AlongAxis):
    """The logarithm of the softmax along the axis `dim`."""

    function = staticmethod(functional.log_softmax)


class GLU(AlongAxis):
    """a σ(b) of the two halves a and b of the input along the axis `dim`."""

    function = staticmethod(functional.glu)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim)


class PReLU(Module):
    """x where x > 0, else w x with a learned `weight` of shape (num_parameters,): one for all, or
    one a channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = as_integer("PReLU", "num_parameters", num_parameters)
        self.weight = Parameter(np.full(self.num_parameters, init), dtype=dtype or "float32")

    def forward(self, input: Tensor) -> Tensor:
        return functional.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
