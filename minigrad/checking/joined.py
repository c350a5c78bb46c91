"""Many evaluations in one call: copies of all samples are joined along axis 0.

That a function treats its samples independently is what the caller says. It is held against
separate evaluations first, and no gradient is called wrong by joined evaluations alone (see
`judge`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minigrad.checking.directions import power_of_two, weights
from minigrad.checking.problem import Problem, distance, flat
from minigrad.errors import ArgumentError
from minigrad.tensor import Array

MOST_ELEMENTS = 2**18
"""Elements of inputs and outputs in one call: larger ones would leave the processor's cache."""
PROOF = 3
"""Points that the proof compares: the one at hand and others near it."""
SAME = 2**10
"""Roundings of the largest output by which joined and separate values may differ: sums may be
added in another order."""

REMEDY = (
    "leave out batched, or give batched=n if only the first n inputs hold samples (a BatchNorm "
    "is independent by sample in eval mode only)"
)


class Joined:
    """Joined evaluations of a problem whose outputs at the point are `outputs`."""

    def __init__(self, problem: Problem, outputs: Sequence[Array]) -> None:
        self._problem = problem
        self._shapes = [y.shape for y in outputs]
        self._sizes = [y.size for y in outputs]
        a_copy = sum(problem.point[i].size for i in problem.joined) + sum(self._sizes)
        self.copies = max(1, MOST_ELEMENTS // max(1, a_copy))

    def takes(self, which: int) -> bool:
        """Whether several values of input number `which` go into one call."""
        return self.copies > 1 and which in self._problem.joined

    def values(self, which: int, arrays: Sequence[Array]) -> Iterator[Array]:
        """For each value of input number `which`, all outputs as one vector."""
        for start in range(0, len(arrays), self.copies):
            some = arrays[start : start + self.copies]
            points = [list(self._problem.point) for _ in some]
            for point, array in zip(points, some, strict=True):
                point[which] = array
            yield from self._at(points)

    def _at(self, points: Sequence[Sequence[Array]]) -> Array:
        """The outputs at several points that differ in samples only: (points, outputs)."""
        return self._split(self._evaluate(points), len(points))

    def _evaluate(self, points: Sequence[Sequence[Array]]) -> list[Array]:
        joined = [
            np.concatenate([point[i] for point in points]) if i in self._problem.joined else x
            for i, x in enumerate(self._problem.point)
        ]
        return self._problem.values(joined, len(points))

    def _split(self, outputs: Sequence[Array], count: int) -> Array:
        expected = [(count * s[0], *s[1:]) if s else (count,) for s in self._shapes]
        if [y.shape for y in outputs] != expected:
            raise ArgumentError(
                "gradcheck: batched joins samples along axis 0, but outputs of the shapes "
                f"{self._shapes} get the shapes {[y.shape for y in outputs]} for {count} copies "
                f"of the samples, not {expected}; {REMEDY}"
            )
        parts = [y.reshape(count, size) for y, size in zip(outputs, self._sizes, strict=True)]
        return np.concatenate(parts, axis=1)

    def prove(self, seed: Sequence[int], step: float, eps: float) -> None:
        """Raise ArgumentError unless joined and separate evaluations agree near the point.

        `step` is about that of the differences, `eps` the rounding of the outputs.
        """
        points = [self._problem.point, *self._near(seed, step)]
        separate = [flat(self._problem.values(point)) for point in points]
        count = max(PROOF, min(self.copies, 4 * max(x.size for x in self._problem.point)))
        try:
            outputs = self._evaluate([points[i % PROOF] for i in range(count)])
        except Exception as error:  # whatever it is, one copy alone did not meet it
            raise ArgumentError(
                f"gradcheck: batched joins samples along axis 0, but with {count} copies of them "
                f"the function fails ({error}); {REMEDY}"
            ) from error
        joined = self._split(outputs, count)
        apart = max(_relative(values, separate[i % PROOF]) for i, values in enumerate(joined))
        if apart > SAME * eps:
            raise ArgumentError(
                "gradcheck: batched says that samples along axis 0 are independent, but joined "
                f"with others they give outputs that differ by {apart:.1g} of the largest: the "
                f"function mixes samples, or draws random numbers for them; {REMEDY}"
            )

    def _near(self, seed: Sequence[int], step: float) -> Iterator[list[Array]]:
        rng = np.random.default_rng(seed)
        for _ in range(PROOF - 1):
            point = list(self._problem.point)
            for i in sorted(self._problem.joined):
                scale = np.vectorize(power_of_two, otypes=[float])(np.maximum(1, np.abs(point[i])))
                point[i] = point[i] + step * scale * weights(rng, point[i].shape)
            yield point


def _relative(joined: Array, separate: Array) -> float:
    """The largest difference, as a part of the largest separate value."""
    largest = float(np.abs(separate[np.isfinite(separate)]).max(initial=0.0))
    return distance(joined, separate) / (largest or 1.0)
