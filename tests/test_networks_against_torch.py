"""Each network of the catalogue beside the same PyTorch module, whose weights it loads from a file:
its keys, its scores in float32, and every gradient in float64, evaluating and training.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from torch_networks import BUILDERS

import minigrad as mg
from minigrad import models, nn

torch = pytest.importorskip("torch")


class Case(NamedTuple):
    """A network, its options, and the side of the pictures, smaller than its own for speed."""

    name: str
    side: int
    options: dict[str, Any]
    slow: bool = True

    @property
    def title(self) -> str:
        chosen = [str(v) if isinstance(v, str) else k for k, v in self.options.items()]
        return "-".join([self.name, *[word for word in chosen if word != "dropout"]])


VGG: dict[str, Any] = {"num_classes": 10, "dropout": 0.0}
V1, V15 = {"variant": "v1"}, {"variant": "v1.5"}
CASES = [
    Case("lenet5", 32, {}, slow=False),
    Case("alexnet", 95, {"dropout": 0.0}),
    Case("alexnet", 227, {"dropout": 0.0, "in_channels": 3, "num_classes": 1000}),
    *[
        Case(name, 64, {**VGG, **norm})
        for name in models.names()
        if name.startswith("vgg")
        for norm in ({}, {"batch_norm": True})
    ],
    Case("resnet18", 64, {"num_classes": 10}, slow=False),
    Case("resnet34", 64, {}),
    *[
        Case(name, 64, {"num_classes": 10, **variant})
        for name in ("resnet50", "resnet101", "resnet152")
        for variant in (V1, V15)
    ],
]
PARAMETERS = [
    pytest.param(case, id=case.title, marks=[pytest.mark.slow] if case.slow else [])
    for case in CASES
]


def test_every_network_is_compared() -> None:
    assert {case.name for case in CASES} == set(models.names()) == set(BUILDERS)


def statistics(rng: np.random.Generator, name: str, size: int) -> dict[str, np.ndarray]:
    """The state of a batch normalization that has seen something.

    The last of a residual block has a small weight, as trained ones do: with 1 in all, rounding
    alone changes the scores of 101 layers in the third digit, PyTorch's no less than ours.
    """
    last = re.search(r"layer\d\.\d+\.bn(\d)", name)
    top = 0.2 if last and last[1] == "3" else 1.0
    return {
        "weight": rng.uniform(top / 2, top, size).astype("float32"),
        "bias": rng.normal(0, 0.2, size).astype("float32"),
        "running_mean": rng.normal(0, 0.2, size).astype("float32"),
        "running_var": rng.uniform(0.5, 2, size).astype("float32"),
        "num_batches_tracked": np.array(3),
    }


@pytest.fixture(params=PARAMETERS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Ours with the state that PyTorch's has saved, PyTorch's, and two pictures."""
    case: Case = request.param
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    source = models.create(case.name, **case.options)
    for name, module in source.named_modules():
        if isinstance(module, nn.BatchNorm2d):  # fresh ones would do nothing when evaluating
            module.load_state_dict(statistics(rng, name, module.num_features))
    with torch.device("meta"):  # without values: it takes over those of our first values
        theirs = BUILDERS[case.name](**case.options)
    take_over(theirs, source)
    del source
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    with nn.init.skipped():
        ours = models.create(case.name, **case.options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(mg.load(tmp_path / "x.pth"), strict=True)
    (tmp_path / "x.pth").unlink()
    channels = models.input_shape(ours)[0]
    yield ours, theirs, rng.normal(size=(2, channels, case.side, case.side))


def take_over(theirs: Any, ours: Any) -> None:
    """Give PyTorch's module our values."""
    state = {key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(state, strict=True, assign=True)


def assert_near(
    ours: Any, theirs: Any, tolerance: float, what: str, scale: float | None = None
) -> None:
    """Equal within `tolerance` of the largest element, or of a scale that is given."""
    found, expected = ours.detach().numpy(), theirs.detach().numpy()
    assert found.shape == expected.shape, what
    scale = float(np.abs(expected).max()) if scale is None else scale
    assert scale > 0, what
    error = float(np.abs(found - expected).max()) / scale
    print(f"{error:.1e} of at most {tolerance:g}: {what}")
    assert error <= tolerance, what  # a NaN is not


def test_scores_and_gradients(pair: tuple[Any, Any, np.ndarray]) -> None:
    ours, theirs, x = pair
    layers = list(ours.modules())
    single = x.astype("float32")
    for training in (False, True):
        ours.train(training)
        theirs.train(training)
        with mg.no_grad(), torch.no_grad():
            found, expected = ours(mg.asarray(single)), theirs(torch.tensor(single))
        assert_near(found, expected, 1e-4, f"scores in float32, training={training}")
    assert_same_state(ours, theirs, 1e-4)
    if not any(isinstance(layer, nn.ReLU) for layer in layers):
        # In float32, rounding decides whether a gradient passes a ReLU near 0, in PyTorch as here.
        assert_same_gradients(ours, theirs, single, 1e-4, "float32")

    take_over(theirs, ours.double())
    normalizes = any(isinstance(layer, nn.BatchNorm2d) for layer in layers)
    for training in (False, True) if normalizes else (True,):  # else both modes are the same
        ours.train(training)
        theirs.train(training)
        assert_same_gradients(ours, theirs, x, 1e-9, f"float64, training={training}")
    assert_same_state(ours, theirs, 1e-9)


def assert_same_gradients(
    ours: Any, theirs: Any, x: np.ndarray, tolerance: float, what: str
) -> None:
    ours.zero_grad()
    theirs.zero_grad()
    picture, picture_theirs = mg.tensor(x, requires_grad=True), torch.tensor(x).requires_grad_()
    classes = np.array([1, 7])
    scores, scores_theirs = ours(picture), theirs(picture_theirs)
    assert_near(scores, scores_theirs, tolerance, f"scores, {what}")
    nn.functional.cross_entropy(scores, mg.tensor(classes)).backward()
    torch.nn.functional.cross_entropy(scores_theirs, torch.tensor(classes)).backward()
    assert_near(picture.grad, picture_theirs.grad, tolerance, f"input, {what}")
    others = dict(theirs.named_parameters())
    without = cancelled(ours) if ours.training else set()
    for name, parameter in ours.named_parameters():
        scale = None
        if name in without:
            weight = name.removesuffix("bias") + "weight"
            scale = float(others[weight].grad.abs().max())
        assert_near(parameter.grad, others[name].grad, tolerance, f"{name}, {what}", scale)


def cancelled(network: Any) -> set[str]:
    """The biases that a batch normalization takes away again when training: their gradient is 0,
    and all that is computed is rounding, which the layer's weight gives a scale."""
    layers = list(network.named_modules())
    return {
        f"{name}.bias"
        for (name, layer), (_, following) in itertools.pairwise(layers)
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d)
    }


def assert_same_state(ours: Any, theirs: Any, tolerance: float) -> None:
    """The running statistics, which training changes."""
    expected = theirs.state_dict()
    for name, buffer in ours.named_buffers():
        assert_near(buffer, expected[name], tolerance, name)
