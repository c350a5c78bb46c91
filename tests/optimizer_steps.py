"""A parameter, optimizers of it, and a step of one: what the tests of writing over values share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import nn, optim

__all__ = ["OPTIMIZERS", "SHAPE", "address", "in_a_module", "numbers", "step"]

SHAPE = 96, 128
OPTIMIZERS: dict[str, Callable[[list[Any]], optim.Optimizer]] = {
    "sgd": lambda params: optim.SGD(params, lr=0.5),
    "momentum": lambda params: optim.SGD(params, lr=0.5, momentum=0.9),
    "adam": lambda params: optim.Adam(params, lr=0.5),
    "adamw": lambda params: optim.AdamW(params, lr=0.5, amsgrad=True),
}


def numbers() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def step(trainer: optim.Optimizer, parameter: mg.Tensor) -> None:
    parameter.grad = mg.tensor(np.full(parameter.shape, 0.25, parameter.dtype))
    trainer.step()


def address(parameter: mg.Tensor) -> int:
    return int(parameter.detach().numpy().ctypes.data)


def in_a_module(parameter: mg.Tensor) -> nn.Module:
    module = nn.Module()
    module.weight = parameter
    return module
