"""Walking what was read, without recursion: out of a pickle it may be deep, and hold itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, CheckpointError
from minigrad.tensor import Tensor

_SEQUENCES = (list, tuple, set, frozenset)
_LEAVES = (Tensor, str, bytes, bytearray, int, float, bool, type(None))


def dictionaries(obj: Any) -> Iterator[dict[Any, Any]]:
    """Every dictionary in `obj`, once. Raises CheckpointError for anything that is not plain."""
    seen: set[int] = set()
    pending = [obj]
    while pending:
        value = pending.pop()
        if type(value) in _LEAVES or isinstance(value, np.dtype):
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if type(value) in (dict, OrderedDict):
            pending.extend(value.values())
            yield value
        elif type(value) in _SEQUENCES:
            pending.extend(value)
        else:
            raise CheckpointError(f"it holds a {type(value).__name__} that is no value")


def as_prefixes(strip_prefix: str | Sequence[str]) -> tuple[str, ...]:
    """The argument of `load`; raises ArgumentError for what is no text."""
    prefixes = (strip_prefix,) if isinstance(strip_prefix, str) else strip_prefix
    sound = isinstance(prefixes, (tuple, list))
    if not sound or not all(isinstance(prefix, str) and prefix for prefix in prefixes):
        raise ArgumentError(f"load: strip_prefix takes text as 'module.', got {strip_prefix!r}")
    return tuple(prefixes)


def without_prefixes(key: Any, prefixes: tuple[str, ...]) -> Any:
    """A key without any of the prefixes, however often they stand in front."""
    while isinstance(key, str) and key.startswith(prefixes):
        key = key.removeprefix(next(p for p in prefixes if key.startswith(p)))
    return key


def strip(dictionary: dict[Any, Any], prefixes: tuple[str, ...]) -> None:
    """Take the prefixes from the keys; raises CheckpointError if two keys become one."""
    if not prefixes:
        return
    items = [(without_prefixes(key, prefixes), value) for key, value in dictionary.items()]
    if len({key for key, _ in items}) < len(items):
        raise CheckpointError(f"without {' and '.join(map(repr, prefixes))} two keys are the same")
    dictionary.clear()
    dictionary.update(items)
