"""The node tests of the package onnx itself, run by `minigrad.onnx.backend`.

Every case is run and right, or left out for a reason that stands here by operator or by type. Run
as a program this file prints the table in docs/onnx.md.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.errors import ArgumentError, GraphError, MinigradError

onnx = pytest.importorskip("onnx")

SEQUENCES = "sequences and optional values are no tensors"
STRINGS = "strings are no tensors of numbers"
RANDOM = "gives random numbers, other ones than those of the case"
LEARNING = "trees and tables of classical machine learning"
TRAINING = "ONNX's preview of training; minigrad has optimizers of its own"
LEFT_OUT = {
    "Bernoulli": RANDOM,
    "ImageDecoder": "decodes files of pictures",
    "LabelEncoder": LEARNING,
    "MelWeightMatrix": "a table of sound processing",
    "NonMaxSuppression": "how many boxes it gives depends on their values",
    "Optional": SEQUENCES,
    "OptionalGetElement": SEQUENCES,
    "OptionalHasElement": SEQUENCES,
    "RandomUniformLike": RANDOM,
    "RegexFullMatch": STRINGS,
    "SequenceAt": SEQUENCES,
    "SequenceConstruct": SEQUENCES,
    "SequenceEmpty": SEQUENCES,
    "SequenceInsert": SEQUENCES,
    "SequenceLength": SEQUENCES,
    "SequenceMap": SEQUENCES,
    "SplitToSequence": SEQUENCES,
    "StringConcat": STRINGS,
    "StringNormalizer": STRINGS,
    "StringSplit": STRINGS,
    "TfIdfVectorizer": "counts of words",
}
DOMAINS = {
    "ai.onnx.ml": LEARNING,
    "ai.onnx.preview": "an operator of the preview, which takes programs as its attributes",
    "ai.onnx.preview.training": TRAINING,
}
NARROW = {
    "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ",
    "FLOAT8E8M0", "FLOAT4E2M1", "INT4", "UINT4", "INT2", "UINT2",
}  # fmt: skip
NOISE = "expects the rounding error of an algorithm, 2e-7 where 0 is right"
CASES = {
    "test_dft_inverse": NOISE,
    "test_dft_inverse_opset19": NOISE,
    "test_training_dropout": RANDOM,
    "test_training_dropout_default": RANDOM,
    "test_training_dropout_default_mask": RANDOM,
    "test_training_dropout_mask": RANDOM,
    "test_not_2d": "opset 1; operators before opset 7 broadcast by other rules",
    "test_not_3d": "opset 1; operators before opset 7 broadcast by other rules",
    "test_not_4d": "opset 1; operators before opset 7 broadcast by other rules",
    "test_scan_sum": "the Scan of opset 8, which has an axis for the batch",
}
RUNS = {  # and gives something else
    "test_dft_inverse",
    "test_dft_inverse_opset19",
    "test_training_dropout",
    "test_training_dropout_default",
}


@cache
def all_cases() -> tuple[Any, ...]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(load_model_tests(kind="node"))


def first_of_each_operator() -> list[Any]:
    found: dict[str, Any] = {}
    for case in all_cases():
        found.setdefault(case.model.graph.node[0].op_type, case)
    return list(found.values())


def nodes_in(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes_in(attribute.g)


def types_of(case: Any) -> set[str]:
    """The kinds of the inputs and outputs, the elements of tensors by their names."""
    found = set()
    for value in (*case.model.graph.input, *case.model.graph.output):
        kind = value.type.WhichOneof("value")
        name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        found.add(name if kind == "tensor_type" else kind)
    for node in nodes_in(case.model.graph):
        if node.op_type == "Cast":
            found |= {onnx.TensorProto.DataType.Name(a.i) for a in node.attribute if a.name == "to"}
    return found


def why_left_out(case: Any) -> tuple[str, str] | None:
    """The operator (or type) that a case is left out for, and the reason; None of a case to run."""
    nodes = list(nodes_in(case.model.graph))
    for node in nodes:
        if node.domain in DOMAINS:
            return f"{node.domain}.{node.op_type}", DOMAINS[node.domain]
    for node in nodes:
        if node.op_type in LEFT_OUT:
            return node.op_type, LEFT_OUT[node.op_type]
    if case.name in CASES:
        return nodes[0].op_type, CASES[case.name]
    types = types_of(case)
    for kind in sorted(types & NARROW):
        return f"of type {kind}", "minigrad has no such dtype"
    if "STRING" in types:
        return "of type STRING", STRINGS
    if types & {"sequence_type", "optional_type"}:
        return f"{nodes[0].op_type} of sequences", SEQUENCES
    return None


def outcome(case: Any) -> str:
    """Nothing where the backend gives what the case expects, or else what is wrong."""
    from onnx.backend.test import runner

    from minigrad.onnx.backend import Backend

    prepared = Backend.prepare(case.model)
    for inputs, expected in case.data_sets:
        given = [runner._normalize_tensor(value) for value in inputs]
        wanted = [runner._normalize_tensor(value) for value in expected]
        try:
            got = prepared.run(given)
            runner.Runner.assert_similar_outputs(wanted, got, case.rtol, case.atol)
        except AssertionError as error:
            return " ".join(str(error).split())[:300]
    return ""


def judged(cases: Iterable[Any]) -> tuple[Counter[tuple[str, str]], int, list[str]]:
    """How many cases were left out, by reason, how many passed, and what is wrong."""
    left: Counter[tuple[str, str]] = Counter()
    passed, wrong = 0, []
    for case in cases:
        reason = why_left_out(case)
        try:
            found = outcome(case)
        except MinigradError as error:
            found = f"refused: {error}"
        if reason is None:
            passed += not found
            wrong += [f"{case.name}: {found}"] * bool(found)
            continue
        left[reason] += 1
        if not found:
            wrong.append(f"{case.name}: passes, though it is left out: {reason}")
        elif not found.startswith("refused: ") and case.name not in RUNS:
            wrong.append(f"{case.name}: {found}")
    return left, passed, wrong


def table(left: Counter[tuple[str, str]]) -> list[str]:
    rows: dict[str, Counter[str]] = {}
    for (what, reason), count in left.items():
        rows.setdefault(reason, Counter())[what] += count
    lines = []
    for reason, kinds in sorted(rows.items(), key=lambda row: -row[1].total()):
        listed = ", ".join(f"{what} ({count})" for what, count in sorted(kinds.items()))
        lines.append(f"| {reason} | {kinds.total()} | {listed} |")
    return lines


def summary(left: Counter[tuple[str, str]], passed: int) -> str:
    return (
        f"Of {left.total() + passed:,} cases of onnx {onnx.__version__} {passed:,} were run and "
        f"passed; {left.total()} were left out:"
    )


def test_a_case_of_every_operator(capsys: pytest.CaptureFixture[str]) -> None:
    left, passed, wrong = judged(first_of_each_operator())
    with capsys.disabled():
        print(f"\none case an operator: {passed} passed, {left.total()} left out")
    assert not wrong
    assert passed > 150


@pytest.mark.slow
def test_all_cases(capsys: pytest.CaptureFixture[str]) -> None:
    left, passed, wrong = judged(all_cases())
    with capsys.disabled():
        print("", summary(left, passed), *table(left), sep="\n")
    assert not wrong
    assert left.total() + passed == len(all_cases())
    assert {case.name for case in all_cases()} >= set(CASES) | RUNS
    assert {node.op_type for case in all_cases() for node in nodes_in(case.model.graph)} >= {
        *LEFT_OUT
    }
    page = (Path(__file__).parents[1] / "docs" / "onnx.md").read_text(encoding="utf-8")
    if f"onnx {onnx.__version__} " in page:  # the cases go with the package
        assert [line for line in (summary(left, passed), *table(left)) if line not in page] == []


def test_a_backend_takes_what_its_interface_says() -> None:
    from minigrad.onnx import backend

    x = np.array([[-1, 2, 3]], np.float32)
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    (y,) = backend.run_node(node, [x])
    assert y.tolist() == [[0, 2, 3]]
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(n, kind, ["batch", 3]) for n in ("x", "y")]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    imports = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=9)
    assert backend.Backend.is_compatible(model)
    assert backend.supports_device("CPU") and not backend.supports_device("CUDA")
    prepared = backend.prepare(model)
    for given in ([x], {"x": x}, x):
        assert prepared.run(given)[0].tolist() == [[0, 2, 3]]
    assert prepared.run([np.repeat(x, 4, 0)])[0].tolist() == [[0, 2, 3]] * 4
    for wrong in ([], [x, x], {"z": x}, [x.astype(np.float64)], [x[:, :2]], [x[0]], None):
        with pytest.raises(ArgumentError, match="take"):
            prepared.run(wrong)
    with pytest.raises(ArgumentError, match="CUDA"):
        backend.prepare(model, "CUDA")
    with pytest.raises(ArgumentError, match="takes the inputs"):
        backend.run_node(node, [x, x])
    with pytest.raises(GraphError, match="sound"):
        backend.run_node(onnx.helper.make_node("Relu", ["x"], ["y"], alpha=1.0), [x])
    odd = onnx.helper.make_node("StringConcat", ["x", "x"], ["y"])
    with pytest.raises(MinigradError):
        backend.run_node(odd, [np.array(["a"])])


if __name__ == "__main__":
    left_out, passes, failures = judged(all_cases())
    print(summary(left_out, passes), *table(left_out), *failures, sep="\n")
