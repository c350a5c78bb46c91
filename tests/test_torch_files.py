"""PyTorch's files without PyTorch: what they give."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_archives import (
    FILES,
    NO_HOOKS,
    NUMBERS,
    ONE_TENSOR,
    archive,
    call,
    file_of,
    group,
    mapping,
    name,
    plain,
    program,
    sequence,
    storage,
    tensor,
)
from torch_reading import FORMS, loaded, refused

import minigrad as mg
from minigrad.serialization import torch_tensors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.any"


class TestValues:
    @pytest.mark.parametrize("mmap", [False, True])
    @pytest.mark.parametrize("form", FORMS)
    def test_a_tensor(self, form: str, mmap: bool, path: Path) -> None:
        found = loaded(path, FILES[form], mmap=mmap)["x"]
        np.testing.assert_array_equal(found.numpy(), NUMBERS.reshape(2, 3))
        assert found.numpy().flags.aligned
        assert (found + 1).sum().item() == 21

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        ("offset", "shape", "strides", "expected"),
        [
            (0, (), (), 0),
            (5, (), (), 5),
            (1, (2, 2), (1, 2), [[1, 3], [2, 4]]),
            (4, (3,), (0,), [4, 4, 4]),
            (5, (1, 1), (100, 2**62), [[5]]),
            (6, (0, 3), (3, 1), np.empty((0, 3))),
            (0, (3, 2), (1, 1), [[0, 1], [1, 2], [2, 3]]),
        ],
    )
    def test_windows(
        self, form: str, offset: int, shape: Any, strides: Any, expected: Any, path: Path
    ) -> None:
        body = tensor(storage("FloatStorage", "0", 6), offset, shape, strides)
        found = loaded(path, file_of(form, body, {"0": NUMBERS.tobytes()}))
        np.testing.assert_array_equal(found.numpy(), expected)
        np.testing.assert_array_equal((found * 1).numpy(), expected)

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("kind", sorted(torch_tensors.STORAGE_KINDS))
    def test_every_kind_of_storage(self, form: str, kind: str, path: Path) -> None:
        dtype = torch_tensors.STORAGE_KINDS[kind]
        if dtype == "bfloat16":
            expected = np.array([0, -1.5, 3.3895313892515355e38, np.inf, 9.183549615799121e-41])
            raw = (expected.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        else:
            raw = expected = np.array([0, 1, 1, 0, 1]).astype(dtype)
        body = tensor(storage(kind, "k", 5), 0, (5,), (1,))
        found = loaded(path, file_of(form, body, {"k": raw.tobytes()}, raw.itemsize))
        assert found.dtype == ("float32" if dtype.endswith("float16") else dtype)
        np.testing.assert_array_equal(found.numpy(), expected)

    def test_tensors_on_one_storage_share_their_memory(self, path: Path) -> None:
        half = storage("HalfStorage", "0", 6)
        body = group(*[tensor(half, offset, (3,), (1,)) for offset in (0, 1)])
        first, second = loaded(path, archive(body, {"0": NUMBERS.astype(np.float16).tobytes()}))
        assert np.shares_memory(first.numpy(), second.numpy())
        assert not first.numpy().flags.writeable

    def test_a_part_of_a_storage_in_an_old_file(self, path: Path) -> None:
        part = storage("FloatStorage", "0", 6, plain(("view", 2, 3)))
        body = tensor(part, 1, (2,), (1,))
        found = loaded(path, sequence(body, [("0", 6, NUMBERS.tobytes())]))
        assert found.tolist() == [3, 4]
        for view in (("view", 4, 3), ("view", -1, 3), ("view", 0, -1), ("view", 0), 3, (0, 0, 3)):
            body = tensor(storage("FloatStorage", "0", 6, plain(view)), 0, (0,), (1,))
            refused(path, sequence(body, [("0", 6, NUMBERS.tobytes())]))

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("protocol", range(6))
    def test_plain_values_of_every_protocol(self, form: str, protocol: int, path: Path) -> None:
        value = {
            "numbers": [0, -1, 255, 256, 65536, 2**31, -(2**70), 0.1, float("inf"), True, False],
            "text": ("", "ä\n\\", "x" * 300),
            "bytes": [b"", b"\xff\n", b"y" * 300],
            "none": None,
            "deep": [[[(1, (2, (3, 4, 5, 6)))]], {}, (), []],
            7: {None: 1, 2.5: 2, b"k": 3, True: 4},
            "sets": [{1, "a"}, frozenset([2])],
            "array": bytearray(b"abc"),
        }
        content = pickle.dumps(value, protocol)
        file = archive(b"", records={"data.pkl": content})
        if form == "sequence":
            file = sequence(b"").replace(program(b""), content)
        found = loaded(path, file)
        assert found == value
        assert [type(v) for v in found.values()] == [type(v) for v in value.values()]

    def test_what_holds_itself(self, path: Path) -> None:
        holds_itself: dict[str, Any] = {"module.a": 1}
        holds_itself["module.self"] = [holds_itself]
        file = archive(b"", records={"data.pkl": pickle.dumps(holds_itself, 2)})
        found = loaded(path, file, strip_prefix="module.")
        assert found["self"][0] is found and found["a"] == 1

    def test_what_pytorch_adds(self, path: Path) -> None:
        items = b"(" + group(plain("k"), plain(1)) + b"l"
        parameter = call(name("torch._utils", "_rebuild_parameter"), ONE_TENSOR, b"\x88", NO_HOOKS)
        kind = name("torch", "Tensor")
        arguments = group(*[storage("FloatStorage", "0", 6), plain(0), plain((1,)), plain((1,))])
        rebuild = name("torch._utils", "_rebuild_tensor_v2")
        with_attributes = call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            rebuild,
            kind,
            arguments,
            plain({"a": 1}),
        )
        body = mapping(
            {
                "size": call(name("torch", "Size"), plain((2, 3))),
                "dtype": name("torch", "float64") + b"",
                "half": name("torch", "bfloat16"),
                "attributes": NO_HOOKS + plain({"_metadata": 1}) + b"b",
                "items": call(name("collections", "OrderedDict"), items),
                "parameter": parameter,
                "with attributes": with_attributes,
                "python 2": b"U\x02\xc3\xa4",
                "python 2 bytes": b"U\x01\xff",
                "set": call(name("__builtin__", "set"), b"(" + plain(1) + b"l"),
                "bytes": call(name("_codecs", "encode"), plain("\xff"), plain("latin1")),
            }
        )
        found = loaded(path, archive(body, {"0": NUMBERS.tobytes()}))
        assert found.pop("parameter").tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found.pop("with attributes").tolist() == [0]
        assert found == {
            "size": (2, 3),
            "dtype": mg.float64,
            "half": mg.float32,
            "attributes": {},
            "items": {"k": 1},
            "python 2": "ä",
            "python 2 bytes": b"\xff",
            "set": {1},
            "bytes": b"\xff",
        }

    def test_a_nested_state_is_what_the_user_indexes(self, path: Path) -> None:
        body = mapping({"state_dict": mapping({"module.x": ONE_TENSOR}), "epoch": plain(3)})
        found = loaded(path, archive(body, {"0": NUMBERS.tobytes()}), strip_prefix="module.")
        assert found["epoch"] == 3
        assert found["state_dict"]["x"].shape == (2, 3)
