"""Who is measured: minigrad, and PyTorch eager, channels-last and compiled.

Each makes, of a network, a call that trains it by a step (forward, backward, SGD with momentum) and
one that runs it (eval, no gradients). PyTorch's default is as a user finds it; its other modes
are allowed what makes them faster: channels-last memory and the fused optimizer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from benchmarks.networks.cases import LEARNING_RATE, MOMENTUM, Network

__all__ = ["CONTENDERS", "DEFAULT", "OURS", "Contender", "Library", "installed"]

OURS = "minigrad"
DEFAULT = "PyTorch"

Call = Callable[[], Any]


class Library(Protocol):
    """A library, set up for one process."""

    def training(self, network: Network) -> Call:
        """A call that does a training step, and returns the loss."""

    def inference(self, network: Network) -> Call:
        """A call that returns the scores."""


class Minigrad:
    """minigrad, eager."""

    def __init__(self, threads: int) -> None:
        import minigrad
        from minigrad import models, optim

        # Numba, which minigrad imports with its first kernel, counts as an import, not as a step.
        importlib.import_module("minigrad.kernels.convolution")
        self.library, self.models, self.optim = minigrad, models, optim
        minigrad.set_num_threads(threads)

    def _prepared(self, network: Network) -> tuple[Any, Any, Any]:
        model = self.models.create(
            network.name, in_channels=network.shape[0], num_classes=network.classes
        )
        pictures, labels = map(self.library.asarray, network.batch_of_pictures())
        return model, pictures, labels

    def training(self, network: Network) -> Call:
        model, pictures, labels = self._prepared(network)
        optimizer = self.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        loss_of = self.library.nn.functional.cross_entropy
        return _step(model.train(), optimizer, loss_of, pictures, labels)

    def inference(self, network: Network) -> Call:
        model, pictures, _ = self._prepared(network)
        return _run(model.eval(), self.library.no_grad, pictures)


class PyTorch:
    """PyTorch, with memory in the order given, and compiled if asked for."""

    def __init__(
        self, threads: int, layout: str = "contiguous_format", compiled: bool = False
    ) -> None:
        self.library = importlib.import_module("torch")
        self.networks = importlib.import_module("benchmarks.torch_networks")
        self.layout = getattr(self.library, layout)
        self.compiled = compiled
        # None leaves it to PyTorch.
        self.fused = True if layout == "channels_last" else None
        self.library.set_num_threads(threads)

    def _prepared(self, network: Network) -> tuple[Any, Any, Any]:
        model = self.networks.create(network.name, network.shape[0], network.classes)
        pictures, labels = map(self.library.from_numpy, network.batch_of_pictures())
        model, pictures = (x.to(memory_format=self.layout) for x in (model, pictures))
        return model, pictures, labels

    def training(self, network: Network) -> Call:
        model, pictures, labels = self._prepared(network)
        optimizer = self.library.optim.SGD(
            model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=self.fused
        )
        loss_of = self.library.nn.functional.cross_entropy
        return _step(self._maybe_compiled(model.train()), optimizer, loss_of, pictures, labels)

    def inference(self, network: Network) -> Call:
        model, pictures, _ = self._prepared(network)
        return _run(self._maybe_compiled(model.eval()), self.library.no_grad, pictures)

    def _maybe_compiled(self, model: Any) -> Any:
        return self.library.compile(model) if self.compiled else model


def _step(model: Any, optimizer: Any, loss_of: Any, pictures: Any, labels: Any) -> Call:
    """The training step of both libraries, whose names are the same."""

    def step() -> Any:
        loss = loss_of(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _run(model: Any, no_grad: Any, pictures: Any) -> Call:
    def run() -> Any:
        with no_grad():
            return model(pictures)

    return run


@dataclass(frozen=True)
class Contender:
    """A row of the catalogue: how to set up the library for so many threads, the environment
    variable that names its folder of compiled code (None if it keeps none), its package."""

    start: Callable[[int], Library]
    cache: str | None = None
    package: str = "torch"


CONTENDERS: dict[str, Contender] = {
    OURS: Contender(Minigrad, "MINIGRAD_CACHE_DIR", "minigrad"),
    DEFAULT: Contender(PyTorch),
    "PyTorch channels-last": Contender(lambda threads: PyTorch(threads, "channels_last")),
    "torch.compile": Contender(
        lambda threads: PyTorch(threads, "channels_last", compiled=True), "TORCHINDUCTOR_CACHE_DIR"
    ),
}


def installed() -> list[str]:
    """The contenders that can run here."""
    return [name for name, own in CONTENDERS.items() if find_spec(own.package)]
