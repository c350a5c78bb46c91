"""Reading a file in a test: what it gives, or what the refusal says, in how little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from torch_archives import (
    FILES,
)

import minigrad as mg
from minigrad.errors import CheckpointError
from minigrad.serialization import pickle_machine

FORMS = sorted(FILES)
IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


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
