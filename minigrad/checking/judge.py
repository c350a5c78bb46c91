"""The verdict on the gradient by one input: its analytic values against numeric ones.

An element is doubted where both differ by more than the tolerance; it is then probed with other
steps, and called wrong only where two steps that contradict the analytic value agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minigrad.checking.differences import RETRIES, Difference, Prober
from minigrad.checking.report import Verdict
from minigrad.tensor import Array

RESOLUTION = 1e-3
"""The part of the largest derivative that an estimate must stay below to settle an element."""
AGREEMENT = 0.1
"""The part of the error that two numeric values may differ by to contradict an analytic one."""
FINE = (2.0**-10, 2.0**-12, 2.0**-14, 2.0**-16, 2.0**-20, 2.0**-24)
"""Factors on the base step where a kink or a pole may lie within the others."""
FINE_PARTS = (2.0**-9, 2.0**-11)
"""Steps as parts of the smallest element: near 0 only these stay on the side of log or 1/x."""


class Directions(Protocol):
    """Pairs of a direction and the scale of the step along it."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> tuple[Array, float]: ...


@dataclass(frozen=True)
class Tolerance:
    """|analytic - numeric| may be atol + rtol |numeric|."""

    rtol: float
    atol: float

    def of(self, numeric: Array) -> Array:
        return self.atol + self.rtol * np.abs(numeric)


@dataclass(frozen=True)
class Judged:
    """All directions of one input, one after the other: arrays of shape (directions, K)."""

    verdicts: list[Verdict]
    analytic: Array
    numeric: Array
    estimate: Array
    columns: Array

    def mask(self, verdict: Verdict) -> Array:
        return np.array([v == verdict for v in self.verdicts], bool)


def judge(
    prober: Prober,
    which: int,
    directions: Directions,
    analytic: Array,
    tolerance: Tolerance,
    keep_columns: bool,
) -> Judged:
    """Probe every direction, a pair of direction and scale, and judge `analytic` along it.

    `analytic` has the shape (directions, K), K the number of cotangents.
    """
    base = [prober.along(which, d, scale * prober.base_step) for d, scale in _each(directions)]
    numeric = np.array([difference.value for difference in base]).reshape(analytic.shape)
    estimate = np.array([difference.estimate for difference in base]).reshape(analytic.shape)
    finite = np.abs(numeric[np.isfinite(numeric)])
    largest = max(float(finite.max(initial=0.0)), tolerance.atol)
    verdicts = []
    for i, (direction, scale) in enumerate(_each(directions)):
        found = _Element(prober, which, direction, scale, analytic[i], tolerance, largest)
        verdict, chosen = found.settle(base[i])
        verdicts.append(verdict)
        numeric[i], estimate[i] = chosen.value, chosen.estimate
    columns = np.array([d.columns for d in base]) if keep_columns and base else np.zeros((0, 0))
    return Judged(verdicts, analytic, numeric, estimate, columns)


def _each(directions: Directions) -> Iterator[tuple[Array, float]]:
    return (directions[i] for i in range(len(directions)))


@dataclass(frozen=True)
class _Element:
    """One direction under judgement; `largest` is the largest numeric derivative of the input."""

    prober: Prober
    which: int
    direction: Array
    scale: float
    analytic: Array
    tolerance: Tolerance
    largest: float

    def settle(self, base: Difference) -> tuple[Verdict, Difference]:
        """The verdict, and the difference that it rests on."""
        floor = self.tolerance.atol + self.tolerance.rtol * self.largest
        suspected = not base.is_finite or base.has_jump(floor)
        if not suspected and self._agrees(base):
            return Verdict.RIGHT, base
        tried = [base]
        for factor in RETRIES:
            step = self.scale * self.prober.base_step * factor
            tried.append(self.prober.along(self.which, self.direction, step))
        smaller = tried[1:-1]
        if not any(d.is_finite for d in tried) and not self.prober.is_finite_at_point():
            return Verdict.IMPRECISE, base
        if not smaller[-1].is_finite:  # no value on one side, however near: an edge
            return Verdict.KINK, base
        if self._jumps(smaller, floor):
            return Verdict.KINK, base
        usable = [d for d in tried if d.is_finite]
        right = [d for d in usable if self._agrees(d)]
        if right:
            return Verdict.RIGHT, right[0]
        ladder = [d.blurred() for d in [*usable, *self._fine()]]
        wrong = self._contradicted(self._unrefuted(ladder, floor))
        if wrong:
            return wrong
        right = [d for d in ladder if self._agrees(d)]
        return (Verdict.RIGHT, right[0]) if right else (Verdict.IMPRECISE, (usable or [base])[0])

    def _jumps(self, smaller: list[Difference], floor: float) -> bool:
        """Whether there is a jump at all steps that could show it above the rounding."""
        size = max(float(np.max(np.abs(d.jump), initial=0)) for d in smaller)
        clear = [d for d in smaller if 64 * np.max(d.jump_noise, initial=0) <= size]
        return all(d.has_jump(floor) for d in (clear if len(clear) > 1 else smaller))

    def _fine(self) -> list[Difference]:
        """Differences at steps so small that rounding shows, but nothing is stepped over."""
        steps = [self.scale * self.prober.base_step * factor for factor in FINE]
        moved = np.abs(self.prober.point[self.which][self.direction != 0])
        least = float(moved.min(initial=np.inf))
        if 0 < least < self.scale / 16:
            steps += [part * least for part in FINE_PARTS]
        # Below this the elements themselves, rounded on the way, may not move.
        lowest = 64 * self.prober.eps * float(moved.max(initial=0))
        found = [
            self.prober.along(self.which, self.direction, step) for step in steps if step >= lowest
        ]
        return [d for d in found if d.is_finite]

    def _unrefuted(self, ladder: list[Difference], floor: float) -> list[Difference]:
        """Without those that step over something: a smaller step contradicts them or meets it."""

        def refutes(fine: Difference, coarse: Difference) -> bool:
            apart = np.abs(fine.value - coarse.value)
            within = 2 * (fine.estimate + coarse.estimate) + self.tolerance.of(fine.value)
            return fine.has_jump(floor) or bool(np.any(apart > within))

        return [
            d for d in ladder if not any(refutes(fine, d) for fine in ladder if fine.step <= d.step)
        ]

    def _error(self, difference: Difference) -> Array:
        return np.abs(self.analytic - difference.value)

    def _agrees(self, difference: Difference) -> bool:
        error = self._error(difference)
        within = self.tolerance.of(difference.value)
        trusted = difference.estimate <= np.maximum(RESOLUTION * self.largest, within)
        return bool(np.all(trusted & (error <= np.maximum(within, difference.estimate))))

    def _contradicted(self, usable: list[Difference]) -> tuple[Verdict, Difference] | None:
        """WRONG if two steps agree with each other on a value that is not the analytic one."""
        ranked = sorted(usable, key=lambda d: float(np.max(d.estimate, initial=0)))
        for k in range(len(self.analytic)):
            sure = [
                d
                for d in ranked
                if d.converged()[k] and d.estimate[k] < AGREEMENT * self._error(d)[k]
            ]
            for i, first in enumerate(sure):
                for other in sure[i + 1 :]:
                    apart = abs(first.value[k] - other.value[k])
                    beyond = self._error(first)[k] > self.tolerance.of(first.value)[k]
                    if beyond and apart < AGREEMENT * self._error(first)[k]:
                        return Verdict.WRONG, first
        return None
