"""The house: which module may import which, what `import minigrad` costs, how large the core is.

Imports go down, or along a floor without a cycle. A module that stands on no floor fails.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# A package's floor holds for all its modules; the longest name that fits counts.
FLOORS = {
    "minigrad.errors": 0,
    "minigrad.threads": 0,
    "minigrad.kernels": 0,
    "minigrad.spec": 1,
    "minigrad.conversion": 1,
    "minigrad.constants": 1,
    "minigrad.random": 1,
    "minigrad.op": 2,
    "minigrad.tape": 3,
    "minigrad.tensor": 4,
    "minigrad.gradients": 4,
    "minigrad.creation": 5,
    "minigrad.dtypes": 5,
    "minigrad.sampling": 5,
    "minigrad.ops": 5,
    "minigrad.function": 5,
    "minigrad.transforms": 6,
    "minigrad.linalg": 6,
    "minigrad.nn": 6,
    "minigrad.optim": 6,
    "minigrad.data": 6,
    "minigrad.serialization": 6,
    "minigrad.graph": 6,
    "minigrad.anomaly": 7,
    "minigrad.models": 7,
    "minigrad.onnx": 7,
    "minigrad.checking": 7,
    "minigrad.testing": 7,
    "minigrad": 8,
    "minigrad.cli": 9,
    "minigrad.__main__": 9,
}
CORE = ("spec", "conversion", "random", "op", "tape", "tensor", "gradients")
NOT_AT_START = (
    "llvmlite",
    "matplotlib",
    "networkx",
    "numba",
    "onnx",
    "rich",
    "safetensors",
    "threadpoolctl",
    "typer",
)


def modules() -> dict[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for folder, package in (("minigrad", "minigrad"), ("models", "minigrad.models")):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            parts = path.relative_to(REPOSITORY / folder).with_suffix("").parts
            name = ".".join([package, *[part for part in parts if part != "__init__"]])
            found[name] = path
    return found


MODULES = modules()


def floor(module: str) -> int | None:
    """The floor of a module, by the longest name in the table that it lies in. The top name,
    `minigrad`, holds for itself alone."""
    name = module
    while name != "minigrad" and name not in FLOORS:
        name = name.rpartition(".")[0]
    return FLOORS[name] if name != "minigrad" or module == "minigrad" else None


def is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(path: Path, module: str, within_functions: bool = True) -> set[str]:
    """The modules of this package that a file imports."""
    found: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.stmt) and is_for_type_checkers(node):
            continue
        if not within_functions and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            members = {f"{base}.{alias.name}" for alias in node.names}
            inner = {member for member in members if member in MODULES}
            found |= inner
            # `from package import module` runs the package's own file, but takes nothing of it.
            if len(inner) < len(members):
                found.add(base)
        pending.extend(ast.iter_child_nodes(node))
    return {name for name in found if name in MODULES} - {module}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_stands_on_a_floor(module: str) -> None:
    assert floor(module) is not None, f"{module} has no floor: place it in FLOORS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    own = floor(module)
    assert own is not None
    for other in imports(MODULES[module], module):
        above = floor(other)
        assert above is not None
        assert above <= own, f"{module} (floor {own}) imports {other} (floor {above})"


def test_no_cycle_of_imports() -> None:
    remaining = {m: imports(path, m, within_functions=False) for m, path in MODULES.items()}
    while remaining:
        free = [m for m, needed in remaining.items() if not needed & remaining.keys()]
        assert free, f"these modules import each other in a circle: {sorted(remaining)}"
        for module in free:
            del remaining[module]


def test_every_floor_is_in_use() -> None:
    unused = [name for name in FLOORS if name not in MODULES]
    assert not unused, f"no such modules: {unused}"


def test_the_package_is_what_is_installed() -> None:
    import tomllib

    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {
        name if path.name == "__init__.py" else name.rpartition(".")[0]
        for name, path in MODULES.items()
    }
    assert folders == set(settings["tool"]["setuptools"]["packages"])


def test_importing_minigrad_brings_in_nothing_heavy() -> None:
    code = f"import sys, minigrad; print([m for m in {NOT_AT_START!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_an_elementwise_program_needs_no_numba() -> None:
    code = (
        "import sys, minigrad as mg\n"
        "x = mg.ones(3, requires_grad=True)\n"
        "(x.exp() * x).sum().backward()\n"
        "print('numba' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_the_core_is_read_in_an_evening() -> None:
    lines = sum(
        len(MODULES[f"minigrad.{name}"].read_text(encoding="utf-8").splitlines()) for name in CORE
    )
    assert lines < 1500
