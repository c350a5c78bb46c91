"""The lecture's networks, installed as `minigrad.models`, and the catalogue of them.

Every file of this folder is imported and what it lists in `__all__` is found here: a network's
class and the functions that build it.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from .catalogue import create, input_shape, names, options, paper, preprocessing

__all__ = ["create", "input_shape", "names", "options", "paper", "preprocessing"]

for _file in pkgutil.iter_modules(__path__):
    _module = importlib.import_module(f"{__name__}.{_file.name}")
    for _name in getattr(_module, "__all__", []):
        globals()[_name] = getattr(_module, _name)
        __all__ += [_name]

if TYPE_CHECKING:
    # What the files define is not known to a type checker.
    def __getattr__(name: str) -> Any: ...
