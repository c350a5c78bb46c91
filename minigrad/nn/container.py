"""Modules that hold modules: Sequential."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from minigrad.errors import ArgumentError, IndexingError
from minigrad.nn.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Calls its modules one after the other, each with the result of the one before.

    Takes the modules, or one ordered dictionary that names them.
    """

    def __init__(self, *modules: Module | OrderedDict[str, Module]) -> None:
        super().__init__()
        named: Any = {str(i): module for i, module in enumerate(modules)}
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0]
        for name, module in named.items():
            self.add_module(name, module)

    def _named(self) -> list[tuple[str, Module]]:
        """The modules by their names; a name registered with None stands for none."""
        return [(name, module) for name, module in self._modules.items() if module is not None]

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, named by its position."""
        name = str(len(self._modules))
        if name in self._modules:
            raise ArgumentError(f"Sequential: append would replace the module named {name!r}")
        self.add_module(name, module)
        return self

    def __len__(self) -> int:
        return len(self._named())

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self._named())

    def __getitem__(self, index: int | slice) -> Any:
        entries = self._named()
        if isinstance(index, slice):
            return Sequential(OrderedDict(entries[index]))
        if not -len(entries) <= index < len(entries):
            raise IndexingError(
                f"Sequential: index {index} is out of range for {len(self)} modules"
            )
        return entries[index][1]
