"""What is checked, as a function of arrays: a user's function or module with its inputs.

The module and the inputs are copied to float64 once; every evaluation starts from the same random
state and the same buffers, so that dropout and running statistics repeat themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError, DtypeError
from minigrad.gradients import grad
from minigrad.nn.module import Module
from minigrad.random import get_rng_state, set_rng_state
from minigrad.spec import FLOATING, float32
from minigrad.tensor import Array, Tensor, constant, tensor, value_of

Nested = Any
"""An argument, or what stands for it."""


class Problem:
    """The function under test, of a flat list of float64 arrays.

    `names` and `point` are the names and values of all that is differentiated by. `values` gives
    the floating-point outputs, `gradients` the analytic vector-Jacobian products. `joined` are the
    places in `point` of what holds samples along axis 0: of the first `batched` arguments.
    """

    names: list[str]
    point: list[Array]
    joined: frozenset[int] = frozenset()
    records = True
    """Whether `values` records: only a function that takes gradients itself needs that."""

    def __init__(
        self, function: Callable[..., Any], inputs: Sequence[Any], batched: int = 0
    ) -> None:
        if not callable(function) or isinstance(function, type):
            raise ArgumentError(
                f"gradcheck: takes a function or a module that was constructed, got {function!r}"
            )
        self.random_state = get_rng_state()
        self.names, self.point = [], []
        self._arguments = []
        for i, value in enumerate(inputs):
            first = len(self.point)
            self._arguments.append(self._plan(value, f"input {i}", i < batched))
            if i < batched:
                self.joined |= frozenset(range(first, len(self.point)))
        self._parameters: list[Tensor] = []
        self._function = function
        self._buffers: list[tuple[Module, str, Tensor]] = []
        if isinstance(function, Module):
            self._function = self._copy_of(function)
        if not self.names:
            raise ArgumentError(
                "gradcheck: nothing to differentiate by: no input is a floating-point tensor or "
                "array, and there are no parameters"
            )

    def _plan(self, value: Any, name: str, joined: bool) -> Nested:
        """An argument with a place in `point` (a `_Place`) for each floating-point tensor."""
        if type(value) in (list, tuple):
            parts = [self._plan(v, f"{name}[{i}]", joined) for i, v in enumerate(value)]
            held = any(part is not v for part, v in zip(parts, value, strict=True))
            return _Parts(type(value), parts) if held else value
        if isinstance(value, np.ndarray):
            value = tensor(value)
        if not isinstance(value, Tensor):
            return value
        if joined and not value.ndim:
            raise ArgumentError(
                f"gradcheck: batched joins samples along axis 0, which {name} has not; give "
                "batched=n if only the first n inputs hold samples"
            )
        if value.dtype not in FLOATING:
            return _Samples(value.detach()) if joined else value.detach()
        return self._place(value, name)

    def _place(self, value: Tensor, name: str) -> _Place:
        self.names.append(name)
        array = np.array(value.detach().numpy(), np.float64, order="C")
        if not np.all(np.isfinite(array)):
            raise ArgumentError(f"gradcheck: {name} holds values that are not finite")
        self.point.append(array)
        return _Place(len(self.point) - 1)

    def _copy_of(self, module: Module) -> Module:
        twin = copy.deepcopy(module).double()
        for name, parameter in twin.named_parameters():
            self._place(parameter, name)
            parameter.requires_grad = True
            self._parameters.append(parameter)
        for owner in twin.modules():
            for name, buffer in owner._buffers.items():
                if buffer is not None:
                    self._buffers.append((owner, name, buffer.detach()))
        return twin

    @contextmanager
    def _same_start(self) -> Iterator[None]:
        """Within: the random state and the buffers that every evaluation starts from."""
        before = get_rng_state()
        set_rng_state(self.random_state)
        for owner, name, buffer in self._buffers:
            owner._buffers[name] = buffer.detach()
        try:
            yield
        finally:
            set_rng_state(before)

    def _run(self, leaves: Sequence[Tensor], copies: int = 1) -> list[Tensor]:
        """The floating-point outputs for these inputs; parameters take their values from them."""
        for parameter, leaf in zip(self._parameters, self._own(leaves), strict=True):
            parameter.assign(leaf.detach())
        arguments = [_fill(argument, leaves, copies) for argument in self._arguments]
        with self._same_start():
            try:
                result = self._function(*arguments)
            except DtypeError as error:
                error.add_note("gradcheck calls the function with inputs converted to float64")
                raise
        outputs = [y for y in _listed(result) if isinstance(y, Tensor) and y.dtype in FLOATING]
        if not outputs:
            raise ArgumentError(
                "gradcheck: the function returns no floating-point tensor (or a tuple, list or "
                f"dictionary with one), got {type(result).__name__}"
            )
        return outputs

    def _own(self, items: Sequence[Any]) -> Sequence[Any]:
        return items[len(items) - len(self._parameters) :]

    def values(self, arrays: Sequence[Array], copies: int = 1) -> list[Array]:
        """The outputs as arrays, in float64; the `joined` arrays hold so many copies of all
        samples."""
        with tape.Recording(self.records):
            outputs = self._run([tensor(x, requires_grad=True) for x in arrays], copies)
        return [y.detach().numpy().astype(np.float64) for y in outputs]

    def stop_recording(self, values: Sequence[Array]) -> None:
        """Let `values` go without a record if it then gives the same `values` at the point."""
        self.records = False
        try:
            plain = self.values(self.point)
        except Exception:  # whatever it is: the function needs the record
            self.records = True
        else:
            self.records = len(plain) != len(values) or not all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(plain, values, strict=True)
            )

    def record(self) -> tuple[list[Tensor], list[Tensor]]:
        """The recorded outputs at the point, and the leaves they were computed from."""
        leaves = [tensor(array, requires_grad=True) for array in self.point]
        outputs = self._run(leaves)
        return outputs, [*leaves[: len(leaves) - len(self._parameters)], *self._parameters]

    def gradients(self, cotangents: Sequence[Sequence[Array]]) -> list[list[Array | None]]:
        """For each list of cotangents, the analytic gradients of Σ <output, cotangent>.

        The record is made once. None where nothing is connected.
        """
        outputs, leaves = self.record()
        last = len(cotangents) - 1
        return [
            [
                g if g is None else g.detach().numpy()
                for g in differentiate(outputs, leaves, list(map(constant, row)), retain=i < last)
            ]
            for i, row in enumerate(cotangents)
        ]

    def computes_in_single(self) -> bool:
        """Whether some recorded value on the way is float32."""
        outputs, _ = self.record()
        nodes = tape.ancestors(value_of(y)[0] for y in outputs)
        return any(spec.dtype == float32 for node in nodes for spec in node.outputs)


class Gradient(Problem):
    """The gradient of a problem as a function: its derivative is the second one of the original.

    Depends on the inputs of the original and, linearly, on one cotangent for each output.
    """

    def __init__(self, first: Problem, cotangents: Sequence[Array]) -> None:
        self._first = first
        self._parameters = first._parameters
        self.names = [f"cotangent of output {i}" for i in range(len(cotangents))] + first.names
        self.point = [*cotangents, *first.point]
        self._outputs = len(cotangents)
        if len(first.joined) == len(first.point):  # gradients of what is shared are sums
            self.joined = frozenset(range(len(self.point)))

    def _run(self, leaves: Sequence[Tensor], copies: int = 1) -> list[Tensor]:
        cotangents, inner = leaves[: self._outputs], leaves[self._outputs :]
        twice = tape.is_grad_enabled()
        with tape.enable_grad():
            outputs = self._first._run(inner, copies)
        variables = [*inner[: len(inner) - len(self._parameters)], *self._parameters]
        found = differentiate(outputs, variables, cotangents, create_graph=twice)
        zeros = (constant(np.zeros(x.shape)) for x in variables)
        return [z if g is None else g for g, z in zip(found, zeros, strict=True)]


class _Place:
    """Stands in the arguments for the array number `index` of the point."""

    def __init__(self, index: int) -> None:
        self.index = index


@dataclass(frozen=True)
class _Parts:
    """Stands in the arguments for a list or tuple in which tensors lie."""

    kind: type
    parts: list[Nested]


class _Samples:
    """Stands in the arguments for a tensor of indices or truth values, one or more a sample."""

    def __init__(self, value: Tensor) -> None:
        self._value = value

    def repeated(self, copies: int) -> Tensor:
        if copies == 1:
            return self._value
        return constant(np.concatenate([self._value.numpy()] * copies))


def differentiate(
    outputs: Sequence[Tensor],
    leaves: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    create_graph: bool = False,
    retain: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """`grad` that takes outputs which depend on nothing, and cotangents of another precision."""
    pairs = [
        (y, c if c.dtype == y.dtype else c.astype(str(y.dtype)))
        for y, c in zip(outputs, cotangents, strict=True)
        if y.requires_grad
    ]
    if not pairs:
        return (None,) * len(leaves)
    roots, starts = zip(*pairs, strict=True)
    return grad(roots, leaves, starts, create_graph, retain, allow_unused=True)


def _fill(argument: Nested, leaves: Sequence[Tensor], copies: int) -> Nested:
    if isinstance(argument, _Place):
        return leaves[argument.index]
    if isinstance(argument, _Samples):
        return argument.repeated(copies)
    if isinstance(argument, _Parts):
        return argument.kind([_fill(part, leaves, copies) for part in argument.parts])
    return argument


def _listed(result: Any) -> list[Any]:
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, (tuple, list)) else [result]


def distance(left: Array, right: Array) -> float:
    """The largest difference; none where both are the same infinity or NaN."""
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(all="ignore"):
        apart = np.abs(left - right)[~same]
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def flat(outputs: Sequence[Array]) -> Array:
    """All outputs as one vector."""
    return np.concatenate([np.ravel(y) for y in outputs]) if outputs else np.zeros(0)
