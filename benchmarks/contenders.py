"""Who is measured: minigrad, and PyTorch with either layout of memory.

Each turns a case into calls, one a pass, that do nothing but compute; and knows how to read a
result. A convolution's passes are timed alone at the kernels' own entries; forward and backward
together, and all other layers, by the public functions, whose names the two libraries share.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from benchmarks.exact import EPS, RESPONSE, Data
from benchmarks.shapes import CONVOLUTION, Case

__all__ = ["CONTENDERS", "Contender", "installed"]

Calls = dict[str, Callable[[], Any]]

OPERATIONS: dict[str, Callable[..., Any]] = {
    "relu": lambda F, case, x, w, b: F.relu(x),
    "max_pool": lambda F, case, x, w, b: F.max_pool2d(x, case.kernel, case.stride, case.padding),
    "avg_pool": lambda F, case, x, w, b: F.avg_pool2d(x, case.kernel, case.stride, case.padding),
    "adaptive_avg_pool": lambda F, case, x, w, b: F.adaptive_avg_pool2d(x, case.filters),
    "batch_norm": lambda F, case, x, w, b: F.batch_norm(
        x, None, None, w, b, training=True, eps=EPS
    ),
    "local_response_norm": lambda F, case, x, w, b: F.local_response_norm(x, *RESPONSE),
    CONVOLUTION: lambda F, case, x, w, b: F.conv2d(
        x, w, b, case.stride, case.padding, groups=case.groups
    ),
}
# Kinds with a weight and a bias, a number of each a channel.
AFFINE = {"batch_norm"}


class Contender(Protocol):
    """A library, set up for one process."""

    def calls(self, case: Case, data: Data) -> Calls:
        """By pass, the call to measure."""

    def array(self, result: Any) -> np.ndarray:
        """A result as an array."""

    def algorithm(self, case: Case) -> str | None:
        """How a convolution is computed, where the library tells."""

    def strict(self) -> AbstractContextManager[object]:
        """A mode that rounds less, where the library has one; to be entered at once."""


class Minigrad:
    """Arrays are channels-last in memory, as everywhere in minigrad."""

    def __init__(self, threads: int) -> None:
        import minigrad

        self.library = minigrad
        self.kernels = importlib.import_module("minigrad.kernels.convolution")
        minigrad.set_num_threads(threads)

    def calls(self, case: Case, data: Data) -> Calls:
        mg, F = self.library, self.library.nn.functional
        arrays = Data(_deep(data.x), data.weight, data.bias, _deep(data.grad))
        x, w, b, g = (mg.asarray(array) for array in arrays)

        def forward() -> Any:
            with mg.no_grad():
                return OPERATIONS[case.kind](F, case, x, w, _bias(case, b))

        operation, inputs = _recorded(case, F, *(t.detach() for t in (x, w, b)))
        calls: Calls = {"forward": forward, "both": lambda: mg.grad(operation(), inputs, g)}
        if case.kind == CONVOLUTION:
            calls.update(self._kernel_calls(case, arrays))
        return calls

    def _kernel_calls(self, case: Case, data: Data) -> Calls:
        x, weight, bias, grad = data
        geometry = _geometry(case)
        given = bias if case.bias else None
        return {
            "forward": lambda: self.kernels.convolve(x, weight, given, case.out_size, *geometry),
            "input": lambda: self.kernels.convolve_input_grad(
                grad, weight, case.shape[2:], *geometry
            ),
            "weight": lambda: self.kernels.convolve_weight_grad(
                x, grad, weight.shape[2:], *geometry
            ),
        }

    def array(self, result: Any) -> np.ndarray:
        return result if isinstance(result, np.ndarray) else np.asarray(result.detach().numpy())

    def algorithm(self, case: Case) -> str | None:
        if case.kind != CONVOLUTION:
            return None
        shapes = case.shape, case.weight_shape, case.out_size
        return str(self.kernels.algorithms(*shapes, *_geometry(case)))

    def strict(self) -> AbstractContextManager[object]:
        mode: AbstractContextManager[object] = self.library.precision("strict")
        return mode


class PyTorch:
    """PyTorch, with the memory of activations and filters in the order given."""

    def __init__(self, threads: int, layout: str) -> None:
        self.library = importlib.import_module("torch")
        self.layout = getattr(self.library, layout)
        self.library.set_num_threads(threads)

    def calls(self, case: Case, data: Data) -> Calls:
        torch, F = self.library, self.library.nn.functional
        x, w, b, g = (self._tensor(array) for array in data)

        def forward() -> Any:
            with torch.no_grad():
                return OPERATIONS[case.kind](F, case, x, w, _bias(case, b))

        operation, inputs = _recorded(case, F, *(t.detach() for t in (x, w, b)))
        calls: Calls = {
            "forward": forward,
            "both": lambda: torch.autograd.grad(operation(), inputs, g),
        }
        if case.kind == CONVOLUTION:
            calls["input"] = lambda: self._backward(case, x, w, g, (True, False, False))[0]
            calls["weight"] = lambda: self._backward(case, x, w, g, (False, True, False))[1]
        return calls

    def _tensor(self, array: np.ndarray) -> Any:
        tensor = self.library.from_numpy(array)
        return tensor.to(memory_format=self.layout) if tensor.ndim == 4 else tensor

    def _backward(self, case: Case, x: Any, w: Any, g: Any, mask: tuple[bool, ...]) -> Any:
        two = [case.stride] * 2, [case.padding] * 2, [1, 1]
        return self.library.ops.aten.convolution_backward(
            g, x, w, None, *two, False, [0, 0], case.groups, mask
        )

    def array(self, result: Any) -> np.ndarray:
        return np.asarray(result.numpy())

    def algorithm(self, case: Case) -> str | None:
        return None

    def strict(self) -> AbstractContextManager[object]:
        return nullcontext()


def _recorded(case: Case, F: Any, x: Any, w: Any, b: Any) -> tuple[Callable[[], Any], list[Any]]:
    """The recorded operation, and the inputs whose gradients it needs: of both libraries."""
    inputs = [] if case.first else [x]
    inputs += [w] if case.kind == CONVOLUTION or case.kind in AFFINE else []
    inputs += [b] if case.bias or case.kind in AFFINE else []
    for tensor in inputs:
        tensor.requires_grad = True
    return lambda: OPERATIONS[case.kind](F, case, x, w, _bias(case, b)), inputs


def _bias(case: Case, b: Any) -> Any:
    return b if case.bias or case.kind in AFFINE else None


def _geometry(case: Case) -> tuple[Any, ...]:
    """Stride, padding, dilation and groups as the kernels take them."""
    return (case.stride,) * 2, ((case.padding,) * 2,) * 2, (1, 1), case.groups


def _deep(x: np.ndarray) -> np.ndarray:
    """The same array (N, C, H, W), its memory channels-last."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


CONTENDERS: dict[str, Callable[[int], Contender]] = {
    "minigrad": Minigrad,
    "PyTorch NCHW": lambda threads: PyTorch(threads, "contiguous_format"),
    "PyTorch channels-last": lambda threads: PyTorch(threads, "channels_last"),
}


def installed() -> list[str]:
    """The contenders that can run here."""
    return [name for name in CONTENDERS if name == "minigrad" or find_spec("torch")]
