"""Parameters, multiply-adds and layers of every network, as the lecture and the papers count them.

Networks are built without values and traced on specs, so all of it takes seconds.
"""

from __future__ import annotations

from typing import Any

import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.graph import Graph

IMAGENET: dict[str, Any] = {"in_channels": 3, "num_classes": 1000}
V1, V1_5 = {"variant": "v1"}, {"variant": "v1.5"}

COUNTS = [
    # name, options, parameters, multiply-adds for one picture, layers with weights
    ("lenet5", {}, 61_706, 416_520, 5),
    ("alexnet", {}, 57_029_322, 664_141_824, 8),
    ("vgg_a", {}, 132_863_336, 7_609_090_048, 11),
    ("vgg_a_lrn", {}, 132_863_336, 7_609_090_048, 11),
    ("vgg_b", {}, 133_047_848, 11_308_466_176, 13),
    ("vgg_c", {}, 133_638_952, None, 16),
    ("vgg_d", {}, 138_357_544, 15_470_264_320, 16),
    ("vgg_e", {}, 143_667_240, 19_632_062_464, 19),
    ("resnet18", V1, 11_689_512, 1_814_073_344, 18),
    ("resnet18", V1_5, 11_689_512, 1_814_073_344, 18),
    ("resnet34", V1, 21_797_672, 3_663_761_408, 34),
    ("resnet34", V1_5, 21_797_672, 3_663_761_408, 34),
    ("resnet50", V1, 25_557_032, 3_857_973_248, 50),
    ("resnet50", V1_5, 25_557_032, 4_089_184_256, 50),
    ("resnet101", V1, 44_549_160, 7_570_194_432, 101),
    ("resnet101", V1_5, 44_549_160, 7_801_405_440, 101),
    ("resnet152", V1, 60_192_808, 11_282_415_616, 152),
    ("resnet152", V1_5, 60_192_808, 11_513_626_624, 152),
    ("resnet152", {"in_channels": 2, "num_classes": 10}, 58_161_162, None, 152),
]

PAPER_FLOPS = {
    "resnet18": 1.8,
    "resnet34": 3.6,
    "resnet50": 3.8,
    "resnet101": 7.6,
    "resnet152": 11.3,
}
"""10⁹ multiply-adds, which the paper calls FLOPs (He et al. 2016, table 1)."""

ALEXNET_LAYERS = [
    ("Conv2d", (64, 56, 56), 7_808),
    ("ReLU", (64, 56, 56), 0),
    ("MaxPool2d", (64, 27, 27), 0),
    ("Conv2d", (192, 27, 27), 307_392),
    ("ReLU", (192, 27, 27), 0),
    ("MaxPool2d", (192, 13, 13), 0),
    ("Conv2d", (384, 13, 13), 663_936),
    ("ReLU", (384, 13, 13), 0),
    ("Conv2d", (256, 13, 13), 884_992),
    ("ReLU", (256, 13, 13), 0),
    ("Conv2d", (256, 13, 13), 590_080),
    ("ReLU", (256, 13, 13), 0),
    ("MaxPool2d", (256, 6, 6), 0),
    ("AdaptiveAvgPool2d", (256, 6, 6), 0),
    ("Dropout", (9216,), 0),
    ("Linear", (4096,), 37_752_832),
    ("ReLU", (4096,), 0),
    ("Dropout", (4096,), 0),
    ("Linear", (4096,), 16_781_312),
    ("ReLU", (4096,), 0),
    ("Linear", (10,), 40_970),
]
LENET_LAYERS = [
    ("Conv2d", (6, 28, 28), 156),
    ("AvgPool2d", (6, 14, 14), 0),
    ("Sigmoid", (6, 14, 14), 0),
    ("Conv2d", (16, 10, 10), 2_416),
    ("AvgPool2d", (16, 5, 5), 0),
    ("Sigmoid", (16, 5, 5), 0),
    ("Linear", (120,), 48_120),
    ("Sigmoid", (120,), 0),
    ("Linear", (84,), 10_164),
    ("Sigmoid", (84,), 0),
    ("Linear", (10,), 850),
]

VGG_COLUMNS = {
    "vgg_a": "3-64 M | 3-128 M | 3-256 3-256 M | 3-512 3-512 M | 3-512 3-512 M",
    "vgg_a_lrn": "3-64 LRN M | 3-128 M | 3-256 3-256 M | 3-512 3-512 M | 3-512 3-512 M",
    "vgg_b": "3-64 3-64 M | 3-128 3-128 M | 3-256 3-256 M | 3-512 3-512 M | 3-512 3-512 M",
    "vgg_c": "3-64 3-64 M | 3-128 3-128 M | 3-256 3-256 1-256 M "
    "| 3-512 3-512 1-512 M | 3-512 3-512 1-512 M",
    "vgg_d": "3-64 3-64 M | 3-128 3-128 M | 3-256 3-256 3-256 M "
    "| 3-512 3-512 3-512 M | 3-512 3-512 3-512 M",
    "vgg_e": "3-64 3-64 M | 3-128 3-128 M | 3-256 3-256 3-256 3-256 M "
    "| 3-512 3-512 3-512 3-512 M | 3-512 3-512 3-512 3-512 M",
}
"""The columns of the lecture's table: kernel-filters, M for maxpool."""

ALEXNET = """\
AlexNetR(
  (features): Sequential(
    (0): Conv2d(1, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))
    (1): ReLU(inplace=True)
    (2): MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
    (3): Conv2d(64, 192, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    (4): ReLU(inplace=True)
    (5): MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
    (6): Conv2d(192, 384, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (7): ReLU(inplace=True)
    (8): Conv2d(384, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (9): ReLU(inplace=True)
    (10): Conv2d(256, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (11): ReLU(inplace=True)
    (12): MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
  )
  (avgpool): AdaptiveAvgPool2d(output_size=(6, 6))
  (classifier): Sequential(
    (0): Dropout(p=0.5, inplace=False)
    (1): Linear(in_features=9216, out_features=4096, bias=True)
    (2): ReLU(inplace=True)
    (3): Dropout(p=0.5, inplace=False)
    (4): Linear(in_features=4096, out_features=4096, bias=True)
    (5): ReLU(inplace=True)
    (6): Linear(in_features=4096, out_features=10, bias=True)
  )
)"""


def abstract(name: str, **options: Any) -> nn.Module:
    with mg.abstract():
        return models.create(name, **options)


def traced(name: str, **options: Any) -> Graph:
    """The network in evaluation on one picture."""
    _, height, width = models.input_shape(name)
    channels = options.get("in_channels", 1 if name in ("lenet5", "alexnet") else 3)
    return mg.trace(abstract(name, **options).eval(), mg.Spec((1, channels, height, width)))


@pytest.mark.parametrize(("name", "options", "parameters", "macs", "layers"), COUNTS)
def test_counts(
    name: str, options: dict[str, Any], parameters: int, macs: int | None, layers: int
) -> None:
    network = abstract(name, **options)
    assert sum(p.size for p in network.parameters()) == parameters
    graph = traced(name, **options)
    assert macs is None or graph.cost.macs == macs
    weighted = [node for node in graph.calls if node.name in ("conv2d", "linear")]
    shortcuts = [node for node in weighted if "downsample" in node.module_path]
    assert len(weighted) - len(shortcuts) == layers


@pytest.mark.parametrize(("name", "billions"), PAPER_FLOPS.items())
def test_flops_of_the_paper(name: str, billions: float) -> None:
    """The paper cuts off digits: 3.66 stands as 3.6, and 7.57 as 7.6."""
    counted = traced(name, **V1).cost.macs / 1e9
    assert abs(counted - billions) < 0.07


@pytest.mark.parametrize(("name", "rows"), [("lenet5", LENET_LAYERS), ("alexnet", ALEXNET_LAYERS)])
def test_layers_of_the_lecture(name: str, rows: list[tuple[str, tuple[int, ...], int]]) -> None:
    network = abstract(name)
    seen: list[tuple[str, tuple[int, ...], int]] = []

    def note(module: nn.Module, _: Any, y: mg.Tensor) -> None:
        count = sum(p.size for p in module.parameters())
        seen.append((type(module).__name__, y.shape[1:], count))

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    mg.trace(network, mg.Spec((1, *models.input_shape(name))))
    assert seen == rows


def test_alexnet_prints_as_in_the_lecture() -> None:
    assert repr(abstract("alexnet")) == ALEXNET


@pytest.mark.parametrize(("name", "column"), VGG_COLUMNS.items())
def test_the_table_of_vgg(name: str, column: str) -> None:
    found = []
    for layer in abstract(name).modules():
        if isinstance(layer, nn.Conv2d):
            found.append(f"{layer.kernel_size[0]}-{layer.out_channels}")
        elif isinstance(layer, nn.MaxPool2d | nn.LocalResponseNorm):
            found.append("M" if isinstance(layer, nn.MaxPool2d) else "LRN")
        elif isinstance(layer, nn.Linear):
            found.append(f"FC-{layer.out_features}")
    assert found == [*column.replace("|", "").split(), "FC-4096", "FC-4096", "FC-1000"]


def test_torchvision_s_keys() -> None:
    resnet = set(abstract("resnet50").state_dict())
    assert {"conv1.weight", "layer1.0.downsample.1.running_var", "layer4.2.bn3.bias"} <= resnet
    assert {"fc.weight", "bn1.num_batches_tracked"} <= resnet
    assert len(resnet) == 320
    vgg = abstract("vgg_d").state_dict()
    assert list(vgg)[:2] == ["features.0.weight", "features.0.bias"]
    assert list(vgg)[-2:] == ["classifier.6.weight", "classifier.6.bias"]
    assert vgg["features.28.weight"].shape == (512, 512, 3, 3)
    normalized = abstract("vgg_d", batch_norm=True).state_dict()
    assert "features.41.running_mean" in normalized
    assert len(normalized) == 97
    assert set(abstract("alexnet", **IMAGENET).state_dict()) == {
        f"{block}.{i}.{part}"
        for block, places in (("features", (0, 3, 6, 8, 10)), ("classifier", (1, 4, 6)))
        for i in places
        for part in ("weight", "bias")
    }


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_traced_with_its_backward(name: str) -> None:
    network = abstract(name)
    graph = mg.trace(network, mg.Spec((2, *models.input_shape(name))), backward=True)
    trained = {f"grad.{key}" for key, _ in network.named_parameters()}
    assert set(graph.output_names) == {"output", "loss"} | trained
    specs = dict(zip(graph.output_names, graph.output_specs, strict=True))
    assert all(specs[f"grad.{key}"] == p.spec for key, p in network.named_parameters())
