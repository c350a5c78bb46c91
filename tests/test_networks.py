"""The catalogue of networks: how one gets into it and is found, what each tells of itself, its
first values, and what it says to pictures that do not fit.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, MinigradError, ShapeError
from minigrad.models import catalogue

NAMES = ["lenet5", "alexnet", *[f"vgg_{x}" for x in ("a", "a_lrn", "b", "c", "d", "e")]]
NAMES += [f"resnet{layers}" for layers in (18, 34, 50, 101, 152)]

ONE_MORE_FILE = '''
"""A network of one layer."""
from minigrad import nn
from .catalogue import Paper, Preprocessing, network

__all__ = ["tiny"]

@network(size=4, paper=Paper("", "", 1958, ""), preprocessing=Preprocessing(4, 4, (0,), (1,)))
def tiny(in_channels: int = 1, num_classes: int = 2) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16 * in_channels, num_classes))
'''


def described(name: str, **options: Any) -> nn.Module:
    """The network without values."""
    with mg.abstract():
        return models.create(name, **options)


class TestCatalogue:
    def test_names_stand_in_the_order_of_the_papers(self) -> None:
        assert models.names() == NAMES
        years = [models.paper(name).year for name in NAMES]
        assert years == sorted(years)
        assert [years[0], years[1], years[-1]] == [1998, 2012, 2016]

    def test_every_network_is_a_function_of_the_package(self) -> None:
        for name in NAMES:
            build = getattr(models, name)
            assert name in models.__all__
            assert build.__name__ == name
            assert build.__doc__ and "fresh weights" in build.__doc__
            with mg.abstract():
                assert repr(build()) == repr(models.create(name))

    def test_a_network_is_added_by_its_file_alone(self, tmp_path: Path) -> None:
        shutil.copytree(Path(models.__file__).parent, tmp_path / "zoo")
        (tmp_path / "zoo" / "tiny.py").write_text(ONE_MORE_FILE)
        program = (
            "import zoo; print(zoo.names()[0], zoo.tiny(3).input_shape, zoo.input_shape('tiny'))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stdout == "tiny (3, 4, 4) (1, 4, 4)\n", done.stderr

    def test_a_name_is_taken_once(self) -> None:
        def lenet5() -> nn.Module:
            return nn.Identity()

        enter = catalogue.network(
            size=1, paper=models.paper("lenet5"), preprocessing=models.preprocessing("lenet5")
        )
        with pytest.raises(TypeError, match="two networks are named 'lenet5'"):
            enter(lenet5)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: models.create("resnet5"), "no network 'resnet5'; did you mean resnet50"),
            (lambda: models.create("ResNet-50"), "did you mean resnet50"),
            (lambda: models.create("tuna"), "no network 'tuna'; there are lenet5, alexnet"),
            (lambda: models.create(["lenet5"]), "no network"),
            (lambda: models.input_shape("tuna"), "no network 'tuna'"),
            (lambda: models.preprocessing("tuna"), "no network 'tuna'"),
            (lambda: models.input_shape(nn.ReLU()), "a ReLU was not built by the catalogue"),
            (lambda: models.preprocessing(nn.ReLU()), "a ReLU was not built by the catalogue"),
            (lambda: models.create("resnet18", clases=3), "'clases'; did you mean num_classes"),
            (lambda: models.create("lenet5", dropout=0), "lenet5 has no option 'dropout'; there"),
            (lambda: described("resnet50", variant="v2"), "'v1' or 'v1.5', got 'v2'"),
            (lambda: described("alexnet", dropout=2), "between 0 and 1, got 2"),
            (lambda: described("vgg_a", num_classes=0), "out_features must be at least 1, got 0"),
            (lambda: described("vgg_a", batch_norm="no"), "batch_norm is True or False, got 'no'"),
            (lambda: described("resnet18", in_channels=-1), "in_channels must be at least 1"),
        ],
    )
    def test_refuses(self, call: Callable[[], Any], message: str) -> None:
        with pytest.raises(ArgumentError) as caught:
            call()
        assert message in str(caught.value)


class TestWhatANetworkTells:
    def test_input_shape(self) -> None:
        sides = {"lenet5": (1, 32, 32), "alexnet": (1, 227, 227)}
        for name in NAMES:
            assert models.input_shape(name) == sides.get(name, (3, 224, 224))
            assert models.input_shape(described(name, in_channels=5))[0] == 5
        with mg.abstract():
            assert models.input_shape(models.resnet18(2, num_classes=4)) == (2, 224, 224)

    def test_preprocessing_is_that_of_torchvision_s_weights(self) -> None:
        for name in NAMES[1:]:
            how = models.preprocessing(name)
            assert (how.resize, how.crop) == (256, 224)
            assert how.mean == (0.485, 0.456, 0.406)
            assert how.std == (0.229, 0.224, 0.225)
        assert models.preprocessing(models.lenet5()).crop == 32

    def test_options(self) -> None:
        assert models.options("lenet5") == {"in_channels": 1, "num_classes": 10}
        assert models.options(described("vgg_b")) == {
            "in_channels": 3,
            "num_classes": 1000,
            "batch_norm": False,
            "dropout": 0.5,
        }

    def test_options_reach_the_layers(self) -> None:
        for name in NAMES:
            network = described(name, in_channels=2, num_classes=7)
            first, *_, last = [p.shape for p in network.parameters()]
            assert first[1] == 2
            assert last == (7,)
        rates = [
            m.p for m in described("vgg_b", dropout=0.2).modules() if isinstance(m, nn.Dropout)
        ]
        assert rates == [0.2, 0.2]
        for variant, strides in (("v1", [2, 1]), ("v1.5", [1, 2]), (None, [1, 2])):
            options = {"variant": variant} if variant else {}
            block = described("resnet50", **options).layer2[0]
            assert [block.conv1.stride[0], block.conv2.stride[0]] == strides


class TestFirstValues:
    def test_alexnet(self) -> None:
        mg.manual_seed(0)
        network = models.alexnet()
        layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        for layer, bias in zip(layers, (0, 1, 0, 1, 1, 1, 1, 0), strict=True):
            weight = layer.weight.detach().numpy()
            assert abs(weight.std() / 0.01 - 1) < 0.02
            assert abs(weight.mean()) < 6 * 0.01 / np.sqrt(weight.size)
            assert (layer.bias.detach().numpy() == bias).all()

    def test_residual_networks(self) -> None:
        mg.manual_seed(0)
        network = models.resnet18(num_classes=10)
        for name, parameter in network.named_parameters():
            values = parameter.detach().numpy()
            if parameter.ndim == 4:
                assert abs(values.std() / np.sqrt(2 / (values.size / values.shape[1])) - 1) < 0.05
            elif name == "fc.weight":
                assert abs(values.std() * np.sqrt(512) - 1) < 0.05
            else:
                assert (values == ("weight" in name)).all(), name

    def test_vgg_with_the_classifier_s_values_skipped(self) -> None:
        mg.manual_seed(0)
        with nn.init.skipped():
            network = models.vgg_a(num_classes=10, batch_norm=True)
        assert all((p.detach().numpy() == 0).all() for p in network.parameters() if p.ndim == 4), (
            "an outer block counts"
        )
        with pytest.MonkeyPatch.context() as patch:  # a hundred million numbers, drawn elsewhere
            patch.setattr(network.classifier[0], "weight", nn.Parameter(mg.zeros((400, 300))))
            network.reset_parameters()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                spread = np.sqrt(2 / (layer.out_channels * 9))
                assert abs(layer.weight.detach().numpy().std() / spread - 1) < 0.05
            elif isinstance(layer, nn.Linear) and layer.in_features == 4096:
                assert abs(layer.weight.detach().numpy().std() / 0.01 - 1) < 0.05
            if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
                assert not layer.bias.detach().numpy().any()

    def test_a_seed_gives_the_same_network_and_another_one_another(self) -> None:
        def drawn(seed: int) -> bytes:
            mg.manual_seed(seed)
            return models.resnet18().layer1[0].conv1.weight.detach().numpy().tobytes()

        assert drawn(3) == drawn(3) != drawn(4)

    def test_skipped_draws_nothing_and_ends_with_its_block(self) -> None:
        before = mg.get_rng_state()
        with pytest.raises(KeyError), nn.init.skipped():
            layer = nn.Linear(3, 4)
            raise KeyError
        assert mg.get_rng_state() == before
        assert not layer.weight.detach().numpy().any()
        layer.reset_parameters()
        assert layer.weight.detach().numpy().any()

    def test_the_largest_residual_network_is_built_in_two_seconds(self) -> None:
        start = time.process_time()
        network = models.resnet152()
        assert time.process_time() - start < 2
        assert sum(parameter.size for parameter in network.parameters()) == 60_192_808


TOO_SMALL = [
    ("lenet5", 8, "features_detector.3", "does not fit the height of 2"),
    ("lenet5", 28, "classifier.0", "(1, 256) and (120, 400)"),
    ("alexnet", 62, "features.12", "does not fit the height of 2"),
    ("vgg_a", 31, "features.20", "does not fit the height of 1"),
    ("vgg_e", 1, "features.4", "does not fit the height of 1"),
    ("resnet50", 0, "conv1", "(1, 3, 0, 0)"),
]


class TestPicturesThatDoNotFit:
    @pytest.mark.parametrize(("name", "side", "layer", "message"), TOO_SMALL)
    def test_too_small(self, name: str, side: int, layer: str, message: str) -> None:
        channels, _, _ = models.input_shape(name)
        with pytest.raises(ShapeError) as caught:
            mg.trace(described(name), mg.Spec((1, channels, side, side)))
        assert str(caught.value).startswith(f"{name}.{layer}: ")
        assert message in str(caught.value)

    @pytest.mark.parametrize(("name", "side"), [("alexnet", 63), ("vgg_e", 32), ("resnet152", 1)])
    def test_just_large_enough(self, name: str, side: int) -> None:
        channels, _, _ = models.input_shape(name)
        graph = mg.trace(described(name, num_classes=10), mg.Spec((2, channels, side, side)))
        assert [spec.shape for spec in graph.output_specs] == [(2, 10)]

    def test_too_small_when_computing(self) -> None:
        with pytest.raises(ShapeError, match=r"^lenet5\.features_detector\.3: conv2d: "):
            models.lenet5()(mg.zeros((1, 1, 8, 8)))

    @pytest.mark.parametrize("name", NAMES)
    def test_wrong_channels_and_axes(self, name: str) -> None:
        channels, side, _ = models.input_shape(name)
        network = described(name)
        first = next(path for path, m in network.named_modules() if isinstance(m, nn.Conv2d))
        for shape in ((1, channels + 1, side, side), (1, channels, side, side, 1), (1, channels)):
            with pytest.raises(ShapeError, match=rf"^{name}\.{first}: conv2d: "):
                mg.trace(network, mg.Spec(shape))
        with pytest.raises(MinigradError, match=rf"^{name}\."):
            mg.trace(network, mg.Spec((channels, side, side)))  # without the axis of the batch
