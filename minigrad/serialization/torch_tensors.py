"""PyTorch's tensors as its pickles describe them: storages, and windows on them.

A storage is a run of bytes in the file; a tensor is a storage with an offset, lengths and strides,
all of which are checked against the storage before NumPy sees them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.errors import CheckpointError
from minigrad.serialization.contents import Bytes
from minigrad.serialization.elements import KINDS, elements, read_as
from minigrad.serialization.pickle_machine import Machine, Maker, checked_key
from minigrad.spec import size_of
from minigrad.tensor import Array, Tensor, constant

# A tensor with strides of 0 repeats what is stored; beyond this many elements it is refused,
# since whoever copied it would need the memory that the file pretends to fill.
MOST_REPEATED = 2**24
_MOST_AXES = 32

STORAGE_KINDS = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage, as persistent ids name it."""

    kind: str

    @property
    def itemsize(self) -> int:
        return KINDS[self.kind].itemsize


@dataclass
class Storage:
    """The bytes of a storage, and its elements once they are asked for.

    All tensors on one storage share these elements, as they did when they were saved.
    """

    raw: Bytes
    kind: str
    _elements: dict[str, Array] = field(default_factory=dict)

    def elements(self, kind: str) -> Array:
        if kind not in self._elements:
            whole = self.raw.size // KINDS[kind].itemsize * KINDS[kind].itemsize
            array = elements(self.raw[:whole], kind)
            array.flags.writeable = False
            self._elements[kind] = array
        return self._elements[kind]

    def part(self, start: int, count: int) -> Storage:
        """The `count` elements from `start`; conversions are shared with the whole."""
        size, end = KINDS[self.kind].itemsize, start + count
        if not 0 <= start <= end <= self.raw.size // size:
            raise CheckpointError(f"elements {start} to {end} lie outside their storage")
        part = self.elements(self.kind)[start:end]
        return Storage(self.raw[start * size : end * size], self.kind, {self.kind: part})


def window(array: Array, offset: Any, shape: Any, strides: Any) -> Tensor:
    """The tensor of this shape whose element i is array[offset + Σ iₖ stridesₖ].

    Offset and strides count elements. Raises CheckpointError if one lies outside the array.
    """
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise CheckpointError(f"a tensor has {len(shape)} lengths and {len(strides)} strides")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise CheckpointError("a tensor's offset, lengths and strides are not all numbers from 0")
    size = size_of(shape)
    if size == 0:
        if size_of([length for length in shape if length]) > MOST_REPEATED:
            raise CheckpointError(f"a tensor of shape {shape} is not one that was saved")
        return constant(np.empty(shape, array.dtype))
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if last >= array.size:
        raise CheckpointError(
            f"a tensor of shape {shape} and strides {strides} reaches element {last} of a storage "
            f"of {array.size}"
        )
    if size > max(array.size, MOST_REPEATED):
        raise CheckpointError(f"a tensor repeats {array.size} stored elements to {size}")
    # Where a length is 1, the stride says nothing, and may be any number.
    steps = [s if n > 1 else 0 for n, s in zip(shape, strides, strict=True)]
    size = array.itemsize
    return constant(np.ndarray(shape, array.dtype, array, offset * size, [s * size for s in steps]))


# -- what a pickle may call -----------------------------------------------------------------------


def _tensor(machine: Machine, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Any:
    """`torch._utils._rebuild_tensor` and `_v2`; that it required a gradient is dropped."""
    return _on(machine, storage, storage.kind, offset, shape, strides)


def _tensor_v3(
    machine: Machine,
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    grad: Any,
    hooks: Any,
    dtype: Any,
    *_: Any,
) -> Any:
    """`torch._utils._rebuild_tensor_v3`, for the dtypes that have no storages of their own."""
    if dtype not in (np.dtype("uint16"), np.dtype("uint32"), np.dtype("uint64")):
        raise CheckpointError(f"a tensor of {dtype} is not to lie in an untyped storage")
    return _on(machine, storage, dtype.name, offset, shape, strides)


def _on(machine: Machine, storage: Any, kind: str, *where: Any) -> Any:
    machine.spend(1024)
    if type(storage) is not Storage:
        raise CheckpointError(f"a tensor lies on a {type(storage).__name__}")
    return window(storage.elements(kind), *where)


def _parameter(machine: Machine, data: Any, *_: Any) -> Any:
    """`torch._utils._rebuild_parameter`: the tensor, without hooks and attributes."""
    if type(data) is not Tensor:
        raise CheckpointError(f"a parameter holds a {type(data).__name__}")
    return data


def _with_attributes(machine: Machine, function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """`torch._tensor._rebuild_from_type_v2`: a tensor, without its attributes."""
    if function not in REBUILDERS or kind is not TENSOR_TYPE:
        raise CheckpointError("a tensor is of a class of its own")
    return machine.call(function, arguments)


def _size(machine: Machine, lengths: Any) -> tuple[int, ...]:
    machine.spend(8 * len(lengths))
    return tuple(lengths)


def _ordered(machine: Machine, items: Any = ()) -> Any:
    machine.spend(128 * len(items))
    made: OrderedDict[Any, Any] = OrderedDict()
    machine.add(made, [part for key, value in items for part in (key, value)])
    return made


def _set_of(kind: type) -> Maker:
    def make(machine: Machine, items: Any = ()) -> Any:
        machine.spend(256 + 64 * len(items))
        return kind(map(checked_key, items))

    return Maker(kind.__name__, make)


def _bytes(kind: type) -> Maker:
    """bytes and bytearray of bytes, or, as Python 2 needs it, of text in Latin-1."""

    def make(machine: Machine, value: Any = b"", encoding: Any = "latin1") -> Any:
        if type(value) not in (str, bytes) or encoding not in ("latin1", "latin-1"):
            raise CheckpointError(f"its pickle makes {kind.__name__} of a {type(value).__name__}")
        machine.spend(len(value))
        return kind(value.encode("latin-1") if type(value) is str else value)

    return Maker(kind.__name__, make)


class TensorType:
    """What stands for the class of tensors."""


TENSOR_TYPE = TensorType()
_REBUILD, _REBUILD_V3 = (
    Maker("_rebuild_tensor_v2", _tensor),
    Maker("_rebuild_tensor_v3", _tensor_v3),
)
REBUILDERS = (_REBUILD, _REBUILD_V3)

NAMES: dict[str, Any] = {
    **{
        f"{module} {name}": StorageKind(kind)
        for module in ("torch", "torch.storage", "torch.cuda")
        for name, kind in STORAGE_KINDS.items()
    },
    **{f"torch {kind}": read_as(kind) for kind in KINDS},
    "torch Tensor": TENSOR_TYPE,
    "torch Size": Maker("torch.Size", _size),
    "torch._utils _rebuild_tensor": _REBUILD,
    "torch._utils _rebuild_tensor_v2": _REBUILD,
    "torch._utils _rebuild_tensor_v3": _REBUILD_V3,
    "torch._utils _rebuild_parameter": Maker("_rebuild_parameter", _parameter),
    "torch._utils _rebuild_parameter_with_state": Maker("_rebuild_parameter", _parameter),
    "torch._tensor _rebuild_from_type_v2": Maker("_rebuild_from_type_v2", _with_attributes),
    "collections OrderedDict": Maker("OrderedDict", _ordered),
    "_codecs encode": _bytes(bytes),
    **{
        f"{module} {kind.__name__}": maker
        for module in ("builtins", "__builtin__")
        for kind, maker in (
            *((kind, _set_of(kind)) for kind in (set, frozenset)),
            *((kind, _bytes(kind)) for kind in (bytes, bytearray)),
        )
    },
}
"""All globals that a pickle may name, and what stands for each."""

WITHOUT_TENSORS: dict[str, Any] = NAMES | {
    name: Maker("no tensor", lambda machine, *_: None) for name in NAMES if "_rebuild" in name
}
"""The same for a reading that makes no tensors."""
