"""The network that a command is about: of the catalogue, or of the user's, with its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from minigrad import models
from minigrad.cli.importing import find, parse, shape
from minigrad.creation import abstract
from minigrad.data import SIDE
from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import trace
from minigrad.nn import Module
from minigrad.spec import Shape, Spec


def network(named: str, command: str, weights: bool = False) -> Callable[..., Any]:
    """The network of this name: `resnet50`, `resnet50(num_classes=10)`, or PACKAGE.MODULE:NAME.

    Networks of the catalogue have no values unless `weights` are asked for: that takes no memory.
    """
    if ":" in named:
        return find(named, command)
    with nullcontext() if weights else abstract():
        return create(named, command)


def create(named: str, command: str, **further: Any) -> Module:
    """The network of the catalogue that is named `resnet50` or `resnet50(variant="v1")`, made with
    further options, which the command knows and the name must not have."""
    name, options = name_and_options(named, command)
    if clash := sorted(options.keys() & further):
        raise ArgumentError(f"{command}: {named}: {clash[0]} comes from the data; leave it out")
    try:
        return models.create(name, **options, **further)
    except TypeError as error:
        raise ArgumentError(f"{command}: {named} cannot be made: {error}") from None


def name_and_options(named: str, command: str) -> tuple[str, dict[str, Any]]:
    """The name of the network and its arguments."""
    name, arguments, options, _ = parse(named.replace("-", "_"), command)
    if arguments:
        raise ArgumentError(
            f"{command}: {named}: arguments of a network are named, as in {name}(num_classes=10)"
        )
    return name, options


def smallest_size(model: Module) -> int:
    """The smallest multiple of 32, the side of the data sets' pictures, that a network takes."""
    channels, size, _ = models.input_shape(model)
    for side in range(SIDE, size, SIDE):
        try:
            trace(model, Spec((2, channels, side, side)))
        except ShapeError:
            continue
        return side
    return size


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
