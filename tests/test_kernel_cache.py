"""Compiled kernels on disk: found again, invalidated by any change, harmless when damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad.errors
from minigrad.kernels import cache, jit

PACKAGE = Path(minigrad.errors.__file__).parent

# The cheapest kernel there is.
RUN = """
import numpy as np
from minigrad.kernels import jit, pool2d
compiled = []
jit.on_compile(compiled.append)
x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
out = pool2d.max_pool2d_gather(x, np.array([[[[3]], [[0]]]]))
assert out.ravel().tolist() == [3, 4]
print(",".join(compiled))
"""
COMPILED = "pool2d.gather"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of floor 0 that may be changed."""
    root = tmp_path / "source"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE / "kernels", root / "minigrad" / "kernels", ignore=unwanted)
    for name in ("errors.py", "threads.py"):
        shutil.copy(PACKAGE / name, root / "minigrad" / name)
    return root


def start(package: Path, **environment: str) -> subprocess.Popen:
    hidden = "MINIGRAD_CACHE_DIR", "XDG_CACHE_HOME"
    inherited = {k: v for k, v in os.environ.items() if k not in hidden}
    return subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=package,
        env={**inherited, "PYTHONPATH": str(package), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    out, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    assert "Warning" not in errors
    return out.strip()


def test_one_compilation_until_something_changes(package: Path, tmp_path: Path) -> None:
    place = {"MINIGRAD_CACHE_DIR": str(tmp_path / "cache")}
    pair = [start(package, **place) for _ in range(2)]  # both compile, both write
    assert {finish(process) for process in pair} <= {COMPILED, ""}
    assert finish(start(package, **place)) == ""
    (folder,) = (tmp_path / "cache").iterdir()
    assert [path.suffix for path in folder.iterdir()] == [".bin"]

    with (package / "minigrad" / "kernels" / "window.py").open("a") as file:
        file.write("\n# another text\n")
    assert finish(start(package, **place)) == COMPILED
    assert finish(start(package, **place)) == ""
    assert finish(start(package, NUMBA_OPT="1", **place)) == COMPILED


def test_a_damaged_file_is_compiled_again(package: Path, tmp_path: Path) -> None:
    place = {"MINIGRAD_CACHE_DIR": str(tmp_path / "cache")}
    assert finish(start(package, **place)) == COMPILED
    (path,) = (tmp_path / "cache").glob("*/*.bin")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", whole[:1000], bytes(flipped)):
        path.write_bytes(damaged)
        assert finish(start(package, **place)) == COMPILED
    assert finish(start(package, **place)) == ""


def test_a_folder_that_cannot_be_made_means_no_cache(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = {"MINIGRAD_CACHE_DIR": str(tmp_path / "file" / "below")}
    assert finish(start(package, **place)) == COMPILED


def test_the_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parent() -> Path:
        folder = cache.cache_folder()
        assert folder is not None and folder.name.startswith("kernels-")
        return folder.parent

    monkeypatch.setenv("MINIGRAD_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parent() == tmp_path / "own"
    monkeypatch.delenv("MINIGRAD_CACHE_DIR")
    assert parent() == tmp_path / "xdg" / "minigrad"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert parent() == tmp_path / ".cache" / "minigrad"


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    cache._write(tmp_path / "kernel.bin", b"code")
    assert list(tmp_path.iterdir()) == []


def test_observers_can_be_removed() -> None:
    seen: list[str] = []
    remove = jit.on_compile(seen.append)
    remove()
    remove()

    @jit.kernel
    def nothing(out) -> None:  # type: ignore[no-untyped-def]
        for i in jit.prange(len(out)):
            out[i] = i

    assert nothing.name == "test_kernel_cache.nothing"
    assert seen == []
