"""PyTorch's files without PyTorch: what they give, and that nothing in one can run code, take more
memory than the file has, or end as anything but a CheckpointError.
"""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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

import minigrad as mg
from minigrad.errors import CheckpointError
from minigrad.serialization import archive as archives
from minigrad.serialization import pickle_machine, torch_tensors
from minigrad.serialization.contents import Contents

FORMS = sorted(FILES)
IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.any"


def loaded(path: Path, content: bytes, **options: Any) -> Any:
    path.write_bytes(content)
    return mg.load(path, **options)


def refused(path: Path, content: bytes, **options: Any) -> str:
    """What the refusal says; reading takes little memory."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            mg.load(path, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22 + 10 * len(content)
    assert str(caught.value).startswith(f"{path}: cannot be read")
    return str(caught.value)


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


def harmful(sentinel: str) -> dict[str, bytes]:
    """Pickles that Python's own unpickler would let make a file, or start something."""
    command = plain(f"touch {sentinel}")
    source = plain(f"open({sentinel!r}, 'w')")
    named = {
        "os.system": (name("os", "system"), command),
        "posix.system": (name("posix", "system"), command),
        "subprocess.getoutput": (name("subprocess", "getoutput"), command),
        "builtins.eval": (name("builtins", "eval"), source),
        "builtins.exec": (name("builtins", "exec"), source),
        "builtins.open": (name("builtins", "open"), plain(sentinel), plain("w")),
        "builtins.getattr": (name("builtins", "getattr"), source, plain("join")),
        "numpy.load": (name("numpy", "load"), plain(sentinel)),
        "torch.load": (name("torch", "load"), plain(sentinel)),
        "types.CodeType": (name("types", "CodeType"), plain(0)),
        "copyreg._reconstructor": (name("copyreg", "_reconstructor"), name("builtins", "list")),
        "functools.partial": (name("functools", "partial"), name("os", "system"), command),
        "collections.OrderedDict.fromkeys": (name("collections", "OrderedDict.fromkeys"), command),
        "torch._utils._rebuild_tensor_v2.__globals__": (
            name("torch._utils", "_rebuild_tensor_v2.__globals__"),
            command,
        ),
    }
    bodies = {wanted: call(*parts) for wanted, parts in named.items()}
    bodies["INST"] = b"(" + command + b"ios\nsystem\n"
    bodies["OBJ"] = b"(" + NO_HOOKS + command + b"o"
    bodies["NEWOBJ"] = name("collections", "OrderedDict") + b")\x81"
    bodies["EXT1"] = b"\x82\x01"
    bodies["os.system, on the stack"] = plain("os") + plain("system") + b"\x93" + group(command)
    bodies["os.system, in the state"] = NO_HOOKS + mapping({"__setstate__": name("os", "system")})
    return bodies


class TestNoCodeRuns:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("wanted", harmful(""))
    def test_a_pickle_that_would_run_code(self, wanted: str, form: str, tmp_path: Path) -> None:
        sentinel = tmp_path / "sentinel"
        body = harmful(str(sentinel))[wanted]
        said = refused(tmp_path / "x.pth", file_of(form, body, {}))
        assert wanted.partition(",")[0] in said
        assert not sentinel.exists()

    @pytest.mark.parametrize(
        "body",
        [
            call(plain("os.system"), plain("true")),
            call(plain(print.__name__), plain(1)),
            call(name("torch", "FloatStorage"), plain(1)),
            call(name("torch", "Tensor"), plain(1)),
            call(name("torch", "float32"), plain(1)),
            call(NO_HOOKS, plain(1)),
            name("collections", "OrderedDict") + plain([]) + b"R",
            # attributes of what is shared between readings
            name("torch._utils", "_rebuild_tensor_v2") + plain({"make": 1}) + b"b",
            name("torch", "Tensor") + plain({"make": 1}) + b"b",
            name("torch", "FloatStorage") + plain({"kind": "bool"}) + b"b",
            ONE_TENSOR + plain({"_array": 1}) + b"b",
            plain([]) + plain({"a": 1}) + b"b",
            # what only stands for something is no value
            name("torch._utils", "_rebuild_tensor_v2"),
            name("torch", "FloatStorage"),
            mapping({"a": group(name("torch", "Tensor"))}),
            storage("FloatStorage", "0", 6),
            # arguments that are none
            call(name("torch", "Size"), plain(3)),
            call(name("torch", "Size")),
            call(name("collections", "OrderedDict"), plain([1])),
            call(name("collections", "OrderedDict"), plain([(1, 2, 3)])),
            call(name("builtins", "set"), plain([[]])),
            call(name("builtins", "bytearray"), plain(2**40)),
            call(name("builtins", "bytes"), plain(2**40)),
            call(name("_codecs", "encode"), plain("x"), plain("zlib_codec")),
            call(name("torch._utils", "_rebuild_parameter"), plain(1)),
            call(name("torch._utils", "_rebuild_tensor_v2"), plain(1)),
            call(name("torch._utils", "_rebuild_tensor_v2"), *[plain(1)] * 6),
            call(
                name("torch._tensor", "_rebuild_from_type_v2"),
                name("torch", "Size"),
                name("torch", "Tensor"),
                plain(((1,),)),
                plain({}),
            ),
            # persistent ids that name no storage
            plain("storage") + b"Q",
            plain(("storage", 1, "0", "cpu", 6)) + b"Q",
            plain(("module", 1, "0", "cpu", 6)) + b"Q",
            b"Pstorage\n",
            storage("FloatStorage", "0", -1),
            storage("FloatStorage", "0", 1.5),
            storage("FloatStorage", "0", True),
            # instructions out of order
            b"t",
            b"0",
            b"R",
            b"u",
            b"}(X\x01\0\0\0au",
            b"]X\x01\0\0\0a)s",
            b"h\x05",
            b"q\x00",
            b"}" + plain([]) + plain(1) + b"s",
            b"}" + plain((1, 2)) + plain(1) + b"s",
            b"}" + plain(2**60) + plain(1) + b"s",
            b"I" + b"9" * 5000 + b"\n",
            b"I" + b"x\n",
            b"F" + b"x\n",
            b"\x8b\xff\xff\xff\x7f",
            b"\xff",
        ],
        ids=lambda body: ascii(body)[:40],
    )
    @pytest.mark.parametrize("form", FORMS)
    def test_what_no_pickler_of_pytorch_writes(self, form: str, body: bytes, path: Path) -> None:
        refused(path, file_of(form, body, {"0": NUMBERS.tobytes()}))
        # and the next file is read as ever
        assert loaded(path, FILES[form])["x"].shape == (2, 3)


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return opening * depth + closing * depth


def laughs() -> bytes:
    """A list of ten lists of ten lists ..., 10^50 in all, by reference."""
    body = b"]q\x00"
    for i in range(50):
        body += b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
    return body


class TestBombs:
    @pytest.mark.parametrize(
        "body",
        [
            b"Nr" + struct.pack("<I", 2**32 - 1) + b"Np99999999999999999999\n000",
            b"\x8e" + struct.pack("<Q", 2**62),
            b"B" + struct.pack("<I", 2**31) + b"x",
            b"X" + struct.pack("<I", 2**32 - 1) + b"x",
            b"\x95" + struct.pack("<Q", 2**63),
        ],
        ids=["memo", "bytes", "short bytes", "text", "frame"],
    )
    def test_sizes_that_lie(self, body: bytes, path: Path) -> None:
        refused(path, archive(body))

    def test_a_thousand_million_laughs_are_a_few_lists(self, path: Path) -> None:
        found = loaded(path, archive(laughs()), strip_prefix="module.")
        assert len(found) == 10

    def test_a_key_whose_hash_would_take_forever(self, path: Path) -> None:
        tuples = b")" + b"2\x86" * 100
        assert "a key is text or a number" in refused(path, archive(b"}" + tuples + b"Ns"))

    @pytest.mark.parametrize("kind", ["list", "tuple", "dict"])
    def test_nesting_without_end_is_read_and_freed(self, kind: str, path: Path) -> None:
        depth = 100_000
        body = {
            "list": b"]" * depth + b"a" * (depth - 1),
            "tuple": b")" + b"\x85" * depth,
            "dict": b"}" + b"K\x01}" * depth + b"s" * depth,
        }[kind]
        found = loaded(path, archive(body), strip_prefix="module.")
        assert type(found).__name__ == kind
        del found

    def test_copies_of_copies(self, path: Path) -> None:
        many = b"](" + b"K\x01" * 20_000 + b"eq\x00"
        make = name("builtins", "set") + b"h\x00\x85R0"
        assert "without bound" in refused_within(path, archive(many + make * 20_000 + b"N"))

    def test_more_instructions_than_any_checkpoint_has(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pickle_machine, "MOST_STEPS", 1000)
        assert "more than 1,000 instructions" in refused(path, archive(b"N0" * 1000 + b"N"))
        assert loaded(path, archive(b"N0" * 400 + b"N")) is None

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        ("count", "offset", "shape", "strides"),
        [
            (7, 0, (2,), (1,)),
            (2**60, 0, (2,), (1,)),
            (2**70, 0, (2,), (1,)),
            (6, 0, (7,), (1,)),
            (6, 6, (1,), (1,)),
            (6, 6, (), ()),
            (6, -1, (2,), (1,)),
            (6, 5, (2,), (-1,)),
            (6, 0, (-1,), (1,)),
            (6, 0, (2, 3), (4, 1)),
            (6, 0, (2, 3), (1,)),
            (6, 0, (2, 2), (2**63, 1)),
            (6, 2**64, (1,), (1,)),
            (6, 0, (2**40,), (0,)),
            (6, 0, (2**40, 2**40), (0, 0)),
            (6, 0, (0, 2**62, 2**62), (1, 1, 1)),
            (6, 0, (2**64, 0), (1, 1)),
            (6, 0, (1,) * 70, (1,) * 70),
            (6, 0, (True,), (1,)),
            (6, 0, (2.0,), (1,)),
            (6, None, (2,), (1,)),
            (6, 0, None, (1,)),
            (6, 0, "ab", "ab"),
        ],
    )
    def test_windows_outside_their_storage(
        self, form: str, count: int, offset: Any, shape: Any, strides: Any, path: Path
    ) -> None:
        body = tensor(storage("FloatStorage", "0", count), offset, shape, strides)
        refused(path, file_of(form, body, {"0": NUMBERS.tobytes()}))

    def test_a_boolean_is_0_or_1(self, path: Path) -> None:
        body = tensor(storage("BoolStorage", "0", 3), 0, (3,), (1,))
        assert "other than 0 and 1" in refused(path, archive(body, {"0": b"\0\1\2"}))

    def test_old_storages_that_lie(self, path: Path) -> None:
        body = mapping({"x": ONE_TENSOR})
        data = NUMBERS.tobytes()
        for storages in (
            [],
            [("1", 6, data)],
            [("0", 5, data)],
            [("0", -6, data)],
            [("0", 2**62, data)],
            [("0", 6, data[:-1])],
            [("0", 6, data), ("0", 6, data)],
        ):
            refused(path, sequence(body, storages))

    def test_one_storage_of_two_kinds_in_an_old_file(self, path: Path) -> None:
        other = tensor(storage("IntStorage", "0", 6), 0, (6,), (1,))
        body = group(ONE_TENSOR, other)
        assert "two kinds" in refused(path, sequence(body, [("0", 6, NUMBERS.tobytes())]))


def refused_within(path: Path, content: bytes) -> str:
    """What the refusal says; reading takes no more than what is spent on calls."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            mg.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * pickle_machine.MOST_BYTES
    return str(caught.value)


def zip_of(parts: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as opened:
        for part, data in parts:
            opened.writestr(part, data)
    return file.getvalue()


class TestArchives:
    BODY = mapping({"x": ONE_TENSOR})

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (zip_of([]), "has one data.pkl, this one has 0"),
            (zip_of([("a/data.pkl", b"N."), ("b/data.pkl", b"N.")]), "this one has 2"),
            (zip_of([("readme.txt", b"hello")]), "this one has 0"),
            (archive(BODY), "'archive/data/0' is missing"),
            (archive(BODY, records={"data/0": b"short"}), "has 5 bytes, too few for 6"),
            (archive(b"N", records={"byteorder": b"big"}), "big"),
            (archive(b"N", records={"byteorder": b"x" * 10_000}), "endian"),
            (archive(b"N", records={"data.pkl": b""}), "damaged"),
            (archive(b"N", records={"data.pkl": b"\x80\x02"}), "damaged"),
            (archive(BODY, {"0": bytes(24)}, compression=zipfile.ZIP_DEFLATED), "is compressed"),
            (archive(b"N", compression=zipfile.ZIP_LZMA), "is compressed"),
            (sequence(b"N", magic=7), "not one of PyTorch's"),
            (sequence(b"N", little_endian=False), "big-endian"),
            (pickle.dumps({"a": 1}, 4), "damaged"),
            (b"\x93NUMPY\1\0", "numpy.load"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"\x1f\x8b\x08" + bytes(20), "gzip"),
            (bytes(257) + b"ustar" + bytes(250), "before version 0.1.10"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_what_is_no_checkpoint(self, content: bytes, text: str, path: Path) -> None:
        assert text in refused(path, content)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_names_twice(self, path: Path) -> None:
        content = zip_of([("a/data.pkl", b"N."), ("a/data.pkl", b"K\1.")])
        assert "the same name" in refused(path, content)

    def test_names_that_lead_out_of_the_folder_are_names(self, path: Path) -> None:
        body = tensor(storage("FloatStorage", "../../x", 6), 0, (6,), (1,))
        before = sorted(path.parent.parent.rglob("*"))
        found = loaded(path, archive(body, {"../../x": NUMBERS.tobytes()}))
        assert found.tolist() == NUMBERS.tolist()
        path.unlink()
        assert sorted(path.parent.parent.rglob("*")) == before

    def test_a_wrong_bit_is_found_by_the_checksum(self, path: Path) -> None:
        content = bytearray(FILES["archive"])
        content[content.index(NUMBERS.tobytes()) + 7] ^= 1
        assert "checksum" in refused(path, bytes(content))

    def test_no_more_bytes_are_given_out_than_the_file_has(self, path: Path) -> None:
        path.write_bytes(bytes(100))
        with Contents(path, mapped=False) as contents:
            assert contents.array(10, 60).size == 60
            for offset, count in ((50, 51), (-1, 2), (0, -1), (2**70, 1), (101, 0)):
                with pytest.raises(CheckpointError, match="has only 100"):
                    contents.array(offset, count)
            with pytest.raises(CheckpointError, match="overlap"):
                contents.array(10, 60)

    def test_many_names_for_the_same_bytes(self, path: Path) -> None:
        """Else many names for the same bytes would fill the memory from a small file."""
        size = 2**16
        keys = [f"{i:03}" for i in range(100)]
        parts = [
            tensor(storage("FloatStorage", key, size // 4), 0, (size // 4,), (1,)) for key in keys
        ]
        whole = archive(group(*parts), {keys[0]: bytes(size)} | dict.fromkeys(keys[1:], b""))
        content = bytearray(whole)
        start = content.index(b"PK\1\2")
        with zipfile.ZipFile(io.BytesIO(whole)) as opened:
            first = opened.getinfo(f"archive/data/{keys[0]}")
        at = start
        while content[at : at + 4] == b"PK\1\2":
            lengths = struct.unpack("<3H", content[at + 28 : at + 34])
            if b"archive/data/" in content[at + 46 : at + 46 + lengths[0]]:
                content[at + 16 : at + 28] = struct.pack("<3I", first.CRC, size, size)
                content[at + 42 : at + 46] = struct.pack("<I", first.header_offset)
            at += 46 + sum(lengths)
        refused(path, bytes(content))
        refused(path, bytes(content), mmap=True)

    def test_a_zip_bomb_of_arrays(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "MOST_GROWTH", 2**20)
        file = io.BytesIO()
        np.savez_compressed(file, a=np.zeros(2**18), b=np.zeros(2**18))
        assert "would grow to" in refused(path, file.getvalue())

    def test_compressed_arrays_of_numpy(self, path: Path) -> None:
        arrays = {
            "zeros": np.zeros((100, 10)),
            "by columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
            "big": np.arange(3, dtype=">f4"),
            "half": np.arange(3, dtype=">f2"),
            "flags": np.array([True, False]),
            "scalar": np.array(3, np.uint16),
        }
        for write in (np.savez, np.savez_compressed):
            with path.open("wb") as file:
                write(file, **arrays)
            for mmap in (False, True):
                found = mg.load(path, mmap=mmap)
                assert list(found) == list(arrays)
                for key, array in arrays.items():
                    np.testing.assert_array_equal(found[key].numpy(), array)

    @pytest.mark.parametrize(
        "array",
        [
            np.array([{}], object),
            np.array(["text"]),
            np.array([1j]),
            np.zeros(2, "M8[s]"),
            np.zeros(2, [("a", "f4")]),
            np.zeros(2, np.longdouble),
        ],
        ids=lambda array: str(array.dtype),
    )
    def test_arrays_that_minigrad_has_not(self, array: Any, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, a=array)
        assert "which minigrad does not compute with" in refused(path, path.read_bytes())

    @pytest.mark.parametrize(
        "header",
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -1)}",
            "{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'shape': (2,)}",
            "__import__('os').abort()",
            "(" * 5000,
            "-" * 9000 + "1",
            "",
        ],
    )
    def test_array_headers_that_lie(self, header: str, path: Path) -> None:
        text = header.encode() + b"\n"
        npy = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(8)
        refused(path, zip_of([("a.npy", npy)]))


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=NUMBERS.reshape(2, 3))
    return file.getvalue()


class TestDamaged:
    """A damaged file is refused, or gives what it gave: parts of an archive have checksums."""

    CONTENTS = FILES | {"npz": npz()}

    @pytest.mark.parametrize("form", CONTENTS)
    @IN_A_FOLDER
    @given(data=st.data())
    def test_cut_short_anywhere(self, form: str, data: st.DataObject, path: Path) -> None:
        content = self.CONTENTS[form]
        refused(path, content[: data.draw(st.integers(0, len(content) - 1))])

    @pytest.mark.parametrize("form", CONTENTS)
    @settings(IN_A_FOLDER, max_examples=500)
    @given(data=st.data())
    def test_wrong_bytes_anywhere(self, form: str, data: st.DataObject, path: Path) -> None:
        content = bytearray(self.CONTENTS[form])
        places = st.integers(0, len(content) - 1)
        for place in data.draw(st.lists(places, min_size=1, max_size=3, unique=True)):
            content[place] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        tracemalloc.start()
        try:
            found = mg.load(path)
            if form == "sequence":  # which has no checksums
                return
            ((_, value),) = found.items()
            np.testing.assert_array_equal(value.numpy(), NUMBERS.reshape(2, 3))
        except CheckpointError as error:
            assert str(path) in str(error)
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 2**23

    @settings(IN_A_FOLDER, max_examples=500)
    @given(
        body=st.lists(
            st.integers(0, 255).map(lambda i: bytes([i]))
            | st.sampled_from(
                [
                    b"]",
                    b"}",
                    b")",
                    b"(",
                    b"t",
                    b"l",
                    b"d",
                    b"e",
                    b"u",
                    b"s",
                    b"a",
                    b"R",
                    b"b",
                    b"Q",
                    b"0",
                    b"1",
                    b"2",
                    b"q\0",
                    b"h\0",
                    b"K\1",
                    NO_HOOKS,
                    ONE_TENSOR,
                    plain("key"),
                    plain([1, 2]),
                ]
            ),
            max_size=30,
        ).map(b"".join)
    )
    def test_random_pickles(self, body: bytes, path: Path) -> None:
        try:
            loaded(path, archive(body, {"0": NUMBERS.tobytes()}))
        except CheckpointError as error:
            assert str(path) in str(error)
