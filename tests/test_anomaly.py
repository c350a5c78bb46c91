"""Finding the first NaN or infinity: which op made it, where."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import AnomalyError


def test_a_forward_op_is_named_with_line_and_index() -> None:
    x = mg.tensor([1.0, 0.0, 2.0])
    with mg.detect_anomaly(), pytest.raises(AnomalyError) as caught:
        (x + 1).log() + x.log()  # the second one
    text = str(caught.value)
    assert "log made -inf at index (1,)" in text
    assert "test_anomaly.py" in text and "the second one" in text


def test_a_backward_op_is_named_with_the_line_of_its_forward() -> None:
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    with mg.detect_anomaly():
        y = x**0.5  # this forward
        with pytest.raises(AnomalyError) as caught:
            y.sum().backward()
    text = str(caught.value)
    assert "backward of power" in text and "this forward" in text
    assert x.grad is None


def test_the_module_is_named() -> None:
    class Log(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x.log()

    net = nn.Sequential(nn.ReLU(), Log())
    with mg.detect_anomaly(), pytest.raises(AnomalyError, match=r"Sequential\.1"):
        net(mg.tensor([-1.0]))


def test_a_value_that_came_in_is_told_apart() -> None:
    with mg.detect_anomaly(), pytest.raises(AnomalyError, match="got a non-finite input 0"):
        mg.tensor([np.nan]) * 2


def test_outside_nothing_is_checked_and_the_state_is_restored() -> None:
    with pytest.raises(KeyError), mg.detect_anomaly():
        raise KeyError
    mg.tensor([0.0]).log()
    with mg.detect_anomaly():
        with pytest.raises(AnomalyError), mg.detect_anomaly():
            mg.tensor([0.0]).log()
        with pytest.raises(AnomalyError):
            mg.tensor([0.0]).log()


def test_sound_training_passes() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    with mg.detect_anomaly():
        loss = nn.functional.cross_entropy(net(mg.randn((5, 3))), mg.tensor([0, 1, 0, 1, 1]))
        loss.backward()
        (mg.ones(2) * 2).sum()
