"""The precision setting: of the program, and of a block in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad.kernels import precision
from minigrad.kernels.precision import is_strict


@pytest.fixture(autouse=True)
def fast() -> Iterator[None]:
    """Each test starts, and leaves the program, with the default."""
    mg.precision("fast")
    yield
    mg.precision("fast")


def in_another_thread(function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_a_setting_of_the_program() -> None:
    assert mg.get_precision() == "fast" and not is_strict()
    mg.precision("strict")
    assert mg.get_precision() == "strict" and is_strict()
    assert in_another_thread(mg.get_precision) == "strict"


def test_a_block_holds_for_its_thread_and_ends() -> None:
    with mg.precision("strict"):
        assert is_strict()
        assert in_another_thread(mg.get_precision) == "fast"
        with mg.precision("fast"):
            assert not is_strict()
        assert is_strict()
    assert not is_strict()
    with pytest.raises(ZeroDivisionError), mg.precision("strict"):
        _ = 1 // 0
    assert not is_strict()


def test_a_block_goes_before_the_program() -> None:
    mg.precision("strict")
    with mg.precision("fast"):
        mg.precision("strict")
        assert not is_strict()
    assert is_strict()


def test_one_object_in_nested_blocks() -> None:
    strict = mg.precision("strict")
    assert is_strict()
    with strict, mg.precision("fast"), strict:
        assert is_strict()
    assert not is_strict()
    assert repr(strict) == "precision('strict')"


def test_blocks_made_at_the_same_time_leave_the_program_alone() -> None:
    first, second = mg.precision("strict"), mg.precision("strict")
    with first:
        pass
    with second:
        pass
    assert mg.get_precision() == "fast"


def test_blocks_in_many_threads() -> None:
    wrong = []

    def work(mode: Any) -> None:
        for _ in range(300):
            with mg.precision(mode):
                if mg.get_precision() != mode:
                    wrong.append(mode)

    workers = [threading.Thread(target=work, args=(mode,)) for mode in ("fast", "strict") * 4]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong and mg.get_precision() == "fast"


def test_settings_do_not_pile_up() -> None:
    for _ in range(100):
        mg.precision("strict")
        mg.precision("fast")
        with mg.precision("strict"):
            pass
    assert len(precision._program._settings) <= 3


@pytest.mark.parametrize("mode", ["exact", "", None, True, 1])
def test_another_mode_is_refused(mode: Any) -> None:
    with pytest.raises(ArgumentError, match='mode must be "fast" or "strict"'):
        mg.precision(mode)
    assert mg.get_precision() == "fast"
