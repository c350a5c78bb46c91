"""The network that a command is about: of the catalogue, or of the user's, with its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from minigrad import models
from minigrad.cli.importing import find, parse, shape
from minigrad.creation import abstract
from minigrad.errors import ArgumentError
from minigrad.spec import Shape, Spec


def network(named: str, command: str, weights: bool = False) -> Callable[..., Any]:
    """The network of this name: `resnet50`, `resnet50(num_classes=10)`, or PACKAGE.MODULE:NAME.

    Networks of the catalogue have no values unless `weights` are asked for: that takes no memory.
    """
    if ":" in named:
        return find(named, command)
    name, arguments, options, _ = parse(named.replace("-", "_"), command)
    if arguments:
        raise ArgumentError(
            f"{command}: {named}: arguments of a network are named, as in {name}(num_classes=10)"
        )
    with nullcontext() if weights else abstract():
        try:
            return models.create(name, **options)
        except TypeError as error:
            raise ArgumentError(f"{command}: {named} cannot be made: {error}") from None


def sample_shapes(
    model: Callable[..., Any], named: str, inputs: Sequence[str], command: str
) -> list[Shape]:
    """The shapes of the inputs, without the batch: as told, or what the network is made for."""
    if inputs:
        return [shape(text, command) for text in inputs]
    known: Shape | None = getattr(model, "input_shape", None)
    if known is None:
        raise ArgumentError(
            f"{command}: state the shape of the input of {named} without its batch, as in "
            "--input 3,224,224"
        )
    return [known]


def batch_specs(
    model: Callable[..., Any], named: str, inputs: Sequence[str], batch: int, command: str
) -> list[Spec]:
    """The specs of a batch of inputs."""
    if batch < 1:
        raise ArgumentError(f"{command}: --batch is at least 1, got {batch}")
    return [Spec((batch, *s)) for s in sample_shapes(model, named, inputs, command)]
