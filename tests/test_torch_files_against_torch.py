"""What PyTorch itself saves, read without it, in both of its formats."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.errors import CheckpointError

torch = pytest.importorskip("torch")

FORMATS = [True, False]
DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8"]
NEWER = ["uint16", "uint32", "uint64"]  # PyTorch has no storages of them, and new files only


def through(obj: Any, path: Path, new: bool = True, protocol: int = 2, **options: Any) -> Any:
    torch.save(obj, path, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    return mg.load(path, **options)


def assert_equal(ours: Any, theirs: Any) -> None:
    """The same containers with the same values; half precision has become float32."""
    if isinstance(theirs, torch.Tensor):
        if theirs.dtype in (torch.float16, torch.bfloat16):
            theirs = theirs.float()
        expected = theirs.detach().numpy()
        assert ours.dtype == expected.dtype
        assert ours.shape == expected.shape
        np.testing.assert_array_equal(ours.numpy(), expected)
        assert ours.numpy().flags.aligned
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs)
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_equal(ours[key], value)
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is (tuple if isinstance(theirs, torch.Size) else type(theirs))
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_equal(mine, other)
    else:
        assert ours == theirs


class Block(torch.nn.Module):
    """Modules in modules, with buffers and a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
        self.scale = torch.nn.Parameter(torch.ones(4))
        self.half = torch.nn.Linear(3, 2).half()
        self.register_buffer("steps", torch.tensor(7))


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new", FORMATS)
class TestSaved:
    def test_every_dtype(self, new: bool, protocol: int, mmap: bool, tmp_path: Path) -> None:
        drawn = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)) * 50
        drawn[0, :3] = torch.tensor([0.0, -0.0, 1e-7])
        names = DTYPES + (NEWER if new else [])
        state = {name: drawn.abs().to(getattr(torch, name)) for name in names}
        state["bool"] = drawn > 0
        assert_equal(through(state, tmp_path / "x.pth", new, protocol, mmap=mmap), state)

    def test_views(self, new: bool, protocol: int, mmap: bool, tmp_path: Path) -> None:
        base = torch.arange(24.0)
        whole = base.view(2, 3, 4)
        state = {
            "whole": whole,
            "transposed": whole.permute(2, 0, 1),
            "strided": whole[:, ::2, 1::2],
            "expanded": whole[:1, :1].expand(5, 3, 4),
            "tail": base[20:],
            "scalar": base[3],
            "number": torch.tensor(2.5),
            "empty": torch.empty(0, 3),
            "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        }
        found = through(state, tmp_path / "x.pth", new, protocol, mmap=mmap)
        assert_equal(found, state)
        assert mmap or np.shares_memory(found["tail"].numpy(), found["transposed"].numpy())

    def test_training(self, new: bool, protocol: int, mmap: bool, tmp_path: Path) -> None:
        net = Block()
        optimizer = torch.optim.Adam([net.scale, *net.layers.parameters()])
        net.layers(torch.randn(2, 1, 5, 5)).mean().backward()
        optimizer.step()
        state = {
            "state_dict": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "sgd": torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9).state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": 3,
            "history": [0.5, (1, None), {"x": [torch.ones(2)]}],
            "size": torch.Size([1, 2]),
            "parameter": net.scale,
            "ordered": OrderedDict(b=1, a=2),
            "bytes": b"\x00\xff",
            "text": "ä",
            "set": {1, 2},
        }
        assert_equal(through(state, tmp_path / "x.pth", new, protocol, mmap=mmap), state)


@pytest.mark.parametrize("new", FORMATS)
class TestMore:
    def test_a_top_that_is_no_dictionary(self, new: bool, tmp_path: Path) -> None:
        for obj in (torch.ones(2, 3), [torch.ones(1), 2], 3, None):
            assert_equal(through(obj, tmp_path / "x.pth", new), obj)

    def test_half_precision_is_exact_for_all_numbers(self, new: bool, tmp_path: Path) -> None:
        patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
        for dtype in (torch.float16, torch.bfloat16):
            numbers = patterns.view(dtype)
            assert_equal(through({"x": numbers}, tmp_path / "x.pth", new), {"x": numbers})

    def test_tensors_with_attributes(self, new: bool, tmp_path: Path) -> None:
        tensor, parameter = torch.ones(3), torch.nn.Parameter(torch.zeros(2))
        tensor.note, parameter.note = "mine", "too"
        obj = {"tensor": tensor, "parameter": parameter}
        assert_equal(through(obj, tmp_path / "x.pth", new), obj)

    @pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "model._orig_mod."])
    def test_a_network_of_pytorch_in_one_of_ours(
        self, new: bool, wrap: str, tmp_path: Path
    ) -> None:
        theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        wrapped = {f"{wrap}{key}": value for key, value in theirs.state_dict().items()}
        found = through({"model": wrapped}, tmp_path / "x.bin", new, strip_prefix=wrap)
        ours.load_state_dict(found["model"])
        x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
        expected = theirs(torch.tensor(x)).detach().numpy()
        np.testing.assert_allclose(
            ours(mg.tensor(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-6
        )

    def test_a_whole_module_is_refused_by_name(self, new: bool, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"needs '.*Linear'.* save its state_dict\(\)"):
            through(torch.nn.Linear(2, 2), tmp_path / "x.pth", new)

    @pytest.mark.parametrize("dtype", ["complex64", "float8_e4m3fn"])
    def test_numbers_that_minigrad_has_not(self, new: bool, dtype: str, tmp_path: Path) -> None:
        if dtype.startswith("float8") and not new:
            pytest.skip("PyTorch writes it in new files only")
        with pytest.raises(CheckpointError, match=r"Complex|float8|untyped"):
            through({"x": torch.zeros(2).to(getattr(torch, dtype))}, tmp_path / "x.pth", new)

    @pytest.mark.filterwarnings("ignore:torch.quantize")
    def test_other_tensors_are_refused(self, new: bool, tmp_path: Path) -> None:
        quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
        for obj in (torch.eye(2).to_sparse(), quantized, torch.empty(2, device="meta")):
            with pytest.raises(CheckpointError, match=r"needs 'torch\."):
                through(obj, tmp_path / "x.pth", new)


def test_our_files_are_read_by_pytorch(tmp_path: Path) -> None:
    torch_safetensors = pytest.importorskip("safetensors.torch")
    net = models.create("lenet5")
    mg.save(net.state_dict(), tmp_path / "x.safetensors")
    found = torch_safetensors.load_file(tmp_path / "x.safetensors")
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(found[key].numpy(), value.numpy())


def test_our_optimizer_goes_on_from_pytorchs_checkpoint(tmp_path: Path) -> None:
    theirs = torch.nn.Linear(3, 2)
    their_optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(4, 3)

    def step() -> None:
        their_optimizer.zero_grad()
        theirs(x).square().sum().backward()
        their_optimizer.step()

    step()
    state = through(
        {"net": theirs.state_dict(), "sgd": their_optimizer.state_dict()}, tmp_path / "x.pth"
    )
    step()
    ours = nn.Linear(3, 2)
    ours.load_state_dict(state["net"])
    optimizer = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    momenta = {
        number: {key: value for key, value in entry.items() if value is not None}
        for number, entry in state["sgd"]["state"].items()
    }
    known = optimizer.state_dict()["param_groups"][0]
    groups = [{k: v for k, v in g.items() if k in known} for g in state["sgd"]["param_groups"]]
    optimizer.load_state_dict({"state": momenta, "param_groups": groups})
    y = ours(mg.tensor(x.numpy()))
    (y * y).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(
        ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-5, atol=1e-6
    )
