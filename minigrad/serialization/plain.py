"""Walking what was read, without recursion: out of a pickle it may be deep, and hold itself."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
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


def as_path(function: str, path: Any) -> Path:
    """The path that `load` and `save` are given; raises ArgumentError for what is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"{function}: takes the path of a file, got {type(path).__name__}")
    return Path(path)


def as_prefixes(strip_prefix: str | Sequence[str]) -> tuple[str, ...]:
    """The argument of `load`; raises ArgumentError for what is no text."""
    prefixes = (strip_prefix,) if isinstance(strip_prefix, str) else strip_prefix
    sound = isinstance(prefixes, (tuple, list))
    if not sound or not all(isinstance(prefix, str) and prefix for prefix in prefixes):
        raise ArgumentError(f"load: strip_prefix takes text as 'module.', got {strip_prefix!r}")
    return tuple(prefixes)


def without_prefixes(key: Any, prefixes: tuple[str, ...]) -> Any:
    """A key without any of the prefixes, however often they stand in front."""
    return key[_end_of(prefixes, key) :] if isinstance(key, str) else key


def without_shared(keys: Collection[str], prefixes: Sequence[str]) -> list[str]:
    """The keys without any of the prefixes that all of them have, however often."""
    if not keys:
        return []
    start = _end_of(prefixes, min(keys), max(keys))  # which share no more than all do
    return [key[start:] for key in keys]


def _end_of(prefixes: Sequence[str], *keys: str) -> int:
    """Where the prefixes end that all keys begin with. Nothing is cut off on the way: a key may be
    megabytes of prefixes."""
    end = 0
    while found := next((p for p in prefixes if all(k.startswith(p, end) for k in keys)), ""):
        end += len(found)
    return end


def strip(dictionary: dict[Any, Any], prefixes: tuple[str, ...]) -> None:
    """Take the prefixes from the keys; raises CheckpointError if two keys become one."""
    if not prefixes:
        return
    items = [(without_prefixes(key, prefixes), value) for key, value in dictionary.items()]
    if len({key for key, _ in items}) < len(items):
        raise CheckpointError(f"without {' and '.join(map(repr, prefixes))} two keys are the same")
    dictionary.clear()
    dictionary.update(items)
