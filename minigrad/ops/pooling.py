"""What all poolings share: which windows there are, their shape rule, and their cost.

Sliding windows are a `Window`, those whose number is given an `Adaptive`; the kernels take both as
tables. The poolings are in `average_pooling` and `max_pooling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from minigrad import kernels
from minigrad.errors import ArgumentError, ShapeError
from minigrad.op import Cost, Op, bytes_moved
from minigrad.spec import Shape, Spec, Window, as_integer, require_floating

if TYPE_CHECKING:
    from minigrad.kernels.pooling_windows import Windows

Size = int | tuple[int, ...]
AdaptiveSize = int | None | tuple[int | None, ...]


@dataclass(frozen=True)
class Adaptive:
    """So many windows along each axis, None for as many as the axis is long: of n along a length
    L, window o reaches from floor(o L / n) to, and not with, ceil((o + 1) L / n)."""

    lengths: tuple[int | None, ...]

    @staticmethod
    def of(op: str, axes: int, output_size: Any) -> Adaptive:
        """From what a user gives: one length for all axes, or one each."""
        listed = isinstance(output_size, (tuple, list))
        given = tuple(output_size) if listed else (output_size,) * axes
        if len(given) != axes:
            raise ArgumentError(
                f"{op}: output_size takes one length or {axes}, got {output_size!r}"
            )
        lengths = [n if n is None else as_integer(op, "output_size", n) for n in given]
        if any(n is not None and n < 1 for n in lengths):
            raise ArgumentError(f"{op}: output_size must be at least 1, got {output_size!r}")
        return Adaptive(tuple(lengths))

    def output_size(self, op: str, input_size: Shape) -> Shape:
        """Lengths of the output for an input of these lengths."""
        pairs = zip(self.lengths, input_size, strict=True)
        return tuple([given if n is None else n for n, given in pairs])


@dataclass(frozen=True)
class Pooling(Op):
    """What poolings and their gradients share: windows over the last axes."""

    window: Window | Adaptive

    @property
    def axes(self) -> int:
        """How many axes of space there are."""
        window = self.window
        return len(window.lengths if isinstance(window, Adaptive) else window.kernel_size)

    def tables(self, size: Shape) -> tuple[Windows, ...]:
        """The windows over an input of this size, as kernels take them."""
        kept = max(size) <= kernels.pooling_windows.LONGEST_KEPT
        return (_tables if kept else _tables.__wrapped__)(self.window, self.name, size)

    def pooled(self, x: Spec) -> Spec:
        """Spec of a pooling of x."""
        require_floating(self.name, x)
        if x.ndim - self.axes not in (1, 2) or 0 in x.shape:
            space = "DHW"[-self.axes :] if self.axes > 1 else "L"
            listed = ", ".join(("C", *space))
            raise ShapeError(
                f"{self.name}: takes an input (N, {listed}) or ({listed}) with every length at "
                f"least 1, got shape {x.shape}"
            )
        split = x.ndim - self.axes
        lengths = self.window.output_size(self.name, x.shape[split:])
        return Spec.of((*x.shape[:split], *lengths), x.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        """One operation for each element of each window."""
        small, large = sorted((inputs[0], outputs[0]), key=lambda spec: spec.size)
        window = self.window
        if isinstance(window, Adaptive):
            pairs = zip(large.shape[-self.axes :], small.shape[-self.axes :], strict=True)
            per_window = prod([-(-length // out) for length, out in pairs])
        else:
            per_window = prod(window.kernel_size)
        return Cost(0, per_window * small.size, bytes_moved(inputs, outputs))


@lru_cache(maxsize=256)
def _tables(window: Window | Adaptive, op: str, size: Shape) -> tuple[Windows, ...]:
    found = kernels.pooling_windows
    out = window.output_size(op, size)
    if isinstance(window, Adaptive):
        return tuple([found.adaptive(*lengths) for lengths in zip(size, out, strict=True)])
    how = window.kernel_size, window.stride, window.padding, window.dilation
    tables: tuple[Windows, ...] = found.sliding(op, size, out, *how)
    return tables


def sliding_window(
    op: str,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Window:
    """The window of a pooling from what a user gives; by default it moves on by its own size."""
    step = kernel_size if stride is None else stride
    if {type(kernel_size), type(step), type(padding), type(dilation)} == {int}:
        return _sliding_window(op, axes, kernel_size, step, padding, dilation, bool(ceil_mode))
    return _sliding_window.__wrapped__(op, axes, kernel_size, step, padding, dilation, ceil_mode)


@lru_cache(maxsize=1024)
def _sliding_window(
    op: str,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Window:
    window = Window.of(op, axes, kernel_size, stride, padding, dilation, ceil_mode)
    for pads, size in zip(window.padding, window.kernel_size, strict=True):
        if max(pads) > size // 2:
            raise ShapeError(
                f"{op}: padding may be at most half the kernel_size {window.kernel_size}, got "
                f"{padding}"
            )
    return window
