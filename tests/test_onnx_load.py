"""ONNX files read: what was written comes back with the same results, damage is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_onnx_export import PROGRAMS

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, GraphError, MinigradError

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_was_written_comes_back(name: str, tmp_path: Path) -> None:
    program, shape = PROGRAMS[name]
    path = tmp_path / "x.onnx"
    mg.onnx.export(program, mg.Spec(shape), path)
    graph = mg.onnx.load(path, batch=3)
    if isinstance(program, nn.Module):
        program.eval()
    x = np.random.default_rng(3).standard_normal((3, *shape[1:])).astype(np.float32)
    expected, got = program(mg.tensor(x)).detach().numpy(), graph(x).detach().numpy()
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_lenet5_differentiates_and_is_written_again(tmp_path: Path) -> None:
    network = models.lenet5()
    mg.onnx.export(network, mg.Spec((2, 1, 32, 32)), tmp_path / "a.onnx")
    graph = mg.onnx.load(tmp_path / "a.onnx", batch=2)
    names = {leaf.name for leaf in graph.leaves.values()}
    assert {name for name, _ in network.named_parameters()} <= names
    x = mg.randn((2, 1, 32, 32))
    graph(x).sum().backward()
    network(x).sum().backward()
    wanted = {p.shape: p.grad.numpy() for p in network.parameters()}
    assert len(graph.parameters()) == len(list(network.parameters()))
    for parameter in graph.parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), wanted[parameter.shape], atol=1e-5)
    graph.save(tmp_path / "b.onnx")
    again = mg.onnx.load(tmp_path / "b.onnx")
    assert again(x).detach().numpy().tobytes() == graph(x).detach().numpy().tobytes()


def written(tmp_path: Path, nodes: list[Any], opset: int = 20, ir: int = 9) -> Path:
    """A file of these nodes from the input x to the output y, both float32."""
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(n, kind, [2, 3]) for n in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:])
    imports = [onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("a.b", 1)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=ir)
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_bad_files(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    good = written(tmp_path, [node("Relu", ["x"], ["y"])])
    data = good.read_bytes()
    refused = 0
    for length in range(len(data)):  # a shorter file may by chance be sound
        good.write_bytes(data[:length])
        try:
            mg.onnx.load(good)
        except MinigradError:
            refused += 1
    assert refused > len(data) / 2
    with pytest.raises(GraphError, match=r"cannot be read|sound"):
        mg.onnx.load(tmp_path / "absent.onnx")
    cycle = [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
    with pytest.raises(GraphError, match="sorted"):
        mg.onnx.load(written(tmp_path, cycle))
    strange = [node("Odd", ["x"], ["a"], domain="a.b"), node("RandomNormalLike", ["a"], ["y"])]
    with pytest.raises(GraphError, match=r"RandomNormalLike x 1, a\.b\.Odd x 1"):
        mg.onnx.load(written(tmp_path, strange))
    with pytest.raises(GraphError, match="opset 6"):
        mg.onnx.load(written(tmp_path, [node("Relu", ["x"], ["y"])], 6, 3))
    with pytest.raises(ArgumentError, match="no length is called batch"):
        mg.onnx.load(written(tmp_path, [node("Relu", ["x"], ["y"])]), batch=2)
    huge = onnx.helper.make_tensor("s", onnx.TensorProto.INT64, [2], [2**20, 2**20])
    nodes = [node("Constant", [], ["s"], value=huge), node("ConstantOfShape", ["s"], ["c"])]
    with pytest.raises(GraphError, match="too many elements"):
        mg.onnx.load(written(tmp_path, [*nodes, node("Relu", ["x"], ["y"])]))


def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "x.onnx"
    mg.onnx.export(nn.Linear(30, 40), mg.Spec((2, 30)), path, external_data=True)
    mg.onnx.load(path)
    (tmp_path / "x.data").write_bytes((path.parent / "x.onnx.data").read_bytes())
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../x.data"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(GraphError, match="sound"):
        mg.onnx.load(path)


def test_the_page_lists_what_is_known() -> None:
    from minigrad.onnx import operators, writer

    page = (Path(__file__).parents[1] / "docs" / "onnx.md").read_text(encoding="utf-8")
    lists = [line for line in page.splitlines() if line.startswith("`") and ", `" in line]
    written = ", ".join(f"`{name}`" for name in sorted(writer.RULES))
    read = ", ".join(f"`{name}`" for name in sorted(operators.RULES))
    assert lists == [written, read]
