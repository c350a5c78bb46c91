"""Small parameters as one: an elementwise step of all of them is that of their numbers in a row.

NumPy's calls take a microsecond each whatever is in them, and a network has many biases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad import tape
from minigrad.kernels.buffers import LEAST
from minigrad.tensor import Array, Tensor

__all__ = ["Joined", "Part", "alike", "joins"]

State = dict[str, Any]
Part = tuple[Tensor, Array, State]
"""A parameter, its gradient and its state."""


def joins(parameter: Tensor) -> bool:
    """Whether a parameter may be a part: it is small, and lies in memory as it is numbered."""
    if parameter.nbytes >= LEAST or not parameter.is_leaf:
        return False
    computed = tape.state.tracer is None and not parameter.is_abstract
    return computed and parameter._array.flags.c_contiguous


def alike(parts: Sequence[Part]) -> Iterator[Joined]:
    """The parts by what they have in common: dtypes, and the numbers in their states."""
    kinds: dict[Any, list[Part]] = {}
    for part in parts:
        parameter, _, state = part
        kind = [(key, x.dtype if isinstance(x, np.ndarray) else x) for key, x in state.items()]
        kinds.setdefault((parameter.dtype, *kind), []).append(part)
    for members in kinds.values():
        yield Joined(members)


class Joined(NamedTuple):
    """Parameters that are updated as one."""

    parts: list[Part]

    def join(self) -> tuple[Array, Array, State]:
        """Values, gradients and states, flat."""
        parameters, grads, states = zip(*self.parts, strict=True)
        state = {
            key: _row([other[key] for other in states]) if isinstance(x, np.ndarray) else x
            for key, x in states[0].items()
        }
        return _row([parameter._array for parameter in parameters]), _row(grads), state

    def split(self, value: Array, state: State) -> None:
        """Give every parameter its part of the new values, and of the new state."""
        numbers = {key: x for key, x in state.items() if not isinstance(x, np.ndarray)}
        rows = {key: x for key, x in state.items() if key not in numbers}
        first = 0
        for parameter, _, own in self.parts:
            shape, stop = parameter.shape, first + parameter.size
            own |= numbers
            for key, row in rows.items():
                own[key] = row[first:stop].reshape(shape)
            parameter._array = value[first:stop].reshape(shape)
            first = stop


def _row(arrays: Sequence[Array]) -> Array:
    return np.concatenate([x.reshape(-1) for x in arrays])
