"""What ONNX's RNN, GRU and LSTM are in minigrad: one step after the other, in either direction.
Rules of the table in `operators`.

A step takes rows (batch, input) and the state (batch, hidden). Gates stand behind one another in
the weights, in the order of ONNX: of a GRU z r h, of an LSTM i o f c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.creation import zeros
from minigrad.nn import functional
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import int64
from minigrad.tensor import Tensor, as_tensor

# By the lower-case name: the function of x, alpha and beta, and what these are by default.
ACTIVATIONS: dict[str, tuple[Callable[..., Any], float, float]] = {
    "affine": (lambda x, a, b: x * a + b, 1.0, 0.0),
    "elu": (lambda x, a, b: functional.elu(x, a), 1.0, 0.0),
    "hardsigmoid": (lambda x, a, b: mg.clip(x * a + b, 0, 1), 0.2, 0.5),
    "leakyrelu": (lambda x, a, b: functional.leaky_relu(x, a), 0.01, 0.0),
    "relu": (lambda x, a, b: mg.relu(x), 0.0, 0.0),
    "scaledtanh": (lambda x, a, b: mg.tanh(x * b) * a, 1.0, 1.0),
    "sigmoid": (lambda x, a, b: mg.sigmoid(x), 0.0, 0.0),
    "softplus": (lambda x, a, b: functional.softplus(x, threshold=1e4), 0.0, 0.0),
    "softsign": (lambda x, a, b: functional.softsign(x), 0.0, 0.0),
    "tanh": (lambda x, a, b: mg.tanh(x), 0.0, 0.0),
    "thresholdedrelu": (lambda x, a, b: mg.where(x > a, x, 0), 1.0, 0.0),
}
USUAL = {"GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "RNN": ["Tanh"]}
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


@dataclass(frozen=True)
class Cell:
    """One direction: its weights (gates · hidden, ...), transposed, and its activations."""

    op: Operator
    weight: Tensor
    recurrence: Tensor
    bias: Tensor
    inner: Tensor  # the bias of the recurrence
    peepholes: Tensor | None
    functions: list[Callable[[Tensor], Any]]

    @property
    def hidden(self) -> int:
        return self.recurrence.shape[0]

    def gate(self, values: Tensor, index: int) -> Tensor:
        return values[..., index * self.hidden : (index + 1) * self.hidden]

    def step(self, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        return STEPS[self.op.kind](self, x, states)


def _rnn(cell: Cell, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    total = x @ cell.weight + states[0] @ cell.recurrence + cell.bias + cell.inner
    return [cell.functions[0](total)]


def _gru(cell: Cell, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    """h' = (1 - z) h̃ + z h (Cho et al. 2014, equations 5 to 8)."""
    (h,), (f, g) = states, cell.functions
    given = x @ cell.weight + cell.bias
    before = h @ cell.recurrence + cell.inner
    z = f(cell.gate(given, 0) + cell.gate(before, 0))
    r = f(cell.gate(given, 1) + cell.gate(before, 1))
    if cell.op.get("linear_before_reset", 0):
        new = g(cell.gate(given, 2) + r * cell.gate(before, 2))
    else:
        weight, bias = cell.gate(cell.recurrence, 2), cell.gate(cell.inner, 2)
        new = g(cell.gate(given, 2) + (r * h) @ weight + bias)
    return [(1 - z) * new + z * h]


def _lstm(cell: Cell, x: Tensor, states: list[Tensor]) -> list[Tensor]:
    """c' = f c + i c̃, h' = o tanh(c') (Gers et al. 2002 with peepholes)."""
    (h, c), (f, g, out) = states, cell.functions
    total = x @ cell.weight + h @ cell.recurrence + cell.bias + cell.inner
    i, o, forget, new = [cell.gate(total, k) for k in range(4)]
    if cell.peepholes is not None:
        i = i + cell.gate(cell.peepholes, 0) * c
        forget = forget + cell.gate(cell.peepholes, 2) * c
    i = f(i)
    share = 1 - i if cell.op.get("input_forget", 0) else f(forget)
    c = share * c + i * g(new)
    if cell.peepholes is not None:
        o = o + cell.gate(cell.peepholes, 1) * c
    return [f(o) * out(c), c]


STEPS: dict[str, Callable[[Cell, Tensor, list[Tensor]], list[Tensor]]] = {
    "GRU": _gru,
    "LSTM": _lstm,
    "RNN": _rnn,
}


def recurrent(
    op: Operator,
    x: Any,
    weight: Any,
    recurrence: Any,
    bias: Any = None,
    lengths: Any = None,
    h: Any = None,
    c: Any = None,
    peepholes: Any = None,
) -> Any:
    """Y (steps, directions, batch, hidden), the last h and, of an LSTM, the last c."""
    x, weight, recurrence = as_tensor(x), as_tensor(weight), as_tensor(recurrence)
    batch_first = bool(op.get("layout", 0))
    x = mg.permute_dims(x, (1, 0, 2)) if batch_first else x
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    directions = ways[op.get("direction", "forward")]
    counts = None if lengths is None else as_tensor(lengths).astype(int64)
    starts = [v for v in (h, c if op.kind == "LSTM" else None) if v is not None]
    initial = [as_tensor(v) for v in starts]
    initial = [mg.permute_dims(v, (1, 0, 2)) if batch_first else v for v in initial]
    ys, ends = [], []
    for d, backward in enumerate(directions):
        cell = _cell(op, d, weight, recurrence, bias, peepholes)
        shape = (x.shape[1], cell.hidden)
        zero = [zeros(shape, dtype=x.dtype) for _ in range(2 if op.kind == "LSTM" else 1)]
        states = [initial[i][d] if i < len(initial) else z for i, z in enumerate(zero)]
        if op.kind == "LSTM" and h is None and c is not None:
            states = [zero[0], initial[0][d]]
        y, last = _run(cell, x, states, counts, backward)
        ys.append(y)
        ends.append(last)
    whole = mg.stack(ys, axis=1)
    lasts = [mg.stack(parts, axis=0) for parts in zip(*ends, strict=True)]
    if batch_first:
        whole = mg.permute_dims(whole, (2, 0, 1, 3))
        lasts = [mg.permute_dims(v, (1, 0, 2)) for v in lasts]
    return [whole, *lasts]


def _cell(
    op: Operator, d: int, weight: Tensor, recurrence: Tensor, bias: Any, peepholes: Any
) -> Cell:
    size = GATES[op.kind] * recurrence.shape[-1]
    both = zeros(2 * size, dtype=weight.dtype) if bias is None else as_tensor(bias)[d]
    names = op.get("activations")
    usual = USUAL[op.kind]
    listed = usual * (d + 1) if names is None else [name.decode() for name in names]
    alphas, betas = list(op.get("activation_alpha", [])), list(op.get("activation_beta", []))
    start = d * len(usual)
    functions = []
    for place, name in enumerate(listed):
        if name.lower() not in ACTIVATIONS:
            raise op.refuse(f"the activation {name} is not known; known are {sorted(ACTIVATIONS)}")
        function, a, b = ACTIVATIONS[name.lower()]
        a = alphas[place] if place < len(alphas) else a
        b = betas[place] if place < len(betas) else b
        functions.append(_clipped(function, a, b, op.get("clip")))
    return Cell(
        op,
        weight[d].T,
        recurrence[d].T,
        both[:size],
        both[size:],
        None if peepholes is None else as_tensor(peepholes)[d],
        functions[start : start + len(usual)],
    )


def _clipped(function: Callable[..., Any], a: float, b: float, bound: float | None) -> Any:
    if bound is None:
        return lambda x: function(x, a, b)
    return lambda x: function(mg.clip(x, -bound, bound), a, b)


def _run(
    cell: Cell, x: Tensor, states: list[Tensor], counts: Tensor | None, backward: bool
) -> tuple[Tensor, list[Tensor]]:
    """The outputs of all steps, and the states after the last. Beyond the end of a sequence the
    state stays and the output is 0; going backward a sequence begins at its own end."""
    steps = range(x.shape[0])
    rows: list[Any] = [None] * len(steps)
    for step in reversed(steps) if backward else steps:
        new = cell.step(x[step], states)
        output = new[0]
        if counts is not None:
            here = mg.expand_dims(mg.greater(counts, np.asarray(step, np.int64)), -1)
            new = [mg.where(here, n, old) for n, old in zip(new, states, strict=True)]
            output = mg.where(here, output, 0)
        states, rows[step] = new, output
    return mg.stack(rows, axis=0), states


RULES: dict[str, Rule] = dict.fromkeys(STEPS, recurrent)
"""By the operator's name."""
