"""`Tensor`, an array that remembers how it was computed, and `apply`, which runs an op.

A tensor is a name for a value: in-place syntax (`x[i] = v`) gives the name a new value and
leaves every recorded one as it was. Its operators and methods are the ops of `minigrad.ops`,
which binds them here.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigrad import tape
from minigrad.errors import ArgumentError, DtypeError, GradientError, ShapeError
from minigrad.op import Op
from minigrad.spec import FLOATING, Axis, Shape, Spec, as_dtype, float32, require_floating

Array = NDArray[Any]
Operand = Any
"""A tensor, an array, or a Python number, which takes the dtype of what it meets."""


class Tensor:
    """An n-dimensional array with a dtype, a gradient, and the record of its origin.

    `Tensor(data, dtype=None, requires_grad=False)` copies `data`: a number, nested lists, a NumPy
    array or a tensor. Python floats become float32, integers int64; arrays keep their dtype.
    Raises DtypeError for a dtype minigrad does not compute with, or if something that is not
    floating-point is to require a gradient.
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_index", "_node", "_requires_grad", "_spec")

    _array: Array
    _grad: Tensor | None
    _index: int
    _node: tape.Node | None
    _requires_grad: bool
    _spec: Spec

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        array = _as_array(data, dtype)
        # Whoever handed the array in may change it later; recorded values never change.
        self._array = array.copy(order="K") if _shares_memory(array, data) else array
        self._spec = Spec.of(array.shape, array.dtype)
        self._node = None
        self._index = 0
        self._grad = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad = True

    # -- what it is ---------------------------------------------------------------------------

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        return self._spec

    @property
    def shape(self) -> Shape:
        return self._spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        return len(self._spec.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._spec.size

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self._spec.nbytes

    # -- out of the tensor --------------------------------------------------------------------

    def numpy(self) -> Array:
        """The values as a read-only NumPy array, without a copy.

        Raises GradientError if the tensor requires a gradient: NumPy would lose the record.
        """
        if self._requires_grad:
            raise GradientError(
                f"this tensor of shape {self.shape} requires a gradient, which NumPy does not "
                "record; take x.detach().numpy()"
            )
        view = self._array.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The single element as a Python number. Raises ShapeError if there is not just one."""
        if self._array.size != 1:
            raise ShapeError(f"item: takes a tensor of one element, got shape {self.shape}")
        return self._array.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self._array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __index__(self) -> int:
        if self.dtype in FLOATING or self.ndim:
            raise DtypeError(f"only a 0-d integer tensor can be an index, got {self.spec}")
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        text = np.array2string(self._array, separator=", ", prefix="tensor(", threshold=200)
        tail = "" if self.dtype in (float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        if self._node is not None and self._node.op is not None:
            tail += f", op={self._node.name}"
        elif self._requires_grad:
            tail += ", requires_grad=True"
        return f"tensor({text}{tail})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    __hash__ = object.__hash__

    # -- gradients ----------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for this tensor. Can be set on leaves."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if requires_grad:
            require_floating("requires_grad", self._spec)
        if not self.is_leaf:
            raise GradientError(
                "requires_grad can be set on leaves only, and this tensor was computed by "
                f"{self._node and self._node.name}; take x.detach() first"
            )
        self._requires_grad = bool(requires_grad)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op computed this tensor."""
        return self._node is None or self._node.op is None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated, or None."""
        return self._grad

    @grad.setter
    def grad(self, grad: Tensor | None) -> None:
        if grad is not None and (not isinstance(grad, Tensor) or grad.spec != self.spec):
            got = grad.spec if isinstance(grad, Tensor) else repr(grad)
            raise GradientError(f"grad takes None or a tensor of {self.spec}, got {got}")
        self._grad = grad

    def backward(
        self,
        grad: Tensor | None = None,
        create_graph: bool = False,
        retain_graph: bool | None = None,
    ) -> None:
        """Add the gradient of this tensor to `grad` of every leaf it depends on.

        `grad`, of this tensor's spec, is the cotangent to start from; a tensor of one element
        starts from 1. With `create_graph` the gradients are recorded and can be differentiated
        again. The saved arrays are released unless `retain_graph` (by default `create_graph`).
        Raises GradientError or FreedGraphError.
        """
        root = _root("backward", self, grad)
        with tape.set_recording(create_graph):
            found = tape.sweep([root], None, wrap, _retain(retain_graph, create_graph))
            for (node, index), gradient in found.items():
                tensor = node.receivers[index]() if node.receivers else None
                if tensor is not None and tensor._node is node and tensor._requires_grad:
                    earlier = tensor._grad
                    # A tensor of its own: two leaves may have received the same cotangent.
                    tensor._grad = _alias(gradient) if earlier is None else earlier + gradient

    def detach(self) -> Tensor:
        """The same value without its record and without a gradient."""
        return constant(self._array)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Have `backward` fill `grad` of this tensor although an op computed it."""
        if not self._requires_grad:
            raise GradientError("retain_grad: the tensor does not require a gradient")
        node, index = value_of(self)
        node.receivers = {**(node.receivers or {}), index: weakref.ref(self)}

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> tape.Handle:
        """Call `hook` with this tensor's gradient in each backward pass.

        A tensor that it returns takes the gradient's place. Returns a handle with `remove()`.
        """
        if not self._requires_grad:
            raise GradientError("register_hook: the tensor does not require a gradient")
        return tape.register_hook(value_of(self), hook)

    # -- new values under the same name -------------------------------------------------------

    def assign(self, value: Operand) -> Tensor:
        """Give this leaf a new value of its shape and dtype; what was recorded keeps the old.

        This is how optimizers, initializers and `load_state_dict` write. Not differentiable.
        Raises GradientError on a tensor that an op computed, ShapeError and DtypeError.
        """
        if not self.is_leaf:
            raise GradientError(f"assign: this tensor was computed by {self._node!r}")
        fresh = Tensor(value, dtype=None if hasattr(value, "dtype") else self.dtype)
        if fresh.shape != self.shape:
            raise ShapeError(f"assign: takes shape {self.shape}, got {fresh.shape}")
        if fresh.dtype != self.dtype:
            raise DtypeError(f"assign: takes dtype {self.dtype}, got {fresh.dtype}")
        self._array = fresh._array
        return self

    def convert_(self, dtype: Any) -> Tensor:
        """Give this leaf another dtype, and drop its gradient; what was recorded keeps the old."""
        if not self.is_leaf:
            raise GradientError(f"convert_: this tensor was computed by {self._node!r}")
        array = self._array.astype(as_dtype(dtype))
        if self._requires_grad:
            require_floating("convert_", Spec.of(array.shape, array.dtype))
        spec = Spec.of(array.shape, array.dtype)
        _fill(self, array, spec, None, 0, self._requires_grad)
        return self

    def _become(self, other: Tensor) -> None:
        """Take over the value and the record of `other`: what `x[idx] = v` does."""
        if self._requires_grad and self.is_leaf and tape.state.recording:
            raise GradientError(
                "x[...] = v: x is a leaf that requires a gradient, which would then belong to "
                "neither value; assign to y = x.clone(), or within minigrad.no_grad()"
            )
        self._array = other._array
        if tape.state.recording:
            self._node, self._index = other._node, other._index
            self._requires_grad = other._requires_grad

    def __copy__(self) -> Tensor:
        if not self.is_leaf:
            return _alias(self)
        return _fill(
            object.__new__(type(self)), self._array, self._spec, None, 0, self._requires_grad
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf and self._requires_grad:
            raise GradientError(
                "deepcopy: only leaves can be copied with their history; take x.detach()"
            )
        twin: Tensor = object.__new__(type(self))
        _fill(twin, self._array, self._spec, None, 0, self._requires_grad)
        twin._grad = copy.deepcopy(self._grad, memo)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf and self._requires_grad:
            raise GradientError("pickle: only leaves can be pickled; take x.detach()")
        return type(self), (self._array, None, self._requires_grad)

    if TYPE_CHECKING:
        # The methods that `minigrad.ops` binds; a test holds these lines against them.
        T: Tensor
        mT: Tensor
        at: Any

        def __add__(self, other: Operand) -> Tensor: ...
        def __radd__(self, other: Operand) -> Tensor: ...
        def __sub__(self, other: Operand) -> Tensor: ...
        def __rsub__(self, other: Operand) -> Tensor: ...
        def __mul__(self, other: Operand) -> Tensor: ...
        def __rmul__(self, other: Operand) -> Tensor: ...
        def __truediv__(self, other: Operand) -> Tensor: ...
        def __rtruediv__(self, other: Operand) -> Tensor: ...
        def __pow__(self, other: Operand) -> Tensor: ...
        def __rpow__(self, other: Operand) -> Tensor: ...
        def __matmul__(self, other: Operand) -> Tensor: ...
        def __rmatmul__(self, other: Operand) -> Tensor: ...
        def __and__(self, other: Operand) -> Tensor: ...
        def __rand__(self, other: Operand) -> Tensor: ...
        def __or__(self, other: Operand) -> Tensor: ...
        def __ror__(self, other: Operand) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __eq__(self, other: Operand) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Operand) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Operand) -> Tensor: ...
        def __le__(self, other: Operand) -> Tensor: ...
        def __gt__(self, other: Operand) -> Tensor: ...
        def __ge__(self, other: Operand) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Operand) -> None: ...
        def abs(self) -> Tensor: ...
        def exp(self) -> Tensor: ...
        def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def tanh(self) -> Tensor: ...
        def sigmoid(self) -> Tensor: ...
        def relu(self) -> Tensor: ...
        def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
        def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def prod(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def any(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def all(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def var(self, axis: Axis = None, correction: Any = 0, keepdims: bool = False) -> Tensor: ...
        def std(self, axis: Axis = None, correction: Any = 0, keepdims: bool = False) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor: ...
        def permute_dims(self, *axes: Any) -> Tensor: ...
        def expand(self, *shape: Any) -> Tensor: ...
        def log_softmax(self, axis: int = -1) -> Tensor: ...
        def squeeze(self, axis: Axis = None) -> Tensor: ...
        def flip(self, axis: Axis = None) -> Tensor: ...
        def sort(self, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor: ...
        def argsort(
            self, axis: int = -1, descending: bool = False, stable: bool = True
        ) -> Tensor: ...
        def clone(self) -> Tensor: ...

        __floordiv__ = __mod__ = __xor__ = __lshift__ = __rshift__ = __add__
        __rfloordiv__ = __rmod__ = __rxor__ = __rlshift__ = __rrshift__ = __add__
        acos = acosh = asin = asinh = atan = atanh = ceil = cos = cosh = erf = exp2 = expm1 = exp
        floor = isfinite = isinf = isnan = log10 = log1p = log2 = reciprocal = round = sign = exp
        sin = sinh = square = tan = trunc = exp
        softmax = log_softmax


# -- making tensors ---------------------------------------------------------------------------


def _as_array(data: Any, dtype: Any) -> Array:
    """`data` as an array of a supported dtype; copies only where it has to."""
    if isinstance(data, Tensor):
        data = data._array
    is_array = isinstance(data, (np.ndarray, np.generic))
    try:
        array = np.asarray(data if is_array else _plain(data))
    except ValueError as error:
        raise ShapeError(f"tensor: nested lists must have equal lengths ({error})") from None
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"tensor: takes real numbers, got {type(data).__name__} of {array.dtype}")
    if dtype is not None:
        wanted = as_dtype(dtype)
    else:
        numbers = array.dtype == np.float64 and not is_array and not _holds_float64(data)
        wanted = float32 if numbers else as_dtype(array.dtype.newbyteorder("="))
    converted = array.astype(wanted, copy=False)
    whole = array.dtype.kind in "iu" and wanted.kind in "iu"
    if whole and not is_array and (converted != array).any():
        raise DtypeError(f"tensor: {data!r} does not fit {wanted}")
    return converted


def _holds_float64(data: Any) -> bool:
    """Whether nested lists hold an array of float64, and not only Python's numbers."""
    if isinstance(data, (list, tuple)):
        return any(_holds_float64(item) for item in data)
    return isinstance(data, (np.ndarray, np.generic, Tensor)) and data.dtype == np.float64


def _plain(data: Any) -> Any:
    """Nested lists with the tensors in them as arrays."""
    if isinstance(data, Tensor):
        return data.numpy()
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data


def _shares_memory(array: Array, data: Any) -> bool:
    return array is data or (array.base is not None and not isinstance(data, Tensor))


def _fill(
    tensor: Tensor,
    array: Array,
    spec: Spec,
    node: tape.Node | None,
    index: int,
    requires_grad: bool,
) -> Tensor:
    tensor._array = array
    tensor._spec = spec
    tensor._node = node
    tensor._index = index
    tensor._requires_grad = requires_grad
    tensor._grad = None
    return tensor


def wrap(array: Array, spec: Spec, node: tape.Node | None, index: int, grad: bool) -> Tensor:
    requires_grad = grad and tape.state.recording and spec.dtype in FLOATING
    return _fill(object.__new__(Tensor), array, spec, node, index, requires_grad)


def constant(array: Array) -> Tensor:
    """An array of a supported dtype as a tensor, without a copy and without a gradient."""
    spec = Spec.of(array.shape, array.dtype)
    return _fill(object.__new__(Tensor), array, spec, None, 0, False)


def _alias(tensor: Tensor) -> Tensor:
    """Another tensor with the same value and the same place in the record."""
    twin = object.__new__(Tensor)
    node, index = value_of(tensor) if tensor._requires_grad else (None, 0)
    return _fill(twin, tensor._array, tensor._spec, node, index, tensor._requires_grad)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`; see `Tensor`."""
    return Tensor(data, dtype, requires_grad)


def asarray(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a tensor: a tensor as it is, an array without a copy where its dtype allows.

    Whoever shares an array must not change it while it is in use; `tensor` copies.
    """
    if isinstance(data, Tensor) and (dtype is None or as_dtype(dtype) == data.dtype):
        return data
    if isinstance(data, Tensor):
        return data.astype(dtype)
    return constant(_as_array(data, dtype))


def as_tensor(data: Any) -> Tensor:
    """What an op makes of an argument: a tensor as it is, all else as a tensor with a copy, since
    what is recorded must not change when its giver writes to it."""
    return data if isinstance(data, Tensor) else Tensor(data)


# -- running ops ------------------------------------------------------------------------------

_first_use = threading.Lock()


def value_of(tensor: Tensor) -> tape.Value:
    """The tensor's place in the record; a leaf gets one when it is first used."""
    if tensor._node is None:
        with _first_use:
            if tensor._node is None:  # another thread may have been first
                node = tape.Node(None, (), (), (tensor._spec,))
                node.receivers = {0: weakref.ref(tensor)}
                tensor._node = node
    return tensor._node, tensor._index


def of_value(value: tape.Value) -> Tensor:
    """A tensor that only stands for a value of the record: it has no array."""
    node, index = value
    return _fill(object.__new__(Tensor), np.empty(0), node.outputs[index], node, index, True)


def apply(op: Op, *inputs: Tensor) -> Any:
    """Run `op`, and record it if an input requires a gradient.

    Returns a tensor, or a tuple of tensors where the op has several outputs.
    """
    inferred = op.infer(*[x._spec for x in inputs])
    with np.errstate(all="ignore"):
        results = op.forward(*[x._array for x in inputs])
    if type(inferred) is Spec:
        return record(op, inputs, (inferred,), (results,))[0]
    return record(op, inputs, inferred, results)


def record(
    op: Op, inputs: Sequence[Tensor], specs: Sequence[Spec], arrays: Sequence[Any]
) -> tuple[Tensor, ...]:
    """The results of an op as tensors; the call becomes a node if an input needs a gradient."""
    arrays = [np.asarray(array) for array in arrays]
    needs = tuple([x._requires_grad for x in inputs])
    node = None
    if tape.state.recording and op.differentiable and True in needs:
        reads = op.reads(needs)
        saved = (*[inputs[i]._array for i in reads[0]], *[arrays[i] for i in reads[1]])
        values = tuple([value_of(x) for x in inputs])
        node = tape.Node(op, values, needs, tuple(specs), reads, saved)
    outputs = []
    for i, (array, spec) in enumerate(zip(arrays, specs, strict=True)):
        needed = node is not None and spec.dtype in FLOATING
        outputs.append(_fill(object.__new__(Tensor), array, spec, node, i, needed))
    if tape.state.watch is not None:
        tape.state.watch.ran(op, inputs, outputs)
    return tuple(outputs)


# -- gradients of functions -------------------------------------------------------------------


def _retain(retain_graph: bool | None, create_graph: bool) -> bool:
    return create_graph if retain_graph is None else retain_graph


def _root(who: str, output: Tensor, cotangent: Tensor | None) -> tuple[tape.Value, Tensor]:
    """An output and the cotangent that the sweep starts from, both checked."""
    if not isinstance(output, Tensor):
        raise ArgumentError(f"{who}: takes a tensor, got {type(output).__name__}")
    if not output._requires_grad:
        raise GradientError(
            f"{who}: this tensor of shape {output.shape} does not depend on anything that "
            "requires a gradient (or was computed within no_grad)"
        )
    if cotangent is None:
        if output.size != 1:
            raise GradientError(
                f"{who}: a tensor of shape {output.shape} has no single gradient; reduce it to "
                "one element, or pass the cotangent to start from, of the same shape"
            )
        return value_of(output), constant(np.ones(output.shape, output.dtype))
    if not isinstance(cotangent, Tensor):
        cotangent = asarray(cotangent)
    if cotangent.spec != output.spec:
        raise GradientError(
            f"{who}: the cotangent must be {output.spec} as its output, got {cotangent.spec}"
        )
    return value_of(output), cotangent


def _listed(argument: str, tensors: Any) -> list[Any]:
    try:
        return [tensors] if isinstance(tensors, Tensor) else list(tensors)
    except TypeError:
        got = type(tensors).__name__
        raise ArgumentError(f"grad: {argument} takes one or several tensors, got {got}") from None


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of the sum of `outputs` by each of `inputs`, without touching any `.grad`.

    `grad_outputs` are the cotangents to start from, one an output. Only the part of the record
    between inputs and outputs is walked. Raises GradientError where an output does not depend on
    an input, unless `allow_unused`, which gives None for it.
    """
    outs, ins = _listed("outputs", outputs), _listed("inputs", inputs)
    cotangents: list[Tensor | None] = [None] * len(outs)
    if grad_outputs is not None:
        cotangents = _listed("grad_outputs", grad_outputs)
    if len(cotangents) != len(outs):
        raise ArgumentError(f"grad: {len(cotangents)} grad_outputs for {len(outs)} outputs")
    for i, x in enumerate(ins):
        if not isinstance(x, Tensor) or not x._requires_grad:
            raise GradientError(f"grad: input {i} does not require a gradient")
    roots = [_root("grad", out, ct) for out, ct in zip(outs, cotangents, strict=True)]
    values = [value_of(x) for x in ins]
    with tape.set_recording(create_graph):
        found = tape.sweep(roots, set(values), wrap, _retain(retain_graph, create_graph))
    gradients = [found.get(value) for value in values]
    unused = [i for i, gradient in enumerate(gradients) if gradient is None]
    if unused and not allow_unused:
        raise GradientError(
            f"grad: the outputs do not depend on input {unused[0]} (of shape "
            f"{ins[unused[0]].shape}); pass allow_unused=True to get None for it"
        )
    return tuple(gradients)
