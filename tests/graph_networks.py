"""Networks that the tests of graphs share: small, with repeated residual blocks among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import minigrad as mg
from minigrad import models, nn
from minigrad.graph import Graph
from minigrad.graph.writing import document
from minigrad.nn import functional


class Block(nn.Module):
    """Two convolutions around which the input goes, too."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if channels_in != channels:
            self.shortcut: nn.Module | None = nn.Conv2d(channels_in, channels, 1)
        else:
            self.shortcut = None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        y = self.conv2(functional.relu(self.norm(self.conv1(x))))
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def residual(blocks: int = 4) -> nn.Module:
    """A network of one layer of residual blocks, the first of which widens."""
    mg.manual_seed(5)
    layer = nn.Sequential(*[Block(2 if i == 0 else 4, 4) for i in range(blocks)])
    return nn.Sequential(layer, nn.Flatten(), nn.Dropout(0.4), nn.Linear(4 * 5 * 5, 3))


def lenet5() -> nn.Module:
    """LeNet-5 with weights of its own seed."""
    mg.manual_seed(2)
    return models.lenet5()


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "lenet5": (lenet5, (2, 1, 32, 32)),
    "residual": (residual, (2, 2, 5, 5)),
}
"""By name: what makes the network, and the shape of its input."""


def traced(name: str, backward: bool) -> tuple[Any, mg.Tensor]:
    """The graph of a network and an input for it."""
    make, shape = NETWORKS[name]
    network = make()
    x = mg.randn(shape)
    return mg.trace(network, x, backward=backward), x


def bits(outputs: Any) -> list[bytes]:
    """The outputs of a run as bytes."""
    tensors: Sequence[mg.Tensor] = outputs if isinstance(outputs, tuple) else (outputs,)
    return [y.detach().numpy().tobytes() for y in tensors]


def written(graph: Graph) -> Any:
    """What stands in the file of a graph."""
    return json.loads(json.dumps(document(graph), allow_nan=False))


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every place in a file where a value stands."""
    found: list[tuple[Any, Any]] = []
    stack = [data]
    while stack:
        item = stack.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], (dict, list)):
                stack.append(item[key])
    return found
