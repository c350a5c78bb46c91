"""NumPy's own functions on tensors: `np.sin(x)`, `np.sum(x, axis=1)`, `np.concatenate([x, y])`.

They come here through NumPy's protocols (NEP 13 and NEP 18) and go to the op of the same meaning,
so that they return tensors and differentiate. What has no such op is an error that names it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.ops import triangle
from minigrad.ops.movement import permute_dims
from minigrad.tensor import Operand, Tensor, as_tensor, asarray

OTHER_NAMES = {
    "amax": "max",
    "amin": "min",
    "around": "round",
    "concatenate": "concat",
    "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum",
    "fabs": "abs",
    "mod": "remainder",
    "rint": "round",
    "ravel": "flatten",
    "true_divide": "divide",
}
"""NumPy's name, where it is not ours."""


def transpose(x: Operand, axes: Sequence[int] | None = None) -> Tensor:
    """NumPy's transpose: without axes in reverse order."""
    return permute_dims(x, range(as_tensor(x).ndim)[::-1] if axes is None else axes)


def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """NumPy's diagonal: of the first two axes."""
    return triangle.diagonal(x, offset, axis1, axis2)


def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """NumPy's trace: of the first two axes."""
    return triangle.trace(x, offset, axis1, axis2)


OTHER_DEFAULTS: dict[Any, Callable[..., Any]] = {
    np.diagonal: diagonal,
    np.trace: trace,
    np.transpose: transpose,
}
"""NumPy's functions whose defaults differ from ours."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""NumPy's functions that have one of ours behind them; `register` fills it."""

QUERIES = frozenset(
    {
        np.allclose,
        np.array2string,
        np.array_equal,
        np.array_repr,
        np.array_str,
        np.isclose,
        np.ndim,
        np.shape,
        np.size,
    }
)
"""Functions that only ask: their answers are no arrays to differentiate, so NumPy gives them."""


def register(ours: Mapping[str, Any]) -> None:
    """Enter ours, by name, behind NumPy's functions of the same meaning."""
    names = {name: name for name in ours} | OTHER_NAMES
    for theirs, name in names.items():
        for function in (getattr(np, theirs, None), getattr(np.linalg, theirs, None)):
            if callable(function) and name in ours and not isinstance(function, type):
                FUNCTIONS[function] = ours[name]
    FUNCTIONS.update(OTHER_DEFAULTS)


def array_ufunc(tensor: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """np.add(x, y) and its like; `tensor` is the operand that was asked (NEP 13)."""
    if method != "__call__":
        raise ArgumentError(
            f"numpy.{ufunc.__name__}.{method}: of NumPy's elementwise functions only plain calls "
            "work on tensors; use minigrad.sum and the like, or x.detach().numpy()"
        )
    # NumPy hands its numbers over as 0-d arrays; to a tensor they are numbers.
    plain = [x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs]
    return _call(ufunc, plain, kwargs)


def array_function(tensor: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """np.sum(x, axis=1) and its like (NEP 18)."""
    if function in QUERIES:
        return function(*_plain(args), **_plain(kwargs))
    return _call(function, args, kwargs)


def _call(function: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    name = f"numpy.{function.__name__}"
    ours = FUNCTIONS.get(function)
    if ours is None:
        raise ArgumentError(
            f"{name} has no differentiable counterpart in minigrad; take x.detach().numpy() to "
            "leave the record on purpose"
        )
    if kwargs.get("out") is not None:
        raise ArgumentError(f"{name}: out= would change an array in place; use the result")
    signature = inspect.signature(ours)
    try:
        bound = signature.bind(*args, **{k: v for k, v in kwargs.items() if k != "out"})
    except TypeError as error:
        raise ArgumentError(
            f"{name} on a tensor takes the arguments of minigrad.{ours.__name__}{signature}: "
            f"{error}"
        ) from None
    return ours(*bound.args, **bound.kwargs)


def _plain(value: Any) -> Any:
    """Arguments with arrays for the tensors in them."""
    if isinstance(value, Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(item) for item in value])
    return value


def dlpack(
    tensor: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """The values as a DLPack capsule; shared where the consumer knows of read-only memory."""
    array = tensor.numpy()
    if copy or max_version is None or max_version < (1, 0):
        return array.copy().__dlpack__()
    return array.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)


def dlpack_device(tensor: Tensor) -> tuple[int, int]:
    """The device of the values: the CPU."""
    return tensor.detach().numpy().__dlpack_device__()


def from_dlpack(x: Any) -> Tensor:
    """A tensor that shares the memory of another library's array, where that is on the CPU."""
    try:
        return asarray(np.from_dlpack(x))
    except (AttributeError, BufferError, TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"from_dlpack: {type(x).__name__} cannot be shared: {error}") from None
