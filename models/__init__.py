"""The lecture's networks, installed as `minigrad.models`, and the catalogue of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.nn import Module

from .lenet import LeNet5, lenet5

__all__ = ["LeNet5", "create", "lenet5", "names"]

CATALOGUE: dict[str, Callable[..., Module]] = {"lenet5": lenet5}
"""The function that builds each network, by the network's name."""


def names() -> list[str]:
    """The names of all networks."""
    return list(CATALOGUE)


def create(name: str, **arguments: Any) -> Module:
    """The network of this name with fresh weights; raises ArgumentError for an unknown one."""
    if name not in CATALOGUE:
        raise ArgumentError(f"there is no network {name!r}; there are {', '.join(CATALOGUE)}")
    model = CATALOGUE[name](**arguments)
    model.model_name = name
    return model
