"""Loaded graphs differentiate; inputs that shapes depend on are fixed; files that ask for too much
are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import ArgumentError, GraphError

onnx = pytest.importorskip("onnx")

DRAW = np.random.default_rng(11)
DOUBLE, INTEGER = onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64
IMAGE = DRAW.standard_normal((2, 3, 5, 4))
GRID = DRAW.uniform(-0.9, 0.9, (2, 3, 3, 2))
ROWS = DRAW.standard_normal((3, 2, 4))


def model(
    nodes: list[Any], inputs: dict[str, Any], output: Any = (DOUBLE, None), **more: Any
) -> Any:
    """Nodes as a model that gives y; an input is an array or, like the output, a pair (type,
    shape)."""
    takes = []
    for name, value in inputs.items():
        kind, shape = (DOUBLE, value.shape) if isinstance(value, np.ndarray) else value
        takes.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    gives = onnx.helper.make_tensor_value_info("y", *output)
    graph = onnx.helper.make_graph(nodes, "g", takes, [gives], **more)
    imports = [onnx.helper.make_opsetid("", 21)]
    made = onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)
    return onnx.shape_inference.infer_shapes(made)


Case = tuple[str, list[np.ndarray], dict[str, Any]]
# Operator, its inputs, its attributes.
CASES: list[Case] = [
    ("GridSample", [IMAGE, GRID], {"align_corners": 1}),
    ("GridSample", [IMAGE, GRID], {"mode": "cubic", "padding_mode": "border"}),
    ("LSTM", [ROWS, DRAW.standard_normal((2, 12, 4)), DRAW.standard_normal((2, 12, 3))],
     {"hidden_size": 3, "direction": "bidirectional"}),
    ("GRU", [ROWS, DRAW.standard_normal((1, 9, 4)), DRAW.standard_normal((1, 9, 3))],
     {"hidden_size": 3, "linear_before_reset": 1}),
    ("LayerNormalization", [IMAGE, np.ones(4), np.zeros(4)], {}),
    ("GroupNormalization", [DRAW.standard_normal((2, 4, 3)), np.ones(4), np.zeros(4)],
     {"num_groups": 2}),
    ("LpNormalization", [IMAGE], {"axis": 1}),
    ("LpPool", [IMAGE], {"kernel_shape": [2, 2], "p": 3}),
    ("AveragePool", [IMAGE], {"kernel_shape": [2, 2], "dilations": [2, 1]}),
    ("ConvTranspose", [IMAGE, DRAW.standard_normal((3, 2, 3, 3))],
     {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("DepthToSpace", [DRAW.standard_normal((1, 8, 2, 3))], {"blocksize": 2, "mode": "CRD"}),
    ("Selu", [IMAGE], {}),
    ("Shrink", [IMAGE], {"lambd": 0.1, "bias": 0.05}),
    ("Mish", [IMAGE], {}),
    ("ReduceLogSumExp", [IMAGE], {"keepdims": 0}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_what_is_read_differentiates(case: Case) -> None:
    kind, arrays, attributes = case
    inputs = {f"x{i}": array for i, array in enumerate(arrays)}
    node = onnx.helper.make_node(kind, list(inputs), ["y"], **attributes)
    shape = arrays[0].shape if kind == "GroupNormalization" else None  # ONNX does not infer it
    graph = mg.onnx.load(model([node], inputs, (DOUBLE, shape)))
    assert mg.gradcheck(graph, *arrays, fast=True).ok


def test_inputs_that_shapes_depend_on_are_fixed(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Mul", ["half", "two"], ["shape"]),
        onnx.helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    inputs = {"x": (DOUBLE, [2, 6]), "half": (INTEGER, [2])}
    two = onnx.numpy_helper.from_array(np.array(2, np.int64), "two")
    made = model(nodes, inputs, initializer=[two])
    with pytest.raises(GraphError, match=r"input 1 has to be known.*fix half with values"):
        mg.onnx.load(made)
    onnx.save(made, tmp_path / "x.onnx")
    for source in (made, tmp_path / "x.onnx"):
        graph = mg.onnx.load(source, values={"half": [3, 1]})
        assert graph.input_names == ("x",)
        assert graph(np.zeros((2, 6))).shape == (6, 2)
    with pytest.raises(ArgumentError, match="no input is called other"):
        mg.onnx.load(made, values={"other": 1})
    with pytest.raises(ArgumentError, match="takes int64, got float64"):
        mg.onnx.load(made, values={"half": [0.5, 2]})
    with pytest.raises(GraphError, match="-6"):
        mg.onnx.load(made, values={"half": [-3, 1]})


def endless(steps: str) -> Any:
    """A loop that goes on as its input says, and counts its steps."""
    node = onnx.helper.make_node
    flag, count = onnx.TensorProto.BOOL, (onnx.TensorProto.INT64, [])
    body = onnx.helper.make_graph(
        [node("Identity", ["go"], ["again"]), node("Add", ["y_in", "y_in"], ["y_out"])],
        "body",
        [
            onnx.helper.make_tensor_value_info("i", *count),
            onnx.helper.make_tensor_value_info("go", flag, []),
            onnx.helper.make_tensor_value_info("y_in", DOUBLE, [2]),
        ],
        [
            onnx.helper.make_tensor_value_info("again", flag, []),
            onnx.helper.make_tensor_value_info("y_out", DOUBLE, [2]),
        ],
    )
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    nodes = [node("Loop", [steps, "yes", "x"], ["y"], body=body)]
    inputs = {"x": (DOUBLE, [2])} | ({steps: count} if steps else {})
    return model(nodes, inputs, (DOUBLE, [2]), initializer=[yes])


def test_loops_are_written_out_and_come_to_an_end() -> None:
    made = endless("n")
    with pytest.raises(GraphError, match="fix n with values"):
        mg.onnx.load(made)
    graph = mg.onnx.load(made, values={"n": 3})
    assert [node.name for node in graph.calls] == ["add"] * 3
    assert graph(np.ones(2)).numpy().tolist() == [8, 8]
    with pytest.raises(GraphError, match="more than 10000 steps"):
        mg.onnx.load(endless(""))


def test_what_is_too_large_or_missing_is_refused() -> None:
    node = onnx.helper.make_node
    big = onnx.numpy_helper.from_array(np.array([2**20, 2**20]), "big")
    one = onnx.numpy_helper.from_array(np.ones((1, 1)), "one")
    for kind in ("Expand", "Tile"):
        nodes = [node(kind, ["one", "big"], ["wide"]), node("Mul", ["x", "wide"], ["y"])]
        made = model(nodes, {"x": (DOUBLE, [1])}, (DOUBLE, [2**20, 2**20]), initializer=[big, one])
        with pytest.raises(GraphError, match="too many elements"):
            mg.onnx.load(made)
    nodes = [node("Sqrt", ["x"], ["a"]), node("Relu", ["a"], ["y"])]
    half = onnx.TensorProto.FLOAT16, [2]
    odd = model(nodes, {"x": half}, half)
    with pytest.raises(GraphError, match="FLOAT16, which minigrad has no dtype for"):
        mg.onnx.load(odd)
    sparse = onnx.helper.make_sparse_tensor(
        onnx.helper.make_tensor("s", DOUBLE, [1], [2.0]),
        onnx.helper.make_tensor("places", INTEGER, [1], [1]),
        [2],
    )
    made = model([node("Mul", ["x", "s"], ["y"])], {"x": (DOUBLE, [2])}, (DOUBLE, [2]))
    made.graph.sparse_initializer.append(sparse)
    with pytest.raises(GraphError, match="sparse"):
        mg.onnx.load(made)
