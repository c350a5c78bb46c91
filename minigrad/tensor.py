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

from minigrad import tape
from minigrad.conversion import Array, as_array
from minigrad.errors import DtypeError, GradientError, ShapeError, TraceError
from minigrad.op import Op
from minigrad.spec import FLOATING, Shape, Spec, as_dtype, float32, require_floating

if TYPE_CHECKING:
    from minigrad.ops.methods import Methods
else:
    Methods = object  # `minigrad.ops` binds the methods itself: it stands above this file

Operand = Any
"""A tensor, an array, or a Python number, which takes the dtype of what it meets."""


class _Unknown:
    """Stands for the array of a tensor without values; whoever asks it for one gets an error."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TraceError(
            "the values of this tensor are not known: it was made in a trace, which knows shapes "
            "and dtypes alone, or within minigrad.abstract()"
        )

    __array__ = __array_ufunc__ = __array_function__ = __getattr__ = __getitem__ = _refuse
    __deepcopy__ = __reduce_ex__ = _refuse


UNKNOWN: Any = _Unknown()


class Tensor(Methods):
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
        if isinstance(data, Tensor) and data.is_abstract:
            array = UNKNOWN
            spec = data._spec if dtype is None else Spec.of(data.shape, as_dtype(dtype))
        else:
            array = as_array(data._array if isinstance(data, Tensor) else data, dtype)
            # Whoever handed the array in may change it later; recorded values never change.
            shared = not isinstance(data, Tensor) and (array is data or array.base is not None)
            array = array.copy(order="K") if shared else array
            spec = Spec.of(array.shape, array.dtype)
        _fill(self, array, spec, None, 0, False)
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

    @property
    def is_abstract(self) -> bool:
        """Whether it has a shape and a dtype only, and no values."""
        return self._array is UNKNOWN

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
        if self.is_abstract:
            return f"tensor({self._spec}, abstract)"
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
        if self._requires_grad:
            self._require_leaf("requires_grad")
        self._requires_grad = bool(requires_grad)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op computed this tensor."""
        return self._node is None or self._node.op is None

    def _require_leaf(self, op: str) -> None:
        if self._node is not None and self._node.op is not None:
            raise GradientError(
                f"{op}: takes leaves only, and this tensor was computed by {self._node.name}; take "
                "x.detach() first"
            )

    def _require_gradient(self, op: str) -> None:
        if not self._requires_grad:
            raise GradientError(f"{op}: the tensor does not require a gradient")

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

    def detach(self) -> Tensor:
        """The same value without its record and without a gradient."""
        if tape.state.tracer is not None:
            detached: Tensor = tape.state.tracer.detach(self)
            return detached
        if not self.is_abstract:
            return constant(self._array)
        node, index = value_of(self)
        return _fill(object.__new__(Tensor), self._array, self._spec, node, index, False)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Have `backward` fill `grad` of this tensor although an op computed it."""
        self._require_gradient("retain_grad")
        node, index = value_of(self)
        node.receivers = {**(node.receivers or {}), index: weakref.ref(self)}

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> tape.Handle:
        """Call `hook` with this tensor's gradient in each backward pass.

        A tensor that it returns takes the gradient's place. Returns a handle with `remove()`.
        """
        self._require_gradient("register_hook")
        return tape.register_hook(value_of(self), hook)

    # -- new values under the same name -------------------------------------------------------

    def assign(self, value: Operand) -> Tensor:
        """Give this leaf a new value of its shape and dtype; what was recorded keeps the old.

        This is how optimizers, initializers and `load_state_dict` write. Not differentiable.
        Raises GradientError on a tensor that an op computed, ShapeError and DtypeError.
        """
        self._require_leaf("assign")
        fresh = (
            value
            if isinstance(value, Tensor)
            else Tensor(value, dtype=None if hasattr(value, "dtype") else self.dtype)
        )
        if fresh.shape != self.shape:
            raise ShapeError(f"assign: takes shape {self.shape}, got {fresh.shape}")
        if fresh.dtype != self.dtype:
            raise DtypeError(f"assign: takes dtype {self.dtype}, got {fresh.dtype}")
        if tape.state.tracer is not None:
            tape.state.tracer.assign(self, fresh)
        elif fresh.is_abstract and not self.is_abstract:
            fresh.numpy()  # raises: a value must not be lost to none
        else:
            self._array = fresh._array
        return self

    def convert_(self, dtype: Any) -> Tensor:
        """Give this leaf another dtype, and drop its gradient; what was recorded keeps the old."""
        self._require_leaf("convert_")
        array = self._array.astype(as_dtype(dtype))
        spec = Spec.of(array.shape, array.dtype)
        if self._requires_grad:
            require_floating("convert_", spec)
        _fill(self, array, spec, None, 0, self._requires_grad)
        return self

    def _become(self, other: Tensor) -> None:
        """Take over the value and the record of `other`: what `x[idx] = v` does."""
        if self._requires_grad and self.is_leaf and tape.state.recording:
            raise GradientError(
                "x[...] = v: x is a leaf that requires a gradient, which would then belong to "
                "neither value; assign to y = x.clone(), or within minigrad.no_grad()"
            )
        if tape.state.tracer is not None and not self.is_abstract:
            tape.state.tracer.assign(self, other)
            return
        self._array = other._array
        if tape.state.recording or self.is_abstract:
            self._node, self._index = other._node, other._index
            self._requires_grad = other._requires_grad

    # -- copies -------------------------------------------------------------------------------

    def _leaf_alike(self) -> Tensor:
        """A leaf of this value and of this class, without its gradient."""
        twin = object.__new__(type(self))
        return _fill(twin, self._array, self._spec, None, 0, self._requires_grad)

    def __copy__(self) -> Tensor:
        return self._leaf_alike() if self.is_leaf else alias(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._requires_grad:
            self._require_leaf("deepcopy")
        twin = memo[id(self)] = self._leaf_alike()
        twin._grad = copy.deepcopy(self._grad, memo)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        if self._requires_grad:
            self._require_leaf("pickle")
        return type(self), (self._array, None, self._requires_grad)


# -- making tensors ---------------------------------------------------------------------------


def _fill(
    tensor: Tensor, array: Array, spec: Spec, node: tape.Node | None, index: int, needed: bool
) -> Tensor:
    tensor._array = array
    tensor._spec = spec
    tensor._node = node
    tensor._index = index
    tensor._requires_grad = needed
    tensor._grad = None
    return tensor


def wrap(array: Array, spec: Spec, node: tape.Node | None, index: int, grad: bool) -> Tensor:
    requires_grad = grad and tape.state.recording and spec.dtype in FLOATING
    return _fill(object.__new__(Tensor), array, spec, node, index, requires_grad)


def of_spec(spec: Spec, requires_grad: bool = False) -> Tensor:
    """A tensor of which only shape and dtype are known."""
    return _fill(object.__new__(Tensor), UNKNOWN, spec, None, 0, requires_grad)


def constant(array: Array) -> Tensor:
    """An array of a supported dtype as a tensor, without a copy and without a gradient."""
    spec = Spec.of(array.shape, array.dtype)
    return _fill(object.__new__(Tensor), array, spec, None, 0, False)


def alias(tensor: Tensor) -> Tensor:
    """Another tensor with the same value and the same place in the record."""
    twin = object.__new__(Tensor)
    placed = tensor._requires_grad or tensor.is_abstract
    node, index = value_of(tensor) if placed else (None, 0)
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
    return constant(as_array(data, dtype))


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
    return _fill(object.__new__(Tensor), UNKNOWN, node.outputs[index], node, index, True)


def apply(op: Op, *inputs: Tensor) -> Any:
    """Run `op`, and record it if an input requires a gradient.

    Returns a tensor, or a tuple of tensors where the op has several outputs.
    """
    watch, tracer = tape.state.watch, tape.state.tracer
    if watch is not None:
        watch.runs(op)
    inferred = op.infer(*[x._spec for x in inputs])
    single = type(inferred) is Spec
    if tracer is not None and tracer.takes(inputs):
        staged = tracer.stage(op, inputs, (inferred,) if single else inferred)
        return staged[0] if single else staged
    with np.errstate(all="ignore"):
        results = op.forward(*[x._array for x in inputs])
    if single:
        return record(op, inputs, (inferred,), (results,))[0]
    return record(op, inputs, inferred, results)


def adopt(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Tensors that were computed without being recorded, as the outputs of one call of `op`."""
    if tape.state.tracer is not None:
        return tape.state.tracer.adopt(op, inputs, outputs)
    specs, arrays = [y._spec for y in outputs], [y._array for y in outputs]
    return record(op, inputs, specs, arrays)


def record(
    op: Op, inputs: Sequence[Tensor], specs: Sequence[Spec], arrays: Sequence[Any]
) -> tuple[Tensor, ...]:
    """The results of an op as tensors; the call becomes a node if an input needs a gradient."""
    state, node, needs = tape.state, None, tuple([x._requires_grad for x in inputs])
    arrays = [x if type(x) is np.ndarray else np.asarray(x) for x in arrays]
    if True in needs and state.recording and op.differentiable:
        reads = op.reads(needs)
        saved = (*[inputs[i]._array for i in reads[0]], *[arrays[i] for i in reads[1]])
        values = tuple([value_of(x) if x._node is None else (x._node, x._index) for x in inputs])
        node = tape.Node(op, values, needs, tuple(specs), reads, saved)
    outputs = []
    for i, (array, spec) in enumerate(zip(arrays, specs, strict=True)):
        needed = node is not None and spec.dtype in FLOATING
        outputs.append(_fill(object.__new__(Tensor), array, spec, node, i, needed))
    if state.watch is not None:
        state.watch.ran(op, inputs, outputs)
    return tuple(outputs)
