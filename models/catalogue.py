"""The catalogue of networks. A file of this folder enters its networks itself with `@network`, and
is found by the package: adding a network is adding its file.

Networks are listed in the order of their papers' years.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from minigrad.errors import ArgumentError
from minigrad.nn import Module

P = ParamSpec("P")
M = TypeVar("M", bound=Module)
ImageShape = tuple[int, int, int]


@dataclass(frozen=True)
class Paper:
    """Where a network comes from, and the error it reports."""

    title: str
    authors: str
    year: int
    error: str


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a picture before the network sees it: its shorter side is resized to
    `resize` pixels, the middle `crop` x `crop` are cut out, values are brought to 0..1, and each
    channel becomes (value - mean) / std.

    Mean and std have one number for each channel of a picture the network is meant for.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


IMAGENET = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""For networks of ImageNet's 1000 classes, as torchvision's weights were trained: RGB."""


@dataclass(frozen=True)
class Network:
    """A row of the catalogue. Pictures are square, `size` pixels a side."""

    name: str
    build: Callable[..., Module]
    size: int
    paper: Paper
    preprocessing: Preprocessing

    @property
    def options(self) -> dict[str, Any]:
        """What the network can be built with, and what each is by default."""
        parameters = inspect.signature(self.build).parameters
        return {name: parameter.default for name, parameter in parameters.items()}


_networks: dict[str, Network] = {}


def network(
    *, size: int, paper: Paper, preprocessing: Preprocessing
) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Enter the decorated function, which builds a network, under its own name.

    It takes `in_channels` and `num_classes`, both with a default, and what else it likes. The
    networks it builds know their name and the shape of the pictures they are made for.
    """

    def enter(build: Callable[P, M]) -> Callable[P, M]:
        name = build.__name__
        signature = inspect.signature(build)
        if name in _networks:
            raise TypeError(f"two networks are named {name!r}")

        @functools.wraps(build)
        def built(*args: P.args, **kwargs: P.kwargs) -> M:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            for option, value in given.arguments.items():
                switch = isinstance(signature.parameters[option].default, bool)
                if switch and not isinstance(value, bool):
                    raise ArgumentError(f"{name}: {option} is True or False, got {value!r}")
            model = build(*args, **kwargs)
            model.model_name = name
            model.input_shape = (given.arguments["in_channels"], size, size)
            return model

        _networks[name] = Network(name, built, size, paper, preprocessing)
        return built

    return enter


def names() -> list[str]:
    """The names of all networks, in the order of their papers."""
    return [entry.name for entry in sorted(_networks.values(), key=lambda e: e.paper.year)]


def find(name: str) -> Network:
    """The row of the catalogue of this name; raises ArgumentError if there is none."""
    if not isinstance(name, str) or name not in _networks:
        raise ArgumentError(f"there is no network {name!r}; {_nearest(str(name), names())}")
    return _networks[name]


def _nearest(wrong: str, known: list[str]) -> str:
    """What may have been meant, and all that is known."""
    near = difflib.get_close_matches(wrong.lower().replace("-", "_"), known)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{guess}there are {', '.join(known)}"


def create(name: str, **options: Any) -> Module:
    """The network of this name with fresh weights, e.g. `create("resnet50", num_classes=10)`.

    All take `in_channels` and `num_classes`. Raises ArgumentError for an unknown name or option,
    or a bad value.
    """
    entry = find(name)
    for option in options:
        if option not in entry.options:
            known = list(entry.options)
            raise ArgumentError(f"{name} has no option {option!r}; {_nearest(option, known)}")
    return entry.build(**options)


def input_shape(network: str | Module) -> ImageShape:
    """(C, H, W) of the pictures that a network is made for, without the axis of the batch.

    Takes a name, or a network that was built, which has the channels it was built with. Raises
    ArgumentError for an unknown name, or a module that is no network of the catalogue.
    """
    if isinstance(network, Module):
        shape: ImageShape | None = getattr(network, "input_shape", None)
        if shape is None:
            raise ArgumentError(
                f"input_shape: a {type(network).__name__} was not built by the catalogue "
                f"({', '.join(names())}); state the shape of its input"
            )
        return shape
    entry = find(network)
    return entry.options["in_channels"], entry.size, entry.size


def options(network: str | Module) -> dict[str, Any]:
    """What a network can be built with, and what each is by default, by name or as built."""
    return find(_name_of("options", network)).options


def preprocessing(network: str | Module) -> Preprocessing:
    """What is done to a picture before this network classifies it, by name or as built."""
    return find(_name_of("preprocessing", network)).preprocessing


def paper(network: str | Module) -> Paper:
    """The paper a network comes from, by name or as built."""
    return find(_name_of("paper", network)).paper


def _name_of(function: str, network: str | Module) -> str:
    if not isinstance(network, Module):
        return network
    name: str | None = getattr(network, "model_name", None)
    if name is None:
        raise ArgumentError(
            f"{function}: a {type(network).__name__} was not built by the catalogue; "
            f"there are {', '.join(names())}"
        )
    return name
