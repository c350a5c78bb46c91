"""`einsum`: sums of products in index notation, as permutations, diagonals and matrix products.

An operand is held with one label an axis. What repeats within an operand is a diagonal, what
occurs in one operand alone and not in the result is summed at once, and the operands are
contracted two at a time, the cheapest pair first. The gradient is that of these ops.
"""

from __future__ import annotations

import itertools
from collections import Counter

from minigrad.errors import ArgumentError, ShapeError
from minigrad.ops.linear import matmul
from minigrad.ops.movement import permute_dims, reshape
from minigrad.ops.triangle import diagonal
from minigrad.spec import common_dtype, require_floating, size_of
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = ["einsum"]

Labels = tuple[str, ...]
Labelled = tuple[Tensor, Labels]


def einsum(subscripts: str, *operands: Operand) -> Tensor:
    """The sum of products that `subscripts` spells out, as in NumPy: "ij,jk->ik".

    One letter an axis, a comma between operands. A letter that is not in the output is summed
    over; one that repeats within an operand takes its diagonal; "..." stands for axes that
    broadcast. Without "->" the output has the letters that occur once, in alphabetical order,
    after the axes of "...". Takes floating-point arrays. Raises ArgumentError for subscripts that
    cannot be read, ShapeError where they do not fit the operands.
    """
    if not isinstance(subscripts, str):
        raise ArgumentError(f"einsum: subscripts takes a string, got {subscripts!r}")
    tensors = [as_tensor(x) for x in operands]
    inputs, output = _parse(subscripts, tensors)
    require_floating("einsum", *[x.spec for x in tensors])
    common_dtype("einsum", *[x.spec for x in tensors])
    lengths = _lengths(subscripts, tensors, inputs)
    terms = [
        _squeezed(_diagonals(x, labels), lengths) for x, labels in zip(tensors, inputs, strict=True)
    ]
    while len(terms) > 1:
        i, j = min(
            itertools.combinations(range(len(terms)), 2),
            key=lambda pair: _volume(lengths, *[terms[k][1] for k in pair]),
        )
        others = [term for k, term in enumerate(terms) if k not in (i, j)]
        needed = set(output).union(*[labels for _, labels in others])
        terms = [*others, _contract(terms[i], terms[j], needed)]
    x, labels = _summed(terms[0], set(output))
    return permute_dims(x, [labels.index(label) for label in output])


# -- reading ----------------------------------------------------------------------------------


def _parse(subscripts: str, tensors: list[Tensor]) -> tuple[list[Labels], Labels]:
    """One label an axis for each operand and for the output; those of "..." are numbers."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(tensors):
        raise ArgumentError(
            f"einsum: {subscripts!r} is for {len(parts)} operands, got {len(tensors)}"
        )
    for part in [*parts, right]:
        letters = part.replace("...", "", 1)
        if letters and not (letters.isascii() and letters.isalpha()):
            raise ArgumentError(
                f"einsum: subscripts take letters, ',', '->' and '...', got {subscripts!r}"
            )
    inputs = [_expanded(subscripts, part, x.ndim) for part, x in zip(parts, tensors, strict=True)]
    dots = sorted({label for labels in inputs for label in labels if label.isdigit()}, key=int)
    dots.reverse()
    if not arrow:
        counts = Counter(left.replace(".", "").replace(",", ""))
        return inputs, (*dots, *sorted(label for label, n in counts.items() if n == 1))
    if dots and "..." not in right:
        raise ArgumentError(f"einsum: the output of {subscripts!r} lacks the axes of '...'")
    before, _, after = right.partition("...")
    output = (*before, *(dots if "..." in right else ()), *after)
    known = {label for labels in inputs for label in labels}
    if len(set(output)) < len(output) or not known.issuperset(output):
        raise ArgumentError(
            f"einsum: the output of {subscripts!r} takes letters of the operands, each once"
        )
    return inputs, output


def _expanded(subscripts: str, part: str, ndim: int) -> Labels:
    """The labels of an operand; the axes of "..." are numbered from behind."""
    before, dots, after = part.partition("...")
    free = ndim - len(before) - len(after)
    if free < 0 or (free and not dots):
        raise ShapeError(
            f"einsum: {part!r} in {subscripts!r} does not fit an operand of {ndim} axes"
        )
    return (*before, *[str(i) for i in reversed(range(free))], *after)


def _lengths(subscripts: str, tensors: list[Tensor], inputs: list[Labels]) -> dict[str, int]:
    """The length of each label: an axis of 1 broadcasts against other operands."""
    lengths: dict[str, int] = {}
    for x, labels in zip(tensors, inputs, strict=True):
        own: dict[str, int] = {}
        for label, n in zip(labels, x.shape, strict=True):
            earlier = lengths.get(label, 1)
            if own.setdefault(label, n) != n or (n != earlier and 1 not in (n, earlier)):
                named = "an axis of '...'" if label.isdigit() else repr(label)
                raise ShapeError(
                    f"einsum: {named} in {subscripts!r} has different lengths in the shapes "
                    f"{', '.join(str(t.shape) for t in tensors)}"
                )
            lengths[label] = n if earlier == 1 else earlier
    return lengths


# -- computing --------------------------------------------------------------------------------


def _volume(lengths: dict[str, int], *terms: Labels) -> int:
    """The products that a contraction takes."""
    return size_of([lengths[label] for label in set().union(*terms)])


def _diagonals(x: Tensor, labels: Labels) -> Labelled:
    """The operand with each label once; the diagonal's axis comes last."""
    for label, count in Counter(labels).items():
        for _ in range(count - 1):
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal(x, 0, first, second)
            rest = tuple([lab for i, lab in enumerate(labels) if i not in (first, second)])
            labels = (*rest, label)
    return x, labels


def _squeezed(term: Labelled, lengths: dict[str, int]) -> Labelled:
    """Without the axes of 1 that broadcast: to repeat a value is to be free of the label."""
    x, labels = term
    kept = [i for i, label in enumerate(labels) if x.shape[i] == lengths[label]]
    if len(kept) == len(labels):
        return term
    return reshape(x, [x.shape[i] for i in kept]), tuple([labels[i] for i in kept])


def _summed(term: Labelled, needed: set[str]) -> Labelled:
    """The sum over the labels that nobody needs."""
    x, labels = term
    axes = tuple([i for i, label in enumerate(labels) if label not in needed])
    if not axes:
        return term
    return x.sum(axis=axes), tuple([label for label in labels if label in needed])


def _contract(first: Labelled, second: Labelled, needed: set[str]) -> Labelled:
    """The product of two operands, summed over the labels that nobody else needs."""
    a, a_labels = _summed(first, needed | set(second[1]))
    b, b_labels = _summed(second, needed | set(a_labels))
    shared = [label for label in a_labels if label in b_labels]
    batch = [label for label in shared if label in needed]
    between = [label for label in shared if label not in needed]
    rows = [label for label in a_labels if label not in shared]
    columns = [label for label in b_labels if label not in shared]
    lengths = dict(zip([*a_labels, *b_labels], [*a.shape, *b.shape], strict=True))
    result = (*batch, *rows, *columns)
    shape = [lengths[label] for label in result]
    if not between:
        left = _arranged(a, a_labels, [batch, rows, []], lengths)
        right = _arranged(b, b_labels, [batch, [], columns], lengths)
        return reshape(left * right, shape), result
    left = _arranged(a, a_labels, [batch, rows, between], lengths)
    right = _arranged(b, b_labels, [batch, between, columns], lengths)
    return reshape(matmul(left, right), shape), result


def _arranged(
    x: Tensor, labels: Labels, groups: list[list[str]], lengths: dict[str, int]
) -> Tensor:
    """x with its axes in three groups, each made one axis."""
    order = [labels.index(label) for group in groups for label in group]
    sizes = [size_of([lengths[label] for label in group]) for group in groups]
    return reshape(permute_dims(x, order), sizes)
