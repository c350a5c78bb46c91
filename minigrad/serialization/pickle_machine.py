"""A pickle reader that makes plain containers and calls nothing but the functions of one table.

The standard library's `pickletools` splits a pickle into instructions and carries none of them out;
`Machine` carries out those that build plain values. Where Python's own unpickler would import a
name and call it, here the name is looked up in a table, and any other name ends the reading.
What a short pickle can grow to is bounded: by the number of its instructions, and by `spend`.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from minigrad.errors import CheckpointError

# Far above the instructions of any state_dict: a list of a million numbers takes a million.
MOST_STEPS = 2**22
# Bytes that calls may make beyond what the pickle itself spells out.
MOST_BYTES = 2**28

DICTIONARIES = (dict, OrderedDict)
KEYS = (str, bytes, int, float, bool, type(None))
LARGEST_KEY = 2**53  # integers above could be chosen so that their hashes collide


class Maker(NamedTuple):
    """A function that a pickle may call: `make(machine, *arguments)`."""

    name: str
    make: Callable[..., Any]


class Machine:
    """Reads one pickle.

    `names` holds what stands for a global, by "module name"; a Maker among them can be called.
    `persistent` turns a persistent id into a value.
    """

    def __init__(self, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        self.names = names
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []  # the stacks below the open marks
        self.memo: dict[int, Any] = {}
        self._left = MOST_BYTES

    def run(self, stream: BinaryIO) -> Any:
        """The value of the pickle that begins here; `stream` is left behind its end.

        Raises CheckpointError for anything that is not plain, and ValueError, IndexError,
        KeyError, TypeError or the like for what no pickler writes.
        """
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_STEPS:
                raise CheckpointError(f"its pickle has more than {MOST_STEPS:,} instructions")
            if instruction.name == "STOP":
                break
            step = STEPS.get(instruction.name)
            if step is None:
                raise CheckpointError(
                    f"its pickle holds the instruction {instruction.name}, which makes objects of "
                    "other kinds than tensors and plain containers"
                )
            step(self, argument)
        return self.stack.pop()

    def spend(self, count: int) -> None:
        """Account for memory that a call takes."""
        self._left -= count
        if self._left < 0:
            raise CheckpointError("its pickle would grow without bound")

    # -- what the instructions share ----------------------------------------------------------

    def top(self, *kinds: type) -> Any:
        """The value on top, which has to be of one of the kinds."""
        if type(self.stack[-1]) not in kinds:
            raise CheckpointError(f"its pickle takes a {type(self.stack[-1]).__name__} for a list")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, which goes."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def last(self, count: int) -> tuple[Any, ...]:
        """The last values, which go."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items

    def named(self, name: str) -> Any:
        """What stands for a global; raises CheckpointError for all that are not in the table."""
        if name not in self.names:
            raise CheckpointError(
                f"it needs {name.replace(' ', '.')!r}, and loading it could run code; only tensors "
                "and plain containers are read (of a network, save its state_dict())"
            )
        return self.names[name]

    def call(self, function: Any, arguments: Any) -> Any:
        """The value of an allowed function."""
        if type(function) is not Maker or type(arguments) is not tuple:
            raise CheckpointError(f"its pickle calls {_shown(function)}, which is no function")
        return function.make(self, *arguments)

    def add(self, target: dict[Any, Any], pairs: list[Any]) -> None:
        """Put alternating keys and values into a dictionary."""
        keys, values = pairs[::2], pairs[1::2]
        target.update(zip(map(checked_key, keys), values, strict=True))


def checked_key(key: Any) -> Any:
    """A key of a dictionary, or element of a set: hashed fast, and by nothing of the file's."""
    if type(key) not in KEYS or (type(key) is int and abs(key) > LARGEST_KEY):
        raise CheckpointError(f"a key is text or a number, got {_shown(key)}")
    return key


def _shown(value: Any) -> str:
    return value.name if type(value) is Maker else f"a {type(value).__name__}"


# -- the instructions -----------------------------------------------------------------------------

Step = Callable[[Machine, Any], Any]


def _push(machine: Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _pushing(make: Callable[[], Any]) -> Step:
    return lambda machine, _: machine.stack.append(make())


def _gathering(make: Callable[[list[Any]], Any]) -> Step:
    return lambda machine, _: _push(machine, make(machine.since_mark()))


def _tuple_of(count: int) -> Step:
    return lambda machine, _: machine.stack.append(machine.last(count))


def _nothing(machine: Machine, _: Any) -> None:
    pass


def _mark(machine: Machine, _: Any) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _put(machine: Machine, index: int | None) -> None:
    machine.memo[len(machine.memo) if index is None else index] = machine.stack[-1]


def _set_items(machine: Machine, pairs: list[Any]) -> None:
    machine.add(machine.top(*DICTIONARIES), pairs)


def _text(machine: Machine, argument: Any) -> None:
    """Text of Python 2, which is bytes; pickletools gives those as characters below 256."""
    raw = argument.encode("latin-1") if isinstance(argument, str) else argument
    try:
        machine.stack.append(raw.decode())
    except UnicodeDecodeError:
        machine.stack.append(raw)


def _dictionary(machine: Machine, _: Any) -> None:
    pairs = machine.since_mark()
    machine.stack.append({})
    _set_items(machine, pairs)


def _empty_set(machine: Machine, _: Any) -> None:
    machine.spend(256)
    machine.stack.append(set())


def _add_items(machine: Machine, _: Any) -> None:
    items = machine.since_mark()
    machine.top(set).update(map(checked_key, items))


def _append_items(machine: Machine, _: Any) -> None:
    items = machine.since_mark()
    machine.top(list).extend(items)


def _append(machine: Machine, _: Any) -> None:
    (item,) = machine.last(1)
    machine.top(list).append(item)


def _global_on_stack(machine: Machine, _: Any) -> None:
    module, name = machine.last(2)
    _push(machine, machine.named(f"{module} {name}"))


def _persistent(machine: Machine, _: Any) -> None:
    (identity,) = machine.last(1)
    _push(machine, machine.persistent(identity))


def _reduce(machine: Machine, _: Any) -> None:
    _push(machine, machine.call(*machine.last(2)))


def _build(machine: Machine, _: Any) -> None:
    """Attributes of an OrderedDict, such as the versions in a state_dict, are dropped."""
    machine.last(1)
    machine.top(*DICTIONARIES)


STEPS: dict[str, Step] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _push),
    **dict.fromkeys(("FLOAT", "BINFLOAT", "UNICODE", "SHORT_BINUNICODE"), _push),
    **dict.fromkeys(("BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"), _push),
    **dict.fromkeys(("BINBYTES8", "BYTEARRAY8"), _push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _text),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, i: m.stack.append(m.memo[i])),
    "NONE": _pushing(lambda: None),
    "NEWTRUE": _pushing(lambda: True),
    "NEWFALSE": _pushing(lambda: False),
    "EMPTY_LIST": _pushing(list),
    "EMPTY_DICT": _pushing(dict),
    "EMPTY_TUPLE": _pushing(tuple),
    "EMPTY_SET": _empty_set,
    "MARK": _mark,
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.since_mark(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "TUPLE": _gathering(tuple),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "LIST": _gathering(list),
    "DICT": _dictionary,
    "FROZENSET": _gathering(lambda items: frozenset(map(checked_key, items))),
    "APPEND": _append,
    "APPENDS": _append_items,
    "SETITEM": lambda machine, _: _set_items(machine, list(machine.last(2))),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.since_mark()),
    "ADDITEMS": _add_items,
    "GLOBAL": lambda machine, name: machine.stack.append(machine.named(name)),
    "STACK_GLOBAL": _global_on_stack,
    "BINPERSID": _persistent,
    "REDUCE": _reduce,
    "BUILD": _build,
}
"""What each instruction does; one that is not listed is refused."""
