"""The lecture's networks: how they are built and printed, their derivatives, and the same bits
on any number of threads.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError

LENET5 = """\
LeNet5(
  (features_detector): Sequential(
    (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
    (1): AvgPool2d(kernel_size=2, stride=2, padding=0)
    (2): Sigmoid()
    (3): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
    (4): AvgPool2d(kernel_size=2, stride=2, padding=0)
    (5): Sigmoid()
  )
  (classifier): Sequential(
    (0): Linear(in_features=400, out_features=120, bias=True)
    (1): Sigmoid()
    (2): Linear(in_features=120, out_features=84, bias=True)
    (3): Sigmoid()
    (4): Linear(in_features=84, out_features=10, bias=True)
  )
)"""

LENET5_STATE = {
    "features_detector.0.weight": (6, 1, 5, 5),
    "features_detector.0.bias": (6,),
    "features_detector.3.weight": (16, 6, 5, 5),
    "features_detector.3.bias": (16,),
    "classifier.0.weight": (120, 400),
    "classifier.0.bias": (120,),
    "classifier.2.weight": (84, 120),
    "classifier.2.bias": (84,),
    "classifier.4.weight": (10, 84),
    "classifier.4.bias": (10,),
}

TRAINING = """
import hashlib
import minigrad as mg
from minigrad import models, nn

def train(steps=6):
    mg.manual_seed(11)
    net = models.lenet5()
    optimizer = mg.optim.Adam(net.parameters(), lr=0.01)
    for step in range(steps):
        images, classes = mg.randn((33, 1, 32, 32)), (mg.arange(33) * 7 + step).numpy() % 10
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), mg.tensor(classes)).backward()
        optimizer.step()
    state = net.state_dict().values()
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in state)).hexdigest()
"""


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = mg.get_num_threads()
    yield
    mg.set_num_threads(before)


class TestCatalogue:
    def test_names_and_create(self) -> None:
        assert "lenet5" in models.names()
        assert isinstance(models.create("lenet5"), models.LeNet5)
        with pytest.raises(ArgumentError, match=r"no network 'lenet6'; did you mean lenet5"):
            models.create("lenet6")

    def test_networks_are_equal_under_a_seed(self) -> None:
        states = []
        for _ in range(2):
            mg.manual_seed(1)
            states.append(models.create("lenet5").state_dict())
        for key, tensor in states[0].items():
            np.testing.assert_array_equal(tensor.numpy(), states[1][key].numpy())


class TestLeNet5:
    def test_prints_as_in_the_lecture(self) -> None:
        assert repr(models.lenet5()) == LENET5
        assert repr(models.create("lenet5")) == LENET5

    def test_parameters(self) -> None:
        net = models.lenet5()
        assert {key: tensor.shape for key, tensor in net.state_dict().items()} == LENET5_STATE
        assert list(net.state_dict()) == list(LENET5_STATE)
        assert sum(parameter.size for parameter in net.parameters()) == 61_706
        assert {parameter.dtype for parameter in net.parameters()} == {np.dtype("float32")}

    def test_channels_and_classes(self) -> None:
        net = models.create("lenet5", in_channels=3, num_classes=26)
        assert net(mg.rand((2, 3, 32, 32))).shape == (2, 26)
        assert net.features_detector[0].weight.shape == (6, 3, 5, 5)
        assert models.lenet5(2, 5)(mg.rand((1, 2, 32, 32))).shape == (1, 5)
        for arguments in ({"in_channels": 0}, {"num_classes": 0}, {"num_classes": 1.5}):
            with pytest.raises(ArgumentError):
                models.create("lenet5", **arguments)

    def test_computes_its_formula(self) -> None:
        net, x = models.lenet5().double(), mg.rand((3, 1, 32, 32), "float64")
        weights = {key: tensor.numpy() for key, tensor in net.state_dict().items()}
        np.testing.assert_allclose(net(x).detach().numpy(), lenet5(weights, x.numpy()), rtol=1e-11)


def sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))


def lenet5(weights: dict[str, NDArray], x: NDArray) -> NDArray:
    """LeNet-5 in plain NumPy."""
    for layer in ("features_detector.0", "features_detector.3"):
        windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(2, 3))
        x = np.einsum("nchwrs,kcrs->nkhw", windows, weights[f"{layer}.weight"])
        x = x + weights[f"{layer}.bias"][:, None, None]
        n, k, h, w = x.shape
        x = sigmoid(x.reshape(n, k, h // 2, 2, w // 2, 2).mean((3, 5)))
    x = x.reshape(len(x), -1)
    for layer in ("classifier.0", "classifier.2", "classifier.4"):
        x = x @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        x = x if layer == "classifier.4" else sigmoid(x)
    return x


def difference_quotient(function: Callable[[float], NDArray], h: float = 4e-3) -> NDArray:
    """The derivative at 0 with an error of h⁴ (Richardson's extrapolation)."""
    near, far = (function(s) - function(-s) for s in (h, 2 * h))
    return np.asarray((8 * near - far) / (12 * h))


class TestDerivatives:
    """In float64, of a network with weights large enough for every gradient to matter."""

    @pytest.fixture
    def net(self) -> models.LeNet5:
        mg.set_num_threads(1)  # the batch is small, and the machine may be busy
        mg.manual_seed(2)
        net = models.lenet5().double()
        for parameter in net.parameters():
            parameter.assign(parameter.detach() * 3)
        return net

    @pytest.fixture
    def loss(self, net: models.LeNet5) -> Callable[[], mg.Tensor]:
        images, classes = mg.randn((3, 1, 32, 32), "float64"), mg.tensor([3, 0, 7])
        return lambda: nn.functional.cross_entropy(net(images), classes)

    @pytest.mark.parametrize("key", list(LENET5_STATE))
    def test_the_gradient_of_every_parameter(
        self, key: str, net: models.LeNet5, loss: Callable[[], mg.Tensor]
    ) -> None:
        loss().backward()
        parameter = dict(net.named_parameters())[key]
        assert parameter.grad is not None
        gradient, start = parameter.grad.numpy(), parameter.detach().numpy()
        sample = np.random.default_rng(0).permutation(start.size)[:30]
        if start.size <= 16:
            sample = np.arange(start.size)
        for flat in sample:
            position = np.unravel_index(flat, start.shape)

            def moved(step: float, position: tuple = position) -> NDArray:
                value = start.copy()
                value[position] += step
                parameter.assign(value)
                with mg.no_grad():
                    return loss().numpy()

            expected = difference_quotient(moved)
            scale = np.abs(gradient).max()
            np.testing.assert_allclose(gradient[position], expected, rtol=1e-6, atol=1e-8 * scale)

    def test_a_hessian_vector_product(
        self, net: models.LeNet5, loss: Callable[[], mg.Tensor]
    ) -> None:
        parameters = list(net.parameters())
        starts = [parameter.detach() for parameter in parameters]
        directions = [mg.randn(parameter.shape, "float64") * 0.1 for parameter in parameters]
        gradients = mg.grad(loss(), parameters, create_graph=True)
        along = [(g * v).sum() for g, v in zip(gradients, directions, strict=True)]
        total = along[0]
        for term in along[1:]:
            total = total + term
        products = mg.grad(total, parameters)

        def moved(step: float) -> NDArray:
            for parameter, start, v in zip(parameters, starts, directions, strict=True):
                parameter.assign(start + v * step)
            return np.concatenate([g.numpy().ravel() for g in mg.grad(loss(), parameters)])

        expected = difference_quotient(moved, 1e-2)
        found = np.concatenate([product.numpy().ravel() for product in products])
        sizes = np.cumsum([parameter.size for parameter in parameters])[:-1]
        for key, a, b in zip(
            LENET5_STATE, np.split(found, sizes), np.split(expected, sizes), strict=True
        ):
            assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(b), key


class TestSameBits:
    def test_within_one_process(self) -> None:
        scope: dict = {}
        exec(TRAINING, scope)
        found = set()
        for count in (1, 2, 3, 1):
            mg.set_num_threads(count)
            found.add(scope["train"]())
        assert len(found) == 1
        assert scope["train"](5) not in found

    def test_in_processes_of_their_own(self) -> None:
        found = {
            subprocess.run(
                [sys.executable, "-c", TRAINING + "print(train())"],
                env={**os.environ, **settings},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for settings in (
                {"MINIGRAD_NUM_THREADS": "1"},
                {"MINIGRAD_NUM_THREADS": "2"},
                {"MINIGRAD_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"},
            )
        }
        assert len(found) == 1
        assert len(found.pop()) == 2 * hashlib.sha256().digest_size + 1
