"""Modules that hold modules: Sequential."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from minigrad.errors import ArgumentError, IndexingError
from minigrad.nn.module import Module


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

    def forward(self, x: Any) -> Any:
        for module in self._modules.values():
            x = module(x)  # type: ignore[misc]
        return x

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, named by its position."""
        name = str(len(self))
        if name in self._modules:
            raise ArgumentError(f"Sequential: append would replace the module named {name!r}")
        self.add_module(name, module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())  # type: ignore[arg-type]

    def __getitem__(self, index: int | slice) -> Any:
        entries = list(self._modules.items())
        if isinstance(index, slice):
            return Sequential(OrderedDict(entries[index]))  # type: ignore[arg-type]
        if not -len(entries) <= index < len(entries):
            raise IndexingError(
                f"Sequential: index {index} is out of range for {len(self)} modules"
            )
        return entries[index][1]
