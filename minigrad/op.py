"""The contract every op fulfils, and the catalogue of all ops.

An op is a class; an instance of it holds the parameters of one call (its axes, its stride).
The engine calls `infer`, `forward` and, in the reverse sweep, `backward`; nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from minigrad.spec import Spec

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Reads = tuple[tuple[int, ...], tuple[int, ...]]
Table = tuple[tuple[int, ...], ...]

CATALOGUE: dict[str, type[Op]] = {}
"""Every op by its name. Defining a subclass of `Op` with a `name` enters it."""


@dataclass(frozen=True)
class Cost:
    """What one call of an op costs.

    `macs` counts multiply-adds of products and convolutions, `flops` single floating-point
    operations (a multiply-add is two), `bytes_moved` every input read and output written once.
    """

    macs: int
    flops: int
    bytes_moved: int


@dataclass(slots=True)
class Call:
    """One recorded call of an op, as its `backward` sees it.

    `inputs` and `outputs` hold a tensor where the op reads it and None elsewhere; `needs` tells
    which inputs want a gradient.
    """

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    needs: tuple[bool, ...]
    input_specs: tuple[Spec, ...]
    output_specs: tuple[Spec, ...]


class Op:
    """One operation: its mathematics, its shape rule, its kernel, its derivative, its cost.

    A subclass with a `name` is an op of the catalogue and has to state, besides its docstring,

    - `infer(*specs)`: the spec of its output, or a tuple of specs; the only place that knows its
      shape rule and the only place that rejects its inputs;
    - `forward(*arrays)`: the output array, or a tuple of arrays; it never writes to its inputs;
    - `backward(call, *cotangents)`: the vector-Jacobian product, one gradient per input (None
      where `call.needs` is false), written in differentiable ops on tensors. A cotangent is None
      where nothing depends on that output. Ops with `differentiable = False` have none.
    - `reads_inputs[i]`, `reads_outputs[i]`: the inputs and outputs that the gradient of input i
      reads, hence what is kept alive until the backward pass. A residual (the indices of a max
      pooling) is an output that the op's public function does not return.
    """

    name: ClassVar[str]
    differentiable: ClassVar[bool] = True
    reads_inputs: ClassVar[Table] = ()
    reads_outputs: ClassVar[Table] = ()

    infer: Callable[..., Any]
    forward: Callable[..., Any]
    backward: Callable[..., Tensor | tuple[Tensor | None, ...] | None]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in cls.__dict__:
            return
        required = ["infer", "forward"] + ["backward"] * cls.differentiable
        missing = [method for method in required if not hasattr(cls, method)]
        if missing or not cls.__doc__:
            lacking = ", ".join(missing or ["its docstring"])
            raise TypeError(f"op {cls.__name__} does not state {lacking}")
        if cls.name in CATALOGUE:
            raise TypeError(f"two ops are named {cls.name!r}: {CATALOGUE[cls.name]} and {cls}")
        CATALOGUE[cls.name] = cls

    def reads(self, needs: tuple[bool, ...]) -> Reads:
        """Indices of the inputs and outputs that `backward` reads for these gradients."""
        return _unions(self.reads_inputs, self.reads_outputs, needs)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        """One floating-point operation per output element, unless an op knows better."""
        return Cost(0, sum(spec.size for spec in outputs), bytes_moved(inputs, outputs))


def bytes_moved(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """Bytes of reading each input and writing each output once."""
    return sum(spec.nbytes for spec in (*inputs, *outputs))


@cache
def _unions(inputs: Table, outputs: Table, needs: tuple[bool, ...]) -> Reads:
    return _union(inputs, needs), _union(outputs, needs)


def _union(table: Table, needs: tuple[bool, ...]) -> tuple[int, ...]:
    wanted = {index for row, need in zip(table, needs, strict=False) if need for index in row}
    return tuple(sorted(wanted))
