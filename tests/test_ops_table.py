"""docs/ops.md is what its script makes of the catalogue now."""

from __future__ import annotations

import runpy
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from minigrad.op import CATALOGUE

SCRIPT = Path(__file__).parent.parent / "tools" / "make_ops_table.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_page_is_current(script: dict[str, Any]) -> None:
    page = script["TARGET"].read_text(encoding="utf-8")
    assert page == script["table"](), "run python tools/make_ops_table.py"


def test_names_stand_for_ops(script: dict[str, Any]) -> None:
    for names in (script["NUMPY"], script["PYTORCH"], script["WITHOUT_PYTORCH"]):
        assert set(names) <= CATALOGUE.keys()


@pytest.mark.slow
def test_pytorch_has_the_names_of_the_table(script: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    for op in CATALOGUE.keys() - script["WITHOUT_PYTORCH"]:
        name = script["pytorch_name"](op)
        if "[" in name:
            continue
        homes = (torch, torch.nn.functional, torch.linalg, torch.Tensor)
        assert any(_has(home, name) for home in homes), op


def _has(home: Any, path: str) -> bool:
    try:
        reduce(getattr, path.split("."), home)
    except AttributeError:
        return False
    return True
