"""minigrad: a small automatic-differentiation engine that trains convolutional networks on a CPU.

    import minigrad as mg
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad  # tensor([2., 4., 6.])

Arrays follow the Python array API standard, networks (`nn`, `optim`) follow PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minigrad import constants as _constants
from minigrad import creation as _creation
from minigrad import dtypes as _dtypes
from minigrad import errors
from minigrad import sampling as _sampling
from minigrad.constants import *
from minigrad.creation import *
from minigrad.dtypes import *
from minigrad.gradients import grad
from minigrad.kernels.buffers import memory_stats, release_memory
from minigrad.kernels.precision import get_precision, precision
from minigrad.ops import arrays as _arrays
from minigrad.ops.arrays import *
from minigrad.random import get_rng_state, manual_seed, set_rng_state
from minigrad.sampling import *
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
from minigrad.tensor import Tensor, asarray, tensor
from minigrad.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    import minigrad.models as models
    import minigrad.testing as testing
    from minigrad import data, linalg, nn, onnx, optim
    from minigrad.anomaly import detect_anomaly
    from minigrad.checking import GradcheckReport, gradcheck
    from minigrad.function import Function
    from minigrad.graph import Graph, Profile, Summary, graph_of, profile, summary, trace
    from minigrad.ops.protocol import from_dlpack
    from minigrad.serialization import load, save
    from minigrad.transforms import checkpoint, hessian, hvp, jacobian, jvp, vjp

__version__ = "0.1.0"

__all__ = [
    "Function",
    "GradcheckReport",
    "Graph",
    "Profile",
    "Spec",
    "Summary",
    "Tensor",
    "asarray",
    "bool_",
    "checkpoint",
    "data",
    "detect_anomaly",
    "enable_grad",
    "errors",
    "float32",
    "float64",
    "from_dlpack",
    "get_num_threads",
    "get_precision",
    "get_rng_state",
    "grad",
    "gradcheck",
    "graph_of",
    "hessian",
    "hvp",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "linalg",
    "load",
    "manual_seed",
    "memory_stats",
    "models",
    "nn",
    "no_grad",
    "onnx",
    "optim",
    "precision",
    "profile",
    "release_memory",
    "save",
    "set_num_threads",
    "set_rng_state",
    "summary",
    "tensor",
    "testing",
    "trace",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "vjp",
]
# The functions of arrays say their names in the files of their families.
__all__ += [*_constants.__all__, *_creation.__all__, *_dtypes.__all__, *_sampling.__all__]
__all__ += [name for name in vars(_arrays) if not name.startswith("_")]

# What not every program uses is imported when it is first named.
_MODULES = ("data", "linalg", "models", "nn", "onnx", "optim", "testing")
_MEMBERS = {
    "Function": "minigrad.function",
    "Graph": "minigrad.graph",
    "Profile": "minigrad.graph",
    "Summary": "minigrad.graph",
    "checkpoint": "minigrad.transforms",
    "detect_anomaly": "minigrad.anomaly",
    "GradcheckReport": "minigrad.checking",
    "from_dlpack": "minigrad.ops.protocol",
    "gradcheck": "minigrad.checking",
    "graph_of": "minigrad.graph",
    "hessian": "minigrad.transforms",
    "hvp": "minigrad.transforms",
    "jacobian": "minigrad.transforms",
    "jvp": "minigrad.transforms",
    "load": "minigrad.serialization",
    "profile": "minigrad.graph",
    "save": "minigrad.serialization",
    "summary": "minigrad.graph",
    "trace": "minigrad.graph",
    "vjp": "minigrad.transforms",
}


if not TYPE_CHECKING:  # to a type checker it would mean that every name exists

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"minigrad.{name}")
        if name in _MEMBERS:
            return getattr(import_module(_MEMBERS[name]), name)
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
