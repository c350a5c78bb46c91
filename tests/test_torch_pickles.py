"""Nothing in a file of PyTorch's runs code, takes more memory than the file has, or ends as
anything but a CheckpointError.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

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
    sequence,
    storage,
    tensor,
)
from torch_reading import FORMS, loaded, refused, refused_within

from minigrad.serialization import pickle_machine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.any"


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

    @pytest.mark.parametrize(
        ("begin", "count"), [(-1, 3), (0, -3), (4, 3), (2**63, 1), (0, 2**63), (None, 3), (0, 1.5)]
    )
    def test_a_part_outside_of_its_storage(self, begin: Any, count: Any, path: Path) -> None:
        part = group(plain("part"), plain(begin), plain(count))
        body = tensor(storage("FloatStorage", "0", 6, part), 0, (3,), (1,))
        refused(path, sequence(body, [("0", 6, NUMBERS.tobytes())]))

    def test_a_list_as_the_key_of_a_storage(self, path: Path) -> None:
        identity = plain("storage"), name("torch", "FloatStorage"), plain(["0"]), plain("cpu")
        for more in ((plain(6),), (plain(6), b"N")):
            body = tensor(group(*identity, *more) + b"Q", 0, (3,), (1,))
            for form in FORMS:
                refused(path, file_of(form, body, {"0": NUMBERS.tobytes()}))
