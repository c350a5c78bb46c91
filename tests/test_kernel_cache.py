"""Compiled kernels on disk: found again, invalidated by any change, harmless when damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import minigrad.errors
from minigrad.kernels import cache, jit

PACKAGE = Path(minigrad.errors.__file__).parent

EXAMPLE = """
import numpy as np
from minigrad.kernels.jit import kernel, prange

@kernel
def fill(out: np.ndarray) -> None:
    for i in prange(len(out)):
        out[i] = 2 * i
"""
RUN = """
import numpy as np
from minigrad.kernels import example, jit
compiled = []
jit.on_compile(compiled.append)
out = np.zeros(3, np.float32)
example.fill(out)
assert out.tolist() == [0, 2, 4]
print(",".join(compiled))
"""
COMPILED = "example.fill"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of floor 0 that may be changed, with a kernel that compiles in no time."""
    root = tmp_path / "source"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE / "kernels", root / "minigrad" / "kernels", ignore=unwanted)
    for name in ("errors.py", "threads.py"):
        shutil.copy(PACKAGE / name, root / "minigrad" / name)
    (root / "minigrad" / "kernels" / "example.py").write_text(EXAMPLE)
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
    def nothing(out) -> None:
        for i in jit.prange(len(out)):
            out[i] = i

    assert nothing.name == "test_kernel_cache.nothing"
    assert seen == []


STAMPS = [f"kernels-{digit * 20}" for digit in "0123456789"]


def make_folder(path: Path, days: float) -> Path:
    """A cache folder with a kernel, last used so many days ago."""
    path.mkdir(parents=True)
    (path / "conv.parallel.00.bin").write_bytes(b"code")
    (path / "conv.parallel.00.bin.11.tmp").write_bytes(b"half a co")
    then = time.time() - days * cache.DAY
    os.utime(path, (then, then))
    return path


def test_folders_not_used_for_a_month_are_removed(tmp_path: Path) -> None:
    own = make_folder(tmp_path / STAMPS[0], 100)
    old, fresh, future = (
        make_folder(tmp_path / stamp, days)
        for stamp, days in zip(STAMPS[1:], (30.1, 29.9, -50), strict=False)
    )
    others = [
        make_folder(tmp_path / name, 100)
        for name in ("kernels-of-mine", STAMPS[0] + "0", "kernels-" + "g" * 20, "notes")
    ]
    foreign = make_folder(tmp_path / STAMPS[4], 100)
    (foreign / "notes.txt").write_text("mine")
    make_folder(foreign / "below", 100)
    os.utime(foreign, (0, 0))
    target = make_folder(tmp_path / "elsewhere" / STAMPS[5], 100)
    (tmp_path / STAMPS[6]).symlink_to(target)
    (tmp_path / STAMPS[7]).touch()
    os.utime(tmp_path / STAMPS[7], (0, 0))
    cache.remove_unused(tmp_path, own)
    assert not old.exists()
    for kept in (own, fresh, future, *others, target):
        assert sorted(kept.glob("*.bin")), f"{kept} lost its kernels"
    assert sorted(p.name for p in foreign.iterdir()) == ["below", "notes.txt"]
    assert list((foreign / "below").iterdir())
    assert (tmp_path / STAMPS[6]).is_symlink() and (tmp_path / STAMPS[7]).is_file()
    cache.remove_unused(tmp_path / "nowhere", own)


def test_using_a_folder_marks_it_and_removes_others_once_a_day(
    package: Path, tmp_path: Path
) -> None:
    place = {"MINIGRAD_CACHE_DIR": str(tmp_path / "cache")}
    old = make_folder(tmp_path / "cache" / STAMPS[0], 31)
    assert finish(start(package, **place)) == COMPILED
    assert not old.exists()  # a new stamp is when an old one becomes useless
    (own,) = (tmp_path / "cache").iterdir()
    old = make_folder(tmp_path / "cache" / STAMPS[0], 31)
    assert finish(start(package, **place)) == ""
    assert old.exists()  # looked at less than a day ago
    os.utime(own, (0, 0))
    assert finish(start(package, **place)) == ""
    assert not old.exists()
    assert time.time() - own.stat().st_mtime < 300


def test_clearing_counts_the_kernels(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / STAMPS[0], 0)
    assert [path.name for path in cache.kernel_files(folder)] == ["conv.parallel.00.bin"]
    assert cache.clear(folder) == 1
    assert not folder.exists()
    assert cache.clear(folder) == 0
    assert cache.kernel_files(folder) == cache.kernel_files(None) == []
    link = tmp_path / "link"
    link.symlink_to(make_folder(tmp_path / STAMPS[1], 0))
    assert cache.clear(link) == 0
    assert len(cache.kernel_files(tmp_path / STAMPS[1])) == 1


def test_kernels_of_one_factory_share_no_names() -> None:
    # Their counts can be alike, being compiled in processes of their own.
    def made() -> Any:
        @jit.inner
        def part(x: float) -> float:
            return x

        return part

    names = {made().py_func.__qualname__ for _ in range(2)}
    assert len(names) == 2


CONVOLVED = """
import sys
import numpy as np
from minigrad.kernels.convolution import convolve

for name in sys.argv[1:]:
    N, C, size, K, stride = map(int, name.split(","))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, size, size, C), dtype=np.float32).transpose(0, 3, 1, 2)
    w = rng.standard_normal((K, C, 3, 3), dtype=np.float32)
    out, how = ((size - 1) // stride + 1,) * 2, ((stride,) * 2, ((1, 1),) * 2, (1, 1), 1)
    print(name, float(np.abs(convolve(x, w, None, out, *how)).sum()), flush=True)
"""


@pytest.mark.slow
def test_kernels_that_two_processes_compiled_get_along_in_a_third(tmp_path: Path) -> None:
    def run(*shapes: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", CONVOLVED, *shapes],
            env={**os.environ, "MINIGRAD_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout

    shapes = "2,64,56,128,2", "2,128,28,128,1"
    assert "".join(map(run, shapes)) == run(*shapes)
