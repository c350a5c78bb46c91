"""`Composite`: a part of a graph as one op, so that a view at some depth is a graph like any other.

It is not in the catalogue and is never recorded: the interpreter runs its body, call by call, so
results and gradients are those of the graph it was folded from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.errors import ShapeError
from minigrad.graph.graph import Graph
from minigrad.op import Cost, Op
from minigrad.spec import Spec
from minigrad.tensor import Tensor


class Composite(Op):
    """y = body(x), or `count` blocks in a row that have the structure of `body`.

    `links` pairs an input of the body with the output of the block before that it reads. The
    inputs are those of the first block and then, of each further one, those that are not linked;
    the outputs are those of all blocks, one block after the other.
    """

    def __init__(
        self, name: str, body: Graph, count: int = 1, links: Mapping[int, int] | None = None
    ) -> None:
        # Only a name of the class itself would enter it into the catalogue.
        vars(self)["name"] = name
        self.body = body
        self.count = count
        self.links = dict(links or {})

    @property
    def input_specs(self) -> tuple[Spec, ...]:
        """What it takes: the specs of the first block's inputs, and of the others' own."""
        specs = self.body.input_specs
        own = [spec for i, spec in enumerate(specs) if i not in self.links]
        return (*specs, *own * (self.count - 1))

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        if specs != self.input_specs:
            raise ShapeError(f"{self.name}: takes {self.input_specs}, got {specs}")
        return self.body.output_specs * self.count

    def run(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The outputs, by the interpreter."""
        from minigrad.graph.interpreter import run

        own = iter(inputs)
        outputs: list[Tensor] = []
        block: tuple[Tensor, ...] = ()
        for number in range(self.count):
            given: list[Any] = [
                block[self.links[i]] if number and i in self.links else next(own)
                for i in range(len(self.body.inputs))
            ]
            block = run(self.body, given)
            outputs.extend(block)
        return tuple(outputs)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        """What the calls inside cost, all together."""
        inside, times = self.body.cost, self.count
        return Cost(times * inside.macs, times * inside.flops, times * inside.bytes_moved)

    @property
    def saved_bytes(self) -> int:
        """Bytes that the backwards of the calls inside need kept."""
        return self.count * sum(saved_bytes(node) for node in self.body.calls)


def saved_bytes(node: Any) -> int:
    """Bytes that the backward of a node needs kept, of all calls inside where it is a composite."""
    count: int = node.op.saved_bytes if isinstance(node.op, Composite) else node.saved_bytes
    return count
