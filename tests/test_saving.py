"""Writing files: at once or not at all, whatever fails, and nothing but files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_serialization import round_trip

import minigrad as mg
from minigrad import serialization
from minigrad.errors import CheckpointError, MinigradError

SAVING = """
import sys
import numpy as np
import minigrad as mg
i = 0
while True:
    mg.save({"i": i, "x": np.full(2**19, i, "float32")}, sys.argv[1])
    print("saved", flush=True)
    i += 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first" / "last.safetensors"
    assert round_trip({"a": 1}, path) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


def test_the_longest_name(tmp_path: Path) -> None:
    assert round_trip({"a": 1}, tmp_path / ("x" * 255)) == {"a": 1}


@pytest.mark.parametrize(
    "fail",
    [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", ["write", "sync", "replace"])
def test_a_failing_write_leaves_the_old_file(
    fail: BaseException, where: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mg.save({"a": 1}, path)

    def write_half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise fail

    def refuse(*_: Any) -> None:
        raise fail

    owner: Any = os if where == "sync" else Path
    name = {"write": "write_bytes", "sync": "fsync", "replace": "replace"}[where]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, write_half if where == "write" else refuse)
        expected = CheckpointError if isinstance(fail, OSError) else type(fail)
        with pytest.raises(expected) as caught:
            mg.save({"a": 2}, path)
    if isinstance(fail, OSError):
        assert "cannot be written (No space left on device)" in str(caught.value)
    assert mg.load(path) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: folder,
        lambda folder: folder / "file" / "below",
        lambda folder: folder / ("x" * 300),
        lambda folder: folder / "a\0b",
        lambda folder: "",
        lambda folder: "/",
    ],
)
def test_paths_that_cannot_be_written(
    place: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("a file, no folder")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be written"):
        mg.save({"a": 1}, place(tmp_path))
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_symbolic_link_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.npz", tmp_path / "link.npz"
    link.symlink_to(Path("far") / "a.npz")
    for value in (1, 2):  # the first time the link points to nothing
        assert round_trip({"a": value}, link) == mg.load(target) == {"a": value}
        assert link.is_symlink() and not target.is_symlink()
    assert sorted(tmp_path.rglob("*")) == [target.parent, target, link]


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    """As root, /dev/null would become a file."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(CheckpointError, match=r"cannot be written \(it is a device or a pipe"):
            mg.save({"a": 1}, path)
        with pytest.raises(CheckpointError, match="no such file"):
            mg.load(path)
    assert pipe.is_fifo() and link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_a_process_that_is_killed_leaves_a_whole_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"state{ending}"
    for delay in (0.0, 0.003, 0.01, 0.03):
        command = [sys.executable, "-c", SAVING, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline()
            time.sleep(delay)
            process.kill()
        found = mg.load(path)
        np.testing.assert_array_equal(found["x"].numpy(), np.full(2**19, found["i"], "float32"))


def test_write_atomically_takes_any_writer(path: Path) -> None:
    serialization.write_atomically(path, lambda partial: partial.write_text("whole"))
    assert path.read_text() == "whole"
    with pytest.raises(MinigradError, match="cannot be written"):
        serialization.write_atomically(path, lambda partial: None)
    assert path.read_text() == "whole"
