"""minigrad: a small automatic-differentiation engine that trains convolutional networks on a CPU.

    import minigrad as mg
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad  # tensor([2., 4., 6.])

Arrays follow the Python array API standard, networks (`nn`, `optim`) follow PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minigrad import errors
from minigrad.creation import (
    arange,
    eye,
    full,
    linspace,
    ones,
    ones_like,
    rand,
    randn,
    zeros,
    zeros_like,
)
from minigrad.ops import (
    abs,
    add,
    argmax,
    astype,
    broadcast_to,
    clone,
    concat,
    divide,
    equal,
    exp,
    expand,
    flatten,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log_softmax,
    logical_and,
    logical_not,
    logical_or,
    matmul,
    matrix_transpose,
    max,
    mean,
    multiply,
    negative,
    not_equal,
    permute_dims,
    power,
    relu,
    reshape,
    sigmoid,
    sqrt,
    subtract,
    sum,
    tanh,
    where,
)
from minigrad.random import get_rng_state, manual_seed, set_rng_state
from minigrad.spec import (
    Spec,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from minigrad.tape import enable_grad, is_grad_enabled, no_grad
from minigrad.tensor import Tensor, asarray, grad, tensor
from minigrad.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    import minigrad.models as models
    from minigrad import data, nn, optim
    from minigrad.serialization import load, save

__version__ = "0.1.0"

__all__ = [
    "Spec",
    "Tensor",
    "abs",
    "add",
    "arange",
    "argmax",
    "asarray",
    "astype",
    "bool_",
    "broadcast_to",
    "clone",
    "concat",
    "data",
    "divide",
    "enable_grad",
    "equal",
    "errors",
    "exp",
    "expand",
    "eye",
    "flatten",
    "float32",
    "float64",
    "full",
    "get_num_threads",
    "get_rng_state",
    "grad",
    "greater",
    "greater_equal",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "less",
    "less_equal",
    "linspace",
    "load",
    "log",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "manual_seed",
    "matmul",
    "matrix_transpose",
    "max",
    "mean",
    "models",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "not_equal",
    "ones",
    "ones_like",
    "optim",
    "permute_dims",
    "power",
    "rand",
    "randn",
    "relu",
    "reshape",
    "save",
    "set_num_threads",
    "set_rng_state",
    "sigmoid",
    "sqrt",
    "subtract",
    "sum",
    "tanh",
    "tensor",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "where",
    "zeros",
    "zeros_like",
]

# What not every program uses is imported when it is first named.
_MODULES = ("data", "models", "nn", "optim")
_MEMBERS = {"load": "minigrad.serialization", "save": "minigrad.serialization"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"minigrad.{name}")
    if name in _MEMBERS:
        return getattr(import_module(_MEMBERS[name]), name)
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
