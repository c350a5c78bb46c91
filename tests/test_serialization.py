"""Saving and loading: what comes back, what is refused, and damaged files."""

from __future__ import annotations

import io
import json
import math
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, CheckpointError, DtypeError
from minigrad.spec import DTYPES

IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SOME_STATE = {"model": {"weight": mg.ones((2, 3)), "bias": mg.zeros(2)}, "epoch": 3, "name": "x"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


def round_trip(obj: Any, path: Path) -> dict[str, Any]:
    mg.save(obj, path)
    return mg.load(path)


def raw(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def entries(**tensors: tuple[list[int], int, int]) -> bytes:
    """A header of float32 tensors: shape, and where the bytes begin and end."""
    header = {
        key: {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
        for key, (shape, start, end) in tensors.items()
    }
    return json.dumps(header).encode()


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


class TestRoundTrip:
    @pytest.fixture(params=["state.safetensors", "state.npz"])
    def path(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        return tmp_path / str(request.param)

    @pytest.mark.parametrize("dtype", sorted(DTYPES, key=str), ids=str)
    @pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
    def test_every_dtype_and_shape(self, dtype: Any, shape: tuple[int, ...], path: Path) -> None:
        array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
        found = round_trip({"x": mg.tensor(array)}, path)["x"]
        assert isinstance(found, mg.Tensor)
        assert found.spec == mg.Spec(shape, dtype)
        np.testing.assert_array_equal(found.numpy(), array)

    @IN_A_FOLDER
    @given(array=hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_side=4)))
    def test_every_bit_also_of_nan(self, array: Any, path: Path) -> None:
        assert round_trip({"x": array}, path)["x"].numpy().tobytes() == array.tobytes()

    def test_memory_order_and_byte_order_do_not_matter(self, path: Path) -> None:
        base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        views = {
            "transposed": base.transpose(2, 0, 1),
            "fortran": np.asfortranarray(base),
            "strided": base[:, ::-1, ::2],
            "broadcast": np.broadcast_to(base[:1], (5, 3, 4)),
            "big_endian": base.astype(">f4"),
        }
        views["channels_last"] = nn.Conv2d(1, 3, 2)(mg.ones((1, 1, 4, 4))).detach().numpy()
        assert not views["channels_last"].flags.c_contiguous
        found = round_trip(views, path)
        for name, view in views.items():
            np.testing.assert_array_equal(found[name].numpy(), view, err_msg=name)

    def test_nested_dictionaries_lists_and_plain_values(self, path: Path) -> None:
        obj = {
            "none": None,
            "flags": [True, False],
            "numbers": [0, -1, 2**70, 0.1, math.inf, 1e-320],
            "text": ["", "ä\0\n\ud800", "\\"],
            "empty": {"dict": {}, "list": [], "deep": [[{}]]},
            "": {"": "nameless"},
            "tensors": [mg.ones(1), {"a": mg.zeros(1)}],
        }
        found = round_trip(obj, path)
        *tensors, inner = [found["tensors"][0], found["tensors"][1].pop("a")]
        assert [tensors[0].tolist(), inner.tolist()] == [[1], [0]]
        del obj["tensors"], found["tensors"]
        assert found == obj
        assert math.isnan(round_trip({"x": math.nan}, path)["x"])

    def test_what_takes_another_form(self, path: Path) -> None:
        obj = OrderedDict([(3, (1, 2)), (-1, {"a": np.ones(2, np.float32)})])
        found = round_trip(obj, path)
        assert list(found) == ["3", "-1"]
        assert found["3"] == [1, 2]
        assert found["-1"]["a"].tolist() == [1, 1]

    @pytest.mark.parametrize(
        "obj",
        [
            {"a.b": 1.0, "a": {"b": 2.0}},
            {"a": {"b": 1.0}, "a.b": 2.0, "a.b'": 3.0},
            {"": 1.0, "x": {"": 2.0}, "x.": 3.0},
            {"__metadata__": 1.0, "minigrad": 2.0, "a": {"__metadata__": 3.0}},
            {"\ud800": 1.0, "a\ud801": 2.0, "?": 3.0, "a?": 4.0},
            {"a": [1.0, 2.0], "a.0": 3.0, "a.1": 4.0},
            {"a\0b": 1.0, "a?b": 2.0, "a": 3.0, "a.npy": 4.0, "__minigrad__": 5.0, "../x": 6.0},
        ],
    )
    def test_keys_that_collide_when_joined(self, obj: dict[str, Any], path: Path) -> None:
        def as_tensors(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: as_tensors(item) for key, item in value.items()}
            return [as_tensors(v) for v in value] if isinstance(value, list) else mg.tensor(value)

        assert str(round_trip(as_tensors(obj), path)) == str(as_tensors(obj))

    def test_a_network_and_what_it_requires(self, path: Path) -> None:
        net = models.lenet5()
        state = round_trip(net.state_dict(), path)
        assert list(state) == list(net.state_dict())
        assert not any(tensor.requires_grad for tensor in state.values())
        other = models.lenet5()
        other.load_state_dict(state)
        x = mg.rand((2, 1, 32, 32))
        np.testing.assert_array_equal(other(x).detach().numpy(), net(x).detach().numpy())
        if path.suffix == ".npz":
            assert set(np.load(path)) == {"__minigrad__", *state}
        else:
            assert set(header_of(path)[0]) == {"__metadata__", *state}
        mg.save({"p": net.classifier[0].bias * 2}, path)  # recorded, requires a gradient
        assert not mg.load(path)["p"].requires_grad

    @IN_A_FOLDER
    @given(array=hnp.arrays(np.float16, hnp.array_shapes(min_dims=0, max_side=4)))
    def test_half_precision_becomes_float32_exactly(self, array: Any, path: Path) -> None:
        if path.suffix == ".npz":
            np.savez(path, x=array)
        else:
            save_file({"x": array}, path)
        found = mg.load(path)["x"]
        assert found.spec == mg.Spec(array.shape)
        np.testing.assert_array_equal(found.numpy(), array.astype(np.float32))

    @pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
    def test_mapped_files_give_the_same_and_cannot_be_written_to(
        self, shape: tuple[int, ...], path: Path
    ) -> None:
        obj = {"x": mg.ones(shape), "whole": mg.ones(shape, "int8"), "flags": [mg.zeros(3, "bool")]}
        mg.save(obj, path)
        found = mg.load(path, mmap=True)
        assert str(found) == str(obj)
        assert all(array.numpy().flags.aligned for array in (found["x"], *found["flags"]))
        (found["x"] + 1).sum()
        path.unlink()
        assert str(found) == str(obj)

    def test_what_was_loaded_does_not_depend_on_the_file(self, path: Path) -> None:
        found = round_trip({"x": mg.ones(1000)}, path)["x"]
        path.write_bytes(b"")
        assert found.numpy().sum() == 1000

    def test_a_safetensors_file_of_another_program(self, path: Path) -> None:
        path = path.with_suffix(".safetensors")
        arrays = {"layer.weight": np.eye(2, dtype=np.float32), "count": np.array(3)}
        for metadata in (None, {"format": "pt"}):
            save_file(arrays, path, metadata)
            found = mg.load(str(path))
            assert sorted(found) == ["count", "layer.weight"]
            np.testing.assert_array_equal(found["layer.weight"].numpy(), np.eye(2))
            assert found["count"].shape == ()


def holds_itself() -> dict[str, Any]:
    obj: dict[str, Any] = {}
    obj["self"] = [obj]
    return obj


class TestRefused:
    @pytest.mark.parametrize(
        ("obj", "text"),
        [
            (mg.ones(1), "takes a dictionary, got Tensor"),
            ([1], "takes a dictionary, got list"),
            ({1: "a", "1": "b"}, "the key '1' is there twice"),
            ({"a": {0: mg.ones(1), "0": mg.ones(1)}}, "the key '0' is there twice"),
            ({1.5: 1}, r"keys are text or integers, got 1\.5"),
            ({"\0tensor": "x"}, "keys are text or integers"),
            ({"a": {"b": [object()]}}, r"a\.b\.0 is a object, which has no form"),
            ({"a": {1, 2}}, "a is a set"),
            ({"a": 1j}, "a is a complex"),
            (holds_itself(), "nested too deep, or holds itself"),
        ],
    )
    def test_what_has_no_form(self, obj: Any, text: str, path: Path) -> None:
        with pytest.raises(ArgumentError, match=text):
            mg.save(obj, path)
        assert not path.exists()

    @pytest.mark.parametrize("dtype", ["float16", "complex64", "U3", "object", "datetime64[s]"])
    def test_arrays_that_could_not_be_loaded(self, dtype: str, path: Path) -> None:
        with pytest.raises(DtypeError):
            mg.save({"a": np.zeros(2, dtype)}, path)
        assert not path.exists()

    @pytest.mark.parametrize("ending", ["pth", "pt", "bin", "PTH"])
    def test_pytorchs_format_is_not_written(self, ending: str, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match=r"take \.safetensors .* or \.npz"):
            mg.save({"a": 1}, tmp_path / f"x.{ending}")
        assert not list(tmp_path.iterdir())

    def test_a_name_too_long_for_npz(self, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match="too long for npz"):
            mg.save({"a" * 70_000: mg.ones(1)}, tmp_path / "x.npz")
        assert not list(tmp_path.iterdir())


class TestPrefixes:
    STATE: ClassVar = {
        "module.a": 1,
        "module._orig_mod.b": {"module.c": [{"module.d": 2}]},
        "e.module.": 3,
    }

    def test_prefixes_are_taken_from_all_keys(self, path: Path) -> None:
        mg.save(self.STATE, path)
        assert mg.load(path) == self.STATE
        assert mg.load(path, strip_prefix="module.") == {
            "a": 1,
            "_orig_mod.b": {"c": [{"d": 2}]},
            "e.module.": 3,
        }
        both = mg.load(path, strip_prefix=["_orig_mod.", "module."])
        assert both == {"a": 1, "b": {"c": [{"d": 2}]}, "e.module.": 3}

    def test_a_key_of_prefixes_takes_no_longer_than_another(self, path: Path) -> None:
        """Cutting off one after the other would copy a terabyte."""
        mg.save({"module." * 500_000 + "x": 1}, path.with_suffix(".npz"))
        assert mg.load(path.with_suffix(".npz"), strip_prefix=["a.", "module."]) == {"x": 1}

    def test_two_keys_that_would_become_one(self, path: Path) -> None:
        mg.save({"a": 1, "module.a": 2}, path)
        with pytest.raises(CheckpointError, match=r"without 'module\.' two keys are the same"):
            mg.load(path, strip_prefix="module.")

    @pytest.mark.parametrize("wrong", ["", [""], [1], 3, None])
    def test_what_is_no_prefix(self, wrong: Any, path: Path) -> None:
        mg.save({"a": 1}, path)
        with pytest.raises(ArgumentError, match="strip_prefix takes text"):
            mg.load(path, strip_prefix=wrong)


class TestDamaged:
    @IN_A_FOLDER
    @given(data=st.data())
    def test_cut_short_anywhere(self, data: st.DataObject, path: Path) -> None:
        mg.save(SOME_STATE, path)
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        with pytest.raises(CheckpointError, match="cannot be read"):
            mg.load(path)

    @settings(IN_A_FOLDER, max_examples=300)
    @given(data=st.data())
    def test_wrong_bytes_in_the_header(self, data: st.DataObject, path: Path) -> None:
        mg.save(SOME_STATE, path)
        content = bytearray(path.read_bytes())
        (length,) = struct.unpack("<Q", content[:8])
        positions = st.integers(0, 7 + length)
        for place in data.draw(st.lists(positions, min_size=1, max_size=4)):
            content[place] = data.draw(st.integers(0, 255) | st.sampled_from(b'{}[]",:09\\aI'))
        path.write_bytes(content)
        try:
            assert isinstance(mg.load(path), dict)
        except CheckpointError as error:
            assert str(path) in str(error)

    @IN_A_FOLDER
    @given(content=st.binary(max_size=40))
    def test_something_else(self, content: bytes, path: Path) -> None:
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            mg.load(path)

    def test_bytes_too_many(self, path: Path) -> None:
        mg.save(SOME_STATE, path)
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(CheckpointError):
            mg.load(path)

    @pytest.mark.parametrize(
        "content",
        [
            raw(b"{}", length=2**63),
            raw(b"{}", length=2**20),
            raw(b"[]"),
            raw(b"null"),
            raw(b"\xff\xfe"),
            raw(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', b"\0" * 4),
            raw(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"\0" * 8),
            raw(b'{"a":{"dtype":"F32","shape":[9e9],"data_offsets":[0,4]}}', b"\0" * 4),
            raw(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b"\0" * 4),
            raw(b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4),
            raw(entries(a=([2], 0, 8), b=([2], 4, 12)), b"\0" * 12),
            raw(entries(a=([2], 0, 8), b=([2], 0, 8)), b"\0" * 8),
            raw(entries(a=([2], 8, 0)), b"\0" * 8),
            raw(entries(a=([1], 2**63 - 4, 2**63)), b"\0" * 4),
            raw(entries(a=([1], 2**64 - 4, 2**64)), b"\0" * 4),
            raw(entries(a=([2**33, 2**33], 0, 4)), b"\0" * 4),
            raw(entries(a=([0, 2**62], 0, 0))),
            raw(entries(a=([1] * 70, 0, 4)), b"\0" * 4),
            raw(b'{"a":' + b"[" * 100_000),
        ],
    )
    def test_headers_that_lie(self, content: bytes, path: Path) -> None:
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            mg.load(path)

    @pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "C64"])
    def test_dtypes_minigrad_does_not_have(self, dtype: str, path: Path) -> None:
        size = {"C64": 8}.get(dtype, 1)
        entry = {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}
        path.write_bytes(raw(json.dumps({"a": entry}).encode(), b"\0" * size))
        with pytest.raises(CheckpointError, match="cannot be read"):
            mg.load(path)

    @pytest.mark.parametrize(
        "skeleton",
        [
            "",
            "{",
            "3",
            "[]",
            "null",
            '{"a": {"\\u0000tensor": "absent"}}',
            '{"a": {"\\u0000tensor": []}}',
            '{"a": {"\\u0000tensor": null}}',
            '{"\\u0000tensor": "x"}',
            "[" * 100_000,
            '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}",
        ],
    )
    def test_a_record_that_does_not_fit(self, skeleton: str, path: Path) -> None:
        save_file({"x": np.ones(1)}, path, {"minigrad": skeleton})
        with pytest.raises(CheckpointError):
            mg.load(path)

    @pytest.mark.parametrize("wrong", [None, 3, b"state.npz", ["a"], io.BytesIO()])
    def test_what_is_no_path(self, wrong: Any) -> None:
        for name, call in (("load", mg.load), ("save", lambda path: mg.save({"a": 1}, path))):
            with pytest.raises(ArgumentError, match=f"{name}: takes the path of a file, got"):
                call(wrong)

    def test_no_file(self, tmp_path: Path) -> None:
        for absent, text in [
            (tmp_path / "absent", "no such file"),
            (tmp_path, "is a folder"),
            (tmp_path / "a\0b", "no such file"),
            ("", "is a folder"),
        ]:
            with pytest.raises(CheckpointError, match=text):
                mg.load(absent)
