"""The one source of randomness: counter-based, so its whole state is a seed and a count.

Draw number n under a seed is the same on every machine and with any number of threads, and can
be drawn again on its own (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

from __future__ import annotations

import threading

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.spec import as_integer

Draw = tuple[int, int]
"""(seed, number of the draw): all that a draw depends on."""

_lock = threading.Lock()
_seed = 0
_count = 0


def manual_seed(seed: int) -> None:
    """Start the sequence of draws that belongs to `seed`, an integer from 0 to 2^64 - 1."""
    global _seed, _count
    value = as_integer("manual_seed", "seed", seed)
    if not 0 <= value < 2**64:
        raise ArgumentError(f"manual_seed: seed lies between 0 and 2^64 - 1, got {value}")
    with _lock:
        _seed, _count = value, 0


def get_rng_state() -> Draw:
    """The seed and the number of draws made: what a checkpoint keeps."""
    with _lock:
        return _seed, _count


def set_rng_state(state: Draw) -> None:
    """Go on from a state that `get_rng_state` gave."""
    global _seed, _count
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise ArgumentError(f"set_rng_state: a state is (seed, count), got {state!r}")
    seed, count = (as_integer("set_rng_state", "state", v) for v in state)
    if not (0 <= seed < 2**64 and 0 <= count < 2**64):
        raise ArgumentError(f"set_rng_state: both lie between 0 and 2^64 - 1, got {state!r}")
    with _lock:
        _seed, _count = seed, count


def next_draw() -> Draw:
    """The next draw of the sequence; takes it out."""
    global _count
    with _lock:
        draw = (_seed, _count)
        _count += 1
    return draw


def generator(draw: Draw) -> np.random.Generator:
    """NumPy's generator for one draw. The draw is the key, its numbers run through the counter."""
    seed, number = draw
    key = np.array([seed, number], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
