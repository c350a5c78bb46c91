"""`Parameter`: a tensor that a module counts among its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.kernels.rewriting import awaited
from minigrad.tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A leaf tensor that requires a gradient and registers itself where a module stores it."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None) -> None:
        super().__init__(data, dtype, requires_grad)

    if not TYPE_CHECKING:  # which would take every misspelled attribute for one of these

        def __getattr__(self, name: str) -> Any:
            """The array, which is missing while an optimizer writes over it."""
            return awaited(self, name) if name == "_array" else object.__getattribute__(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.detach().numpy(), self.requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
