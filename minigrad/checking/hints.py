"""Why a gradient is wrong, where its error has a known shape.

Every hint is a hypothesis that was computed and found to explain the numbers: the gradient that
it predicts equals the one at hand in all elements. What explains nothing is not said.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

from minigrad.errors import MinigradError
from minigrad.spec import Shape, broadcast_shapes
from minigrad.tensor import Array

PLAIN = 64
"""A factor p/q counts as plain, and is told of a single element too, up to this p and q."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one wrong gradient.

    `analytic`, `numeric` and `slack` (how far both may differ where right) have the shape
    (K, *shape of the input), K the number of cotangents; `sound` marks the elements without kink.
    `columns` is the numeric Jacobian (elements of the input, outputs) or None if it was too large
    to keep; `cotangents` are (K, outputs). `others` are the numeric gradients by other inputs.
    """

    analytic: Array
    numeric: Array
    slack: Array
    sound: Array
    columns: Array | None
    cotangents: Array
    outputs: Sequence[Shape]
    others: Sequence[tuple[str, Array]]

    @property
    def shape(self) -> Shape:
        return self.analytic.shape[1:]

    def equal(self, left: Array, right: Array) -> bool:
        """Whether both are the same within what is known of the numeric values."""
        close = np.abs(left - right) <= self.slack
        return bool(np.all(close[:, self.sound]))

    def explains(self, corrected: Array) -> bool:
        """Whether a correction of the analytic gradient gives the numeric one."""
        return self.equal(corrected, self.numeric)

    def predicts(self, broken: Array) -> bool:
        """Whether a broken numeric gradient gives the analytic one, which is not just zero."""
        return self.equal(broken, self.analytic)


def hint(evidence: Evidence) -> str:
    """The first hypothesis that explains the error, or nothing."""
    if not evidence.sound.any():
        return ""
    return next((text for rule in RULES for text in rule(evidence)), "")


def directional_hint(analytic: Array, numeric: Array, slack: Array) -> str:
    """A hint from derivatives along random directions, which have no place in the array."""
    flat = Evidence(
        analytic.T, numeric.T, slack.T, np.ones(len(analytic), bool), None, np.zeros(0), (), ()
    )
    return next((text for rule in (_not_finite, _zero, _factor) for text in rule(flat)), "")


def shape_hint(text: str) -> str:
    """Of the engine's complaint about a gradient's shape: whether a sum is missing."""
    found = re.search(r"is Spec\((\([^)]*\)), .* input is Spec\((\([^)]*\)), ", text)
    if not found:
        return ""
    got, wanted = (literal_eval(part) for part in found.groups())
    try:
        fits = got != wanted and broadcast_shapes("gradcheck", got, wanted) == got
    except MinigradError:
        fits = False
    if not fits:
        return "transposed: " * (sorted(got) == sorted(wanted)) + text
    return (
        f"missing sum over a broadcast axis: a gradient of shape {got} for shape {wanted} ({text})"
    )


def _not_finite(evidence: Evidence) -> Iterator[str]:
    broken = ~np.isfinite(evidence.analytic[:, evidence.sound])
    if broken.any():
        yield f"not finite: {broken.sum()} of {broken.size} analytic values are NaN or infinite"


def _zero(evidence: Evidence) -> Iterator[str]:
    if not np.any(evidence.analytic[:, evidence.sound]):
        yield "the analytic gradient is zero everywhere"


def _factor(evidence: Evidence) -> Iterator[str]:
    """analytic = c numeric for one c."""
    analytic, numeric = (
        a[:, evidence.sound].ravel() for a in (evidence.analytic, evidence.numeric)
    )
    square = float(numeric @ numeric)
    if not square:
        return
    factor = float(analytic @ numeric) / square
    if not factor or not evidence.explains(evidence.analytic / factor):
        return
    if abs(factor + 1) < 1e-5:
        yield "wrong sign: the analytic gradient is the negative of the numeric one"
        return
    ratio = Fraction(factor).limit_denominator(PLAIN)
    is_plain = abs(float(ratio) - factor) < 1e-5 * abs(factor) and abs(ratio.numerator) <= PLAIN
    if is_plain or np.count_nonzero(np.abs(numeric) > 1e-3 * np.abs(numeric).max()) >= 3:
        told = str(ratio) if is_plain else f"{factor:.6g}"
        yield (
            f"constant factor: the analytic gradient is {told} times the numeric one"
            + _lengths_of(factor, evidence)
        )


def _lengths_of(factor: float, evidence: Evidence) -> str:
    """Which lengths the factor is, or one over."""
    size = max(abs(factor), 1 / abs(factor))
    lengths = [
        f"the length of {what} axis {axis}"
        for what, shape in (("input", evidence.shape), *(("output", s) for s in evidence.outputs))
        for axis, length in enumerate(shape)
        if length > 2 and abs(size - length) < 1e-5 * length
    ]
    if not lengths:
        return ""
    return f" ({'1 / ' if abs(factor) < 1 else ''}{lengths[0]}: a mean taken for a sum?)"


def _other_input(evidence: Evidence) -> Iterator[str]:
    for name, numeric in evidence.others:
        if numeric.shape == evidence.analytic.shape and evidence.predicts(numeric):
            yield f"this is the gradient by {name}"


def _transposed(evidence: Evidence) -> Iterator[str]:
    shape = evidence.analytic.shape
    for i, j in combinations(range(1, len(shape)), 2):
        told = f"transposed: axes {i - 1} and {j - 1} are exchanged"
        if shape[i] == shape[j]:
            if evidence.explains(evidence.analytic.swapaxes(i, j)):
                yield told
        elif j == i + 1:
            exchanged = (*shape[:i], shape[j], shape[i], *shape[j + 1 :])
            if evidence.explains(evidence.analytic.reshape(exchanged).swapaxes(i, j)):
                yield f"{told} before a reshape"


def _flipped(evidence: Evidence) -> Iterator[str]:
    axes = range(1, evidence.analytic.ndim)
    for chosen in [c for count in (1, 2, 3) for c in combinations(axes, count)]:
        if evidence.explains(np.flip(evidence.analytic, chosen)):
            yield f"flipped along {_axes([a - 1 for a in chosen])}"


def _shifted(evidence: Evidence) -> Iterator[str]:
    """analytic[i] = numeric[i - s]; what leaves the array may come in again at the other end."""
    for axis in range(1, evidence.analytic.ndim):
        length = evidence.analytic.shape[axis]
        for shift in (1, -1, 2, -2):
            if length <= abs(shift) or not evidence.sound.all():
                continue
            rolled = np.roll(evidence.numeric, shift, axis)
            close = np.abs(rolled - evidence.analytic) <= np.maximum(
                evidence.slack, np.roll(evidence.slack, shift, axis)
            )
            inner = [slice(None)] * close.ndim
            inner[axis] = slice(shift, None) if shift > 0 else slice(None, shift)
            kept = rolled[tuple(inner)]
            if close[tuple(inner)].all() and _varies(kept):
                places = "one position" if abs(shift) == 1 else f"{abs(shift)} positions"
                way = "right" if shift > 0 else "left"
                yield f"shifted by {places} to the {way} along axis {axis - 1}"


def _varies(values: Array) -> bool:
    """Whether there are several values that tell a shift from chance."""
    return bool(np.count_nonzero(values) > 1 and np.ptp(values) > 0)


def _pulled_back(evidence: Evidence, cotangents: Array) -> Array:
    """The numeric gradient for other cotangents."""
    assert evidence.columns is not None
    return (cotangents @ evidence.columns.T).reshape(evidence.analytic.shape)


def _missing_sum(evidence: Evidence) -> Iterator[str]:
    """Only one position along an output axis contributes, or its mean: a sum was left out."""
    start = 0
    for number, shape in enumerate(evidence.outputs):
        size = int(np.prod(shape))
        for axis, length in enumerate(shape):
            for position in (0, length - 1) if length > 1 else ():
                kept = np.zeros(shape, bool)
                kept[(slice(None),) * axis + (position,)] = True
                mask = np.ones(evidence.cotangents.shape[1], bool)
                mask[start : start + size] = kept.ravel()
                if evidence.predicts(_pulled_back(evidence, evidence.cotangents * mask)):
                    yield (
                        f"missing sum over a broadcast axis: only position {position} of axis "
                        f"{axis} of output {number} contributes"
                    )
        start += size


def _dropped_output(evidence: Evidence) -> Iterator[str]:
    start = 0
    for number, shape in enumerate(evidence.outputs):
        size = int(np.prod(shape))
        mask = np.ones(evidence.cotangents.shape[1], bool)
        mask[start : start + size] = False
        start += size
        if len(evidence.outputs) > 1:
            broken = _pulled_back(evidence, evidence.cotangents * mask)
            if evidence.predicts(broken):
                yield f"dropped term: what output {number} contributes is missing"


def _dropped_interaction(evidence: Evidence) -> Iterator[str]:
    """Where input and output have one shape: only dy_i/dx_i, or all but that."""
    if evidence.outputs[0] != evidence.shape or len(evidence.outputs) > 1:
        return
    assert evidence.columns is not None
    own = (evidence.cotangents * np.diag(evidence.columns)).reshape(evidence.analytic.shape)
    if evidence.predicts(own):
        yield (
            "dropped term: only each output's dependence on its own element is there, that on "
            "the other elements is missing"
        )
    if evidence.predicts(evidence.numeric - own):
        yield "dropped term: each output's dependence on its own element is missing"


def _with_columns(rule: Callable[[Evidence], Iterator[str]]) -> Callable[[Evidence], Iterator[str]]:
    return lambda evidence: iter(()) if evidence.columns is None else rule(evidence)


def _constant_term(evidence: Evidence) -> Iterator[str]:
    """numeric - analytic is the same all along an axis: a sum or mean over it was left out."""
    missing = evidence.numeric - evidence.analytic
    axes = range(1, missing.ndim)
    if not evidence.sound.all():
        return
    for count in range(missing.ndim - 1, 0, -1):
        for chosen in combinations(axes, count):
            along = [missing.shape[axis] for axis in chosen]
            spread = np.abs(missing - missing.mean(chosen, keepdims=True))
            varies = np.ptp(evidence.numeric, axis=chosen).max() > 1e3 * evidence.slack.max()
            if min(along) > 2 and varies and np.all(spread <= 2 * evidence.slack):
                yield (
                    "dropped term: what is missing is constant along "
                    f"{_axes([a - 1 for a in chosen])}, as a sum or mean over it would be"
                )


def _partly_right(evidence: Evidence) -> Iterator[str]:
    """Right but for one position along an axis, or but for elements that are zero."""
    wrong = np.any(np.abs(evidence.analytic - evidence.numeric) > evidence.slack, axis=0)
    wrong &= evidence.sound
    if 2 * wrong.sum() > evidence.sound.sum():
        return
    for axis, length in enumerate(wrong.shape):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        positions = np.flatnonzero(wrong.any(axis=others))
        if len(positions) == 1 and length > 2:
            yield f"right except at position {positions[0]} of axis {axis}"
    if not np.any(evidence.analytic[:, wrong]):
        yield f"right except for {wrong.sum()} elements where it is zero"


def _axes(axes: Sequence[int]) -> str:
    return ("axis " if len(axes) == 1 else "axes ") + ", ".join(str(a) for a in axes)


RULES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _not_finite,
    _zero,
    _factor,
    _other_input,
    _transposed,
    _with_columns(_missing_sum),
    _with_columns(_dropped_output),
    _flipped,
    _shifted,
    _with_columns(_dropped_interaction),
    _constant_term,
    _partly_right,
)
"""Simplest first."""
