"""Operators that `export` does not write: the graph that is read gives what onnxruntime gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_onnx_export import session

import minigrad as mg

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


DRAW = np.random.default_rng(7)
IMAGE = DRAW.standard_normal((2, 3, 7, 8)).astype(np.float32)
MATRIX = DRAW.standard_normal((4, 6)).astype(np.float32)
WEIGHT = DRAW.standard_normal((4, 3, 3, 2)).astype(np.float32)
ROW = DRAW.uniform(0.5, 2, 6).astype(np.float32)
THREE = [DRAW.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4)]


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


Case = tuple[str, np.ndarray, list[np.ndarray], dict[str, Any]]
# Operator, its first input, the initializers behind it, its attributes.
CASES: list[Case] = [
    ("Gemm", MATRIX, [MATRIX, ROW[:4]], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Flatten", IMAGE, [], {"axis": 2}),
    ("Flatten", IMAGE, [], {"axis": -1}),
    ("BatchNormalization", IMAGE, THREE, {"epsilon": 1e-3}),
    ("InstanceNormalization", IMAGE, THREE[:2], {}),
    ("LayerNormalization", MATRIX, [ROW, ROW], {"axis": -1}),
    ("Conv", IMAGE, [WEIGHT], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", IMAGE, [WEIGHT], {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    ("Conv", IMAGE, [WEIGHT], {"auto_pad": "VALID"}),
    ("Conv", IMAGE, [WEIGHT], {"pads": [0, 1, 2, 0], "dilations": [2, 1]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER"}),
    ("AveragePool", IMAGE, [], {"kernel_shape": [3, 2], "auto_pad": "SAME_UPPER"}),
    ("AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "pads": [2, 0, 1, 2]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("GlobalAveragePool", IMAGE, [], {}),
    ("GlobalMaxPool", IMAGE, [], {}),
    ("Elu", MATRIX, [], {"alpha": 0.5}),
    ("Celu", MATRIX, [], {"alpha": 0.5}),
    ("LeakyRelu", MATRIX, [], {"alpha": 0.2}),
    ("HardSigmoid", MATRIX, [], {}),
    ("HardSwish", MATRIX, [], {}),
    ("Selu", MATRIX, [], {}),
    ("Softsign", MATRIX, [], {}),
    ("Mish", MATRIX, [], {}),
    ("Reciprocal", MATRIX, [], {}),
    ("PRelu", MATRIX, [ROW], {}),
    ("ReduceL1", MATRIX, [whole(1)], {}),
    ("ReduceL2", MATRIX, [whole(0)], {"keepdims": 0}),
    ("ReduceSumSquare", MATRIX, [], {}),
    ("CumSum", MATRIX, [np.array(1)], {"exclusive": 1, "reverse": 1}),
    ("Slice", MATRIX, [whole(-1), whole(-100), whole(1), whole(-2)], {}),
    ("Pad", IMAGE, [whole(0, 0, 1, -2, 0, 0, 2, 1), np.float32(2).reshape(())], {}),
    ("Reshape", IMAGE, [whole(0, -1, 4)], {}),
    ("Clip", MATRIX, [np.float32(-0.5).reshape(())], {}),
    ("Mod", MATRIX, [ROW], {"fmod": 1}),
    ("Transpose", IMAGE, [], {}),
    ("Einsum", MATRIX, [ROW], {"equation": "ij,j->i"}),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_an_operator_gives_what_onnxruntime_gives(case: Case, tmp_path: Path) -> None:
    kind, x, initializers, attributes = case
    names = [f"w{i}" for i in range(len(initializers))]
    node = onnx.helper.make_node(kind, ["x", *names], ["y"], **attributes)
    held = [onnx.numpy_helper.from_array(w, n) for n, w in zip(names, initializers, strict=True)]
    kind_of = onnx.TensorProto.FLOAT
    ends = onnx.helper.make_tensor_value_info("x", kind_of, x.shape)
    out = onnx.helper.make_tensor_value_info("y", kind_of, None)
    graph = onnx.helper.make_graph([node], "g", [ends], [out], held)
    imports = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=9)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.save(model, tmp_path / "x.onnx")
    (expected,) = session(tmp_path / "x.onnx").run(None, {"x": x})
    got = mg.onnx.load(tmp_path / "x.onnx")(x).detach().numpy()
    assert got.shape == expected.shape and got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
