"""`summary`: a network's layers with their output shapes, parameters and costs, as rows and as the
two tables that people know from torchsummary (flat) and torchinfo (a tree).

Everything is read from a trace, so nothing is computed and no weight has to exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from minigrad.errors import ArgumentError
from minigrad.graph.calls import CallRecord, ModuleCall
from minigrad.graph.graph import Graph
from minigrad.graph.sample import attempts
from minigrad.nn.container import Sequential
from minigrad.nn.module import Module
from minigrad.spec import Shape, Spec, as_integer
from minigrad.tape import Node, Value
from minigrad.tensor import Tensor

__all__ = ["Row", "Summary", "summary"]

Style = Literal["tree", "flat"]
STYLES = ("tree", "flat")


@dataclass(frozen=True)
class Row:
    """One call of a module. Where the batch is unknown, shapes begin with -1.

    `name` is `Conv2d-1` in a flat table and `Conv2d: 2-1` (depth and place at that depth) in a
    tree, `path` the module's from the network down. Numbers are those of this call without what
    further rows show below it, so columns add up: `params` and `trainable_params` (0 where
    `recursive`, a module called before), `macs`, `flops`, the bytes of all results
    (`activation_bytes`), and of those kept for the backward pass (`saved_bytes`).
    """

    name: str
    kind: str
    path: str
    depth: int
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    params: int
    trainable_params: int
    macs: int
    flops: int
    activation_bytes: int = 0
    saved_bytes: int = 0
    recursive: bool = False
    has_params: bool = False
    kernel_size: Any = None

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a tuple of shapes where there are several."""
        return self.output_shapes[0] if len(self.output_shapes) == 1 else self.output_shapes


@dataclass(frozen=True)
class Summary:
    """The rows of a network's summary and its totals; prints as a table.

    `batch_size` is None where the batch was left open: the numbers then are those of one sample.
    Parameters count once, however often they are used, also those of modules that were not called
    (their paths are `uncalled`). `activation_bytes` are the bytes of all that the forward pass
    computes from the inputs, each result in memory of its own, and `saved_bytes` those of the
    results and inputs that the backward pass reads, each once.
    """

    name: str
    style: Style
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    batch_size: int | None
    total_params: int
    trainable_params: int
    total_macs: int
    total_flops: int
    input_bytes: int
    activation_bytes: int
    saved_bytes: int
    param_bytes: int
    buffer_bytes: int
    uncalled: tuple[str, ...]

    @property
    def non_trainable_params(self) -> int:
        return self.total_params - self.trainable_params

    def __str__(self) -> str:
        from minigrad.graph.summary_table import text

        return text(self)

    def _repr_html_(self) -> str:
        from minigrad.graph.summary_table import html

        return html(self)


def summary(
    model: Module,
    input_shape: Any,
    style: Style = "tree",
    *,
    batch_size: int | None = None,
    dtypes: Any = None,
    depth: int | None = None,
    columns: Sequence[str] = ("output", "params"),
) -> Summary:
    """The layers of `model` on an input of this shape, as rows and, printed, as a table.

    `input_shape` is the shape of one sample without its batch, as (3, 224, 224), which is shown
    with -1 for the batch, or with `batch_size`; or a whole shape, as (8, 3, 224, 224): whichever
    the network takes. Where it takes both (a network of `Linear` layers has any axes in front), up
    to three axes are a sample's; say (-1, 10, 784) or `Spec((8, 10, 784))` for whole shapes.
    Several inputs are a list of shapes, named ones a dictionary; `Spec`s and tensors may stand for
    shapes. `dtypes` is one dtype for all inputs (float32 unless said), or a list or dictionary.

    `style` is "tree" (every call under its caller, down to `depth`) or "flat" (layers in the order
    in which they ended, without `Sequential`s). `columns` are chosen from `summary_table.COLUMNS`:
    input, output, params, trainable, kernel, macs, flops, activations, saved.

    The network runs in the mode it is in (`model.eval()`), on shapes alone; nothing of it changes.
    Raises ArgumentError for bad options, and the network's own error where the shape does not fit.
    """
    from minigrad.graph.summary_table import COLUMNS

    if not isinstance(model, Module):
        raise ArgumentError(f"summary: takes a module, got {type(model).__name__}")
    if style not in STYLES:
        raise ArgumentError(f"summary: style is 'tree' or 'flat', got {style!r}")
    if depth is not None and as_integer("summary", "depth", depth) < 1:
        raise ArgumentError(f"summary: depth is at least 1, got {depth}")
    for column in columns:
        if column not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise ArgumentError(f"summary: there is no column {column!r}; there are {known}")
    record, batch = _traced(model, input_shape, dtypes, batch_size)
    calls = _shown(record, style, depth)
    is_open = batch_size is None and batch is not None
    rows = _rows(record, calls, style, batch if is_open else None)
    return _totals(model, record, style, tuple(columns), rows, None if is_open else _batch(record))


def _traced(
    model: Module, input_shape: Any, dtypes: Any, batch_size: int | None
) -> tuple[CallRecord, int | None]:
    """The calls, and the length of the batch axis that was put in front, if any.

    Of two readings of a shape, where both fail, the one that got further tells why.
    """
    failed: tuple[int, Exception] | None = None
    for args, kwargs, batch in attempts(input_shape, dtypes, batch_size):
        record = CallRecord()
        try:
            return record.trace(model, args, kwargs), batch
        except Exception as error:  # also the user's own, say of unpacking a shape
            if failed is None or len(record.ended) > failed[0]:
                failed = len(record.ended), error
    assert failed is not None
    raise failed[1]


def _shown(record: CallRecord, style: Style, depth: int | None) -> list[ModuleCall]:
    """The calls that get a row, in its order. The network itself has none, unless it is a layer."""
    network = record.begun[0]
    if not network.inner:
        return [network]
    if style == "tree":
        return [call for call in record.begun[1:] if depth is None or call.depth <= depth]
    return [
        call
        for call in record.ended
        if call is not network
        and not isinstance(call.module, Sequential)
        and (depth is None or call.depth <= depth)
    ]


def _rows(
    record: CallRecord, calls: Sequence[ModuleCall], style: Style, open_batch: int | None
) -> tuple[Row, ...]:
    shown = set(calls)
    owners = {call: _owner(call, shown) for call in record.begun}
    nodes: dict[ModuleCall, list[Node]] = {call: [] for call in calls}
    above: set[ModuleCall] = set()  # calls with rows below theirs
    for call, owner in owners.items():
        if owner is not None:
            nodes[owner] += call.nodes
        outer = _owner(call.outer, shown) if call in shown and call.outer is not None else None
        if outer is not None:
            above.add(outer)
    made = _made_of_inputs(record.graph)
    saved = _saved_bytes(record.graph, made)
    names = _tree_names(calls) if style == "tree" else _flat_names(calls)
    rows, seen = [], set()
    for call, name in zip(calls, names, strict=True):
        own = [node for node in nodes[call] if node in made]
        again = id(call.module) in seen
        seen.add(id(call.module))
        row = _row(call, name, nodes[call], call in above, again, open_batch)
        kept = sum([saved.get(node, 0) for node in nodes[call]])
        rows.append(replace(row, activation_bytes=_result_bytes(own), saved_bytes=kept))
    return tuple(rows)


def _owner(call: ModuleCall | None, shown: set[ModuleCall]) -> ModuleCall | None:
    """The innermost shown call that a call is, or is in."""
    while call is not None and call not in shown:
        call = call.outer
    return call


def _row(
    call: ModuleCall,
    name: str,
    nodes: Sequence[Node],
    is_above: bool,
    again: bool,
    open_batch: int | None,
) -> Row:
    """The row of a call that has these nodes for its own; memory is filled in by the caller."""
    parameters = list(call.module.parameters(recurse=not is_above))
    counted = [] if again else parameters
    costs = [node.cost for node in nodes]
    return Row(
        name,
        type(call.module).__name__,
        call.frame.path.partition(".")[2],
        max(call.depth, 1),
        tuple([_open(spec, open_batch) for spec in call.inputs]),
        tuple([_open(spec, open_batch) for spec in call.outputs]),
        _count(counted),
        _count([p for p in counted if p.requires_grad]),
        sum([cost.macs for cost in costs]),
        sum([cost.flops for cost in costs]),
        recursive=again,
        has_params=bool(parameters),
        kernel_size=getattr(call.module, "kernel_size", None),
    )


def _batch(record: CallRecord) -> int:
    """The first length of the first input."""
    specs = record.graph.input_specs
    return specs[0].shape[0] if specs and specs[0].shape else 1


def _open(spec: Spec, batch: int | None) -> Shape:
    """A shape with -1 where the batch stands that was put in front."""
    shape = spec.shape
    return (-1, *shape[1:]) if batch is not None and shape and shape[0] == batch else shape


def _flat_names(calls: Iterable[ModuleCall]) -> list[str]:
    return [f"{type(call.module).__name__}-{i}" for i, call in enumerate(calls, start=1)]


def _tree_names(calls: Iterable[ModuleCall]) -> list[str]:
    """Depth, and place among the modules of that depth; a module has the same at every call."""
    places: dict[tuple[int, int], int] = {}
    counts: dict[int, int] = {}
    names = []
    for call in calls:
        depth = max(call.depth, 1)
        key = depth, id(call.module)
        if key not in places:
            counts[depth] = places[key] = counts.get(depth, 0) + 1
        names.append(f"{type(call.module).__name__}: {depth}-{places[key]}")
    return names


def _made_of_inputs(graph: Graph) -> frozenset[Node]:
    """The inputs and all that is computed from them: not parameters, nor, say, their transposes,
    which take no memory."""
    made = set(graph.inputs)
    for node in graph.calls:
        if any(source in made for source, _ in node.inputs):
            made.add(node)
    return frozenset(made)


def _result_bytes(nodes: Iterable[Node]) -> int:
    return sum([spec.nbytes for node in nodes for spec in node.outputs])


def _saved_bytes(graph: Graph, made: frozenset[Node]) -> dict[Node, int]:
    """Bytes that each node has kept for its backward that no node before it had."""
    kept: set[Value] = set()
    found: dict[Node, int] = {}
    for node in graph.calls:
        read_inputs, read_outputs = node.reads
        values = [node.inputs[i] for i in read_inputs] + [(node, i) for i in read_outputs]
        for source, index in values:
            if source in made and (source, index) not in kept:
                kept.add((source, index))
                found[node] = found.get(node, 0) + source.outputs[index].nbytes
    return found


def _totals(
    model: Module,
    record: CallRecord,
    style: Style,
    columns: tuple[str, ...],
    rows: tuple[Row, ...],
    batch_size: int | None,
) -> Summary:
    graph, cost = record.graph, record.graph.cost
    made = _made_of_inputs(graph)
    parameters = list(model.parameters())
    called = {id(call.module) for call in record.begun}
    within = {id(m) for call in record.begun if not call.inner for m in call.module.modules()}
    idle = [path for path, m in model.named_modules() if id(m) not in called | within and path]
    return Summary(
        graph.name,
        style,
        columns,
        rows,
        batch_size,
        _count(parameters),
        _count([p for p in parameters if p.requires_grad]),
        cost.macs,
        cost.flops,
        sum([spec.nbytes for spec in graph.input_specs]),
        _result_bytes([node for node in graph.calls if node in made]),
        sum(_saved_bytes(graph, made).values()),
        sum([p.nbytes for p in parameters]),
        sum([b.nbytes for b in model.buffers()]),
        tuple(idle),
    )


def _count(tensors: Iterable[Tensor]) -> int:
    return sum([tensor.size for tensor in tensors])
