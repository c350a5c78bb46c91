"""The lookup table as a layer: Embedding."""

from __future__ import annotations

from typing import Any

from minigrad.creation import zeros
from minigrad.errors import ArgumentError
from minigrad.nn import functional, init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.spec import as_integer, float32
from minigrad.tensor import Tensor

__all__ = ["Embedding"]


class Embedding(Module):
    """A trained vector for each integer from 0 to num_embeddings - 1; see `functional.embedding`.

    Weight (num_embeddings, embedding_dim) starts normal; its row `padding_idx` starts as zeros
    and receives no gradient.
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        sizes = {"num_embeddings": num_embeddings, "embedding_dim": embedding_dim}
        for name, value in sizes.items():
            if as_integer("Embedding", name, value) < 1:
                raise ArgumentError(f"Embedding: {name} must be at least 1, got {value}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            row = as_integer("Embedding", "padding_idx", padding_idx)
            if not -num_embeddings <= row < num_embeddings:
                raise ArgumentError(
                    f"Embedding: padding_idx lies within {num_embeddings} rows, got {padding_idx}"
                )
            padding_idx = row % num_embeddings
        self.padding_idx = padding_idx
        self.weight = Parameter(zeros((num_embeddings, embedding_dim), dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            values = self.weight.detach().numpy().copy()
            values[self.padding_idx] = 0
            self.weight.assign(values)

    def forward(self, input: Tensor) -> Tensor:
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"
