"""The compiled primitives against the Python functions that describe them; Winograd's matrices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad.kernels.target import Target, available, target
from minigrad.kernels.winograd_points import TILE, B, powers
from minigrad.kernels.winograd_transform import TAPS, outputs

PROGRAM = Path(__file__).with_name("vector_programs.py")


def results(folder: Path, *options: str, **environment: str) -> dict[str, np.ndarray]:
    """What the programs give in a process of their own."""
    file = folder / "results.npz"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(file), *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    with np.load(file) as found:
        return dict(found)


def assert_alike(compiled: dict[str, np.ndarray], python: dict[str, np.ndarray]) -> None:
    assert compiled.keys() == python.keys() and len(compiled) > 6
    for name, expected in python.items():
        # The programs take whole numbers; only Winograd's transforms have others, and round.
        exact = name.startswith(("vectors", "tiles", "lanes")) or name == "convolutions float64"
        tolerance = 0 if exact else 1e-13 if name.endswith("float64") else 2e-5
        np.testing.assert_allclose(
            compiled[name], expected, rtol=tolerance, atol=20 * tolerance, err_msg=name
        )


@pytest.mark.parametrize("kind", available(), ids=lambda kind: kind.name)
def test_primitives_do_what_their_python_says(kind: Target, tmp_path: Path) -> None:
    compiled = results(tmp_path, MINIGRAD_SIMD=kind.name)
    python = results(tmp_path, MINIGRAD_SIMD=kind.name, NUMBA_DISABLE_JIT="1")
    assert compiled["lanes"] == kind.lanes(4)
    assert_alike(compiled, python)


@pytest.mark.slow
@pytest.mark.parametrize("kind", available(), ids=lambda kind: kind.name)
def test_convolutions_are_the_same_without_the_compiler(kind: Target, tmp_path: Path) -> None:
    compiled = results(tmp_path, "convolutions", MINIGRAD_SIMD=kind.name)
    python = results(tmp_path, "convolutions", MINIGRAD_SIMD=kind.name, NUMBA_DISABLE_JIT="1")
    assert_alike(compiled, python)


def test_another_width_is_refused(tmp_path: Path) -> None:
    code = "import minigrad.kernels.target"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MINIGRAD_SIMD": "avx9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "ArgumentError" in done.stderr and "avx9" in done.stderr
    assert all(kind.name in done.stderr for kind in available())


def test_each_width_has_compiled_kernels_of_its_own() -> None:
    code = "from minigrad.kernels.cache import cache_folder; print(cache_folder())"
    folders = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MINIGRAD_SIMD": kind.name},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for kind in available()
    }
    assert len(folders) == len(available()) and "" not in folders


@pytest.mark.parametrize("vectors", [1, 2, 3])
@pytest.mark.parametrize("kind", available(), ids=lambda kind: kind.name)
def test_a_tile_fits_the_registers(kind: Target, vectors: int) -> None:
    rows = kind.rows(vectors)
    assert rows >= 1
    assert rows * vectors + vectors + 2 <= kind.registers
    assert (rows + 1) * vectors + vectors + 2 > kind.registers


def test_the_widest_target_is_the_default() -> None:
    if not os.environ.get("MINIGRAD_SIMD"):
        assert target == available()[0]


def correlation(taps: int) -> np.ndarray:
    """T with y[o] = Σ T[o, i, t] d[i] w[t]: F(7 - taps, taps) by its definition."""
    table = np.zeros((outputs(taps), TILE, taps))
    for o in range(outputs(taps)):
        for t in range(taps):
            table[o, o + t, t] = 1
    return table


@pytest.mark.parametrize("taps", TAPS)
def test_winograd_s_matrices_compute_a_correlation(taps: int) -> None:
    # y = Aᵀ [(G w) ∘ (Bᵀ d)], a bilinear function of w and d: its table is all there is to it.
    A, G = powers(outputs(taps), False), powers(taps, True)
    table = np.einsum("po,ip,pt->oit", A, B, G)
    np.testing.assert_allclose(table, correlation(taps), rtol=0, atol=1e-15)


@pytest.mark.parametrize("taps", TAPS)
def test_winograd_s_matrices_in_two_dimensions_and_for_the_filter(taps: int) -> None:
    rng = np.random.default_rng(0)
    A, G = powers(outputs(taps), False), powers(taps, True)
    d, w, g = (rng.normal(size=(n, n)) for n in (TILE, taps, outputs(taps)))
    T = correlation(taps)
    y = A.T @ ((G @ w @ G.T) * (B.T @ d @ B)) @ A
    np.testing.assert_allclose(y, np.einsum("oit,pjs,ij,ts->op", T, T, d, w), atol=1e-13)
    dw = G.T @ ((A @ g @ A.T) * (B.T @ d @ B)) @ G
    np.testing.assert_allclose(dw, np.einsum("oit,pjs,ij,op->ts", T, T, d, g), atol=1e-13)


def test_the_transforms_are_the_matrices(tmp_path: Path) -> None:
    found = results(tmp_path)["transforms float64"].reshape(35, -1)
    n = found.shape[1]
    x = np.random.default_rng(1).integers(-3, 4, 6 * n).astype(np.float64).reshape(6, n)
    two, four, five = powers(2, False), powers(4, False), powers(5, True)
    at_points = [two @ x[:2], four @ x[:4], five @ x[:5]]
    expected = [B.T @ x, *at_points, two.T @ x, four.T @ x, five.T @ x]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-13)
