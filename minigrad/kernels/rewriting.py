"""Writing over arrays where nobody can tell: what an optimizer does with weights and velocities.

Values never change for those who hold them, and the interpreter counts who holds what. While an
array is written to it is out of its owner, so that nobody comes to hold it between the count and
the last store: another thread that asks for it waits until it is back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from minigrad.kernels import buffers

__all__ = ["awaited", "settled", "taken", "unheld"]

Home = list[np.ndarray] | dict[str, Any]
"""What holds an array under an index or a key."""

# Arrays out of their owners, by the owner's identity: of the thread that has the kernels' lock,
# which comes with Numba; until the first array is taken there is no reason to load that.
_out: dict[int, list[np.ndarray]] = {}
_entrance: Callable[[], AbstractContextManager[object]] = nullcontext


def unheld(home: Home, key: Any) -> bool:
    """Whether home[key] is all that holds this array and its memory, and the memory is ours."""
    # Besides what home has, or the view above has of its base, each expression holds one itself.
    if sys.getrefcount(home[key]) > 2 or not home[key].flags.writeable:
        return False
    link: Any = home[key]
    while isinstance(link, np.ndarray) and link.base is not None:
        if sys.getrefcount(link.base) > 2:
            return False
        link = link.base
    return bool(link.flags.owndata) if isinstance(link, np.ndarray) else buffers.lends(link)


@contextmanager
def taken(owner: Any, name: str) -> Iterator[list[np.ndarray]]:
    """The array owner.name, out of the owner until this context ends, alone in a list; what is in
    the list then becomes the owner's. `owner` answers for a missing attribute with `awaited`."""
    global _entrance
    from minigrad.kernels.jit import entrance

    _entrance = entrance
    with entrance():
        place = _out[id(owner)] = [getattr(owner, name)]
        try:
            delattr(owner, name)
            yield place
        finally:
            setattr(owner, name, place[0])
            del _out[id(owner)]


def awaited(owner: Any, name: str) -> Any:
    """owner.name once it is back. The thread that took it, which asks where a signal interrupts it,
    gets a copy: it writes in kernels, and no signal is handled within one."""
    with settled():
        if id(owner) in _out:
            return _out[id(owner)][0].copy(order="K")
        return object.__getattribute__(owner, name)


def settled() -> AbstractContextManager[object]:
    """No other thread writes over an array until this context ends."""
    return _entrance()
