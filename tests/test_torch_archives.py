"""Archives that lie, and files that are damaged: refused, or read as they were."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_archives import (
    FILES,
    NO_HOOKS,
    NUMBERS,
    ONE_TENSOR,
    archive,
    group,
    mapping,
    plain,
    sequence,
    storage,
    tensor,
)
from torch_reading import IN_A_FOLDER, loaded, refused

import minigrad as mg
from minigrad.errors import CheckpointError
from minigrad.serialization import archive as archives
from minigrad.serialization.contents import Contents


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.any"


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

    def test_names_cannot_write_to_the_terminal(self, path: Path) -> None:
        said = refused(path, zip_of([("\x1b[2J.npy", b"")]))
        assert "\\x1b[2J.npy" in said and said.isprintable()

    def test_an_array_of_objects_is_no_pickle_to_run(self, path: Path) -> None:
        class Harmful:
            def __reduce__(self) -> Any:
                return (path.parent / "sentinel").touch, ()

        file = io.BytesIO()
        np.savez(file, a=np.array([Harmful()], object), allow_pickle=True)
        assert "holds object, which" in refused(path, file.getvalue())
        assert not (path.parent / "sentinel").exists()

    @pytest.mark.parametrize(
        "header",
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -1)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 70 + ")}",
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
