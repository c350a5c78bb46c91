"""The compiled primitives against the Python functions that describe them; Winograd's matrices
and Strassen's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from vector_programs import MATRICES

from minigrad.kernels.strassen import BLOCKS, PARTS
from minigrad.kernels.target import Target, available, target
from minigrad.kernels.winograd_points import FILTERINGS, Kind, products_of

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


def correlation(kind: Kind) -> np.ndarray:
    """T with y[o] = Σ T[o, i, t] d[i] w[t], by its definition."""
    taps, stride, back = kind
    filtering = FILTERINGS[kind]
    table = np.zeros((filtering.outputs, filtering.seen, taps))
    for o, i, t in np.ndindex(*table.shape):
        # Back, pixels 2 j and 2 j + 1 are seen by what 2 outputs from j on see by tap 1, 0 and 2.
        table[o, i, t] = 2 * i + 1 == o + t if back else i == stride * o + t
    return table


@pytest.mark.parametrize("kind", FILTERINGS)
def test_winograd_s_matrices_compute_a_correlation(kind: Kind) -> None:
    # y = Aᵀ [(G w) ∘ (B d)], a bilinear function of w and d: its table is all there is to it.
    filtering = FILTERINGS[kind]
    A, B = filtering.A[filtering.sums], filtering.B[filtering.inputs]
    table = np.einsum("po,pi,pt->oit", A, B, filtering.G)
    np.testing.assert_allclose(table, correlation(kind), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", FILTERINGS)
def test_winograd_s_matrices_in_two_dimensions_and_for_the_filter(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    filtering = FILTERINGS[kind]
    A, G, B, products = filtering.A, filtering.G, filtering.B, products_of(kind)
    d, w, g = (rng.normal(size=(n, n)) for n in (filtering.seen, kind[0], filtering.outputs))
    T = correlation(kind)
    values, filters, given = ((M @ v @ M.T).reshape(-1) for M, v in ((B, d), (G, w), (A, g)))
    sums = np.add.reduceat(
        values[products.inputs] * filters[products.filters], products.firsts[:-1]
    )
    y = A.T @ sums.reshape(len(A), len(A)) @ A
    np.testing.assert_allclose(y, np.einsum("oit,pjs,ij,ts->op", T, T, d, w), atol=1e-12)
    found = np.zeros(len(G) ** 2)
    found[products.filters] = values[products.inputs] * given[products.sums]
    dw = G.T @ found.reshape(len(G), len(G)) @ G
    np.testing.assert_allclose(dw, np.einsum("oit,pjs,ij,op->ts", T, T, d, g), atol=1e-12)


def test_strassen_s_blocks_make_a_product() -> None:
    # A bilinear function of X and Y: its table is all there is to it.
    X, Y, Z = (blocks.reshape(-1, PARTS, PARTS) for blocks in BLOCKS)
    table = np.einsum("pij,pkl,pmn->ijklmn", X, Y, Z)
    one = np.eye(PARTS)
    np.testing.assert_array_equal(table, np.einsum("jk,im,ln->ijklmn", one, one, one))


def test_the_transforms_are_the_matrices(tmp_path: Path) -> None:
    found = results(tmp_path)["transforms float64"].reshape(44, -1)
    n = found.shape[1]
    x = np.random.default_rng(1).integers(-3, 4, 9 * n).astype(np.float64).reshape(9, n)
    expected = [matrix @ x[: matrix.shape[1]] for matrix in MATRICES]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-12)
