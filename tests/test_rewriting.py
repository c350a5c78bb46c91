"""An optimizer writes over a value where nobody else holds it, and nowhere else: whatever way of
holding it there is, what is held stays as it was."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_steps import OPTIMIZERS, SHAPE, address, in_a_module, numbers, step

import minigrad as mg
from minigrad import nn, optim
from minigrad.kernels import buffers
from minigrad.kernels.rewriting import unheld


def pooled(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """An array in memory of the pool, which is for larger ones than this."""
    memory = buffers.empty((buffers.LEAST,), np.float32)
    return memory[: shape[0] * shape[1]].reshape(shape)


# -- where nobody holds it ----------------------------------------------------------------------

ORIGINS: dict[str, Callable[[], mg.Tensor]] = {
    "numpy": lambda: mg.tensor(numbers()),
    "an op": lambda: mg.tensor(np.tile(numbers(), (3, 2))) * 2,
    "a transposed op": lambda: mg.tensor(np.tile(numbers(), (3, 2)).T) * 2,
    "the pool": lambda: mg.asarray(pooled()),
}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_nobody_else_holds_is_written_over(name: str, origin: str) -> None:
    parameter = nn.Parameter(ORIGINS[origin]().detach())
    trainer = OPTIMIZERS[name]([parameter])
    step(trainer, parameter)
    step(trainer, parameter)
    before, values = address(parameter), parameter.detach().numpy().copy()
    states = {key: id(entry) for key, entry in trainer.state[parameter].items() if key != "step"}
    step(trainer, parameter)
    assert address(parameter) == before
    assert (parameter.detach().numpy() != values).all()
    assert states == {
        key: id(entry) for key, entry in trainer.state[parameter].items() if key != "step"
    }


def test_training_writes_over_its_weights_from_the_second_step_on() -> None:
    """Nothing of a step that is over holds them: no node, no cotangent, no loss."""
    mg.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 64, 5), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 40))
    trainer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, places = mg.randn((4, 8, 8, 8)), []
    for _ in range(4):
        loss = (model(x) ** 2).mean()
        trainer.zero_grad()
        loss.backward()
        trainer.step()
        places.append([address(model[0].weight), address(model[3].weight)])
    assert places[0] == places[1] == places[2] == places[3]
    assert loss.item() > 0


# -- ways of holding a value --------------------------------------------------------------------


class Holder(threading.Thread):
    """A thread that has nothing but an array in a local variable."""

    def __init__(self, parameter: mg.Tensor) -> None:
        super().__init__(daemon=True)
        self.parameter, self.ready, self.go = parameter, threading.Event(), threading.Event()
        self.found: Any = None
        self.start()
        self.ready.wait()

    def run(self) -> None:
        array = self.parameter._array
        self.ready.set()
        self.go.wait()
        self.found = array.copy()

    def read(self) -> np.ndarray:
        self.go.set()
        self.join()
        return self.found


def recorded(parameter: mg.Tensor) -> Callable[[], np.ndarray]:
    """The product's record holds the parameter: its value is the gradient of the other factor."""
    other = mg.ones(SHAPE, requires_grad=True)
    product = (parameter * other).sum()

    def read() -> np.ndarray:
        (gradient,) = mg.grad(product, other, retain_graph=True)
        return gradient.numpy()

    return read


def recorded_view(parameter: mg.Tensor) -> Callable[[], np.ndarray]:
    """The same of a reshaped one."""
    other = mg.ones(SHAPE[0] * SHAPE[1], requires_grad=True)
    product = (parameter.reshape(-1) * other).sum()
    return lambda: mg.grad(product, other, retain_graph=True)[0].numpy().reshape(SHAPE)


def retained(parameter: mg.Tensor) -> Callable[[], np.ndarray]:
    """What a backward pass leaves in the record where it is asked to."""
    other = mg.ones(SHAPE, requires_grad=True)
    product = (parameter * other).sum()
    product.backward(retain_graph=True)
    return lambda: mg.grad(product, other, retain_graph=True)[0].numpy()


def held_thread(parameter: mg.Tensor) -> Callable[[], np.ndarray]:
    return Holder(parameter).read


def always(held: Any, read: Callable[[Any], Any]) -> Callable[[], np.ndarray]:
    return lambda: np.asarray(read(held)).reshape(SHAPE)


class Interface:
    """Not an array, but NumPy makes one of it that shares its memory."""

    def __init__(self, parameter: mg.Tensor) -> None:
        self.array = parameter.detach().numpy()
        self.__array_interface__ = self.array.__array_interface__


def traced(parameter: mg.Tensor) -> Callable[[], np.ndarray]:
    """A graph that takes the value for a constant of the program."""
    value = parameter.detach()
    graph = mg.trace(lambda x: x + value, mg.zeros(SHAPE))
    return lambda: graph(mg.zeros(SHAPE)).numpy()


HOLDERS: dict[str, Callable[[mg.Tensor], Callable[[], np.ndarray]]] = {
    "numpy": lambda p: always(p.detach().numpy(), np.asarray),
    "a part of numpy's": lambda p: always(
        p.detach().numpy()[::-1].T.view(np.int32), lambda x: x.view(np.float32).T[::-1]
    ),
    "detach": lambda p: always(p.detach(), mg.Tensor.numpy),
    "detach, reshaped": lambda p: always(p.detach().reshape(-1), mg.Tensor.numpy),
    "detach, turned": lambda p: always(p.detach().mT, lambda x: x.mT.numpy()),
    "a view of the tensor": lambda p: always(p.reshape(-1), lambda x: x.detach().numpy()),
    "memoryview": lambda p: always(memoryview(p.detach().numpy()), np.asarray),
    "frombuffer": lambda p: always(np.frombuffer(p.detach().numpy(), np.float32), np.asarray),
    "the array interface": lambda p: always(np.asarray(Interface(p)), np.asarray),
    "ctypes": lambda p: always(p.detach().numpy().ctypes, lambda c: c._arr),
    "copy": lambda p: always(copy.copy(p), lambda q: q.detach().numpy()),
    "deepcopy": lambda p: always(copy.deepcopy(p), lambda q: q.detach().numpy()),
    "deepcopy of a module": lambda p: always(
        copy.deepcopy(in_a_module(p)), lambda m: m.weight.detach().numpy()
    ),
    "pickle": lambda p: always(pickle.loads(pickle.dumps(p)), lambda q: q.detach().numpy()),
    "tensor": lambda p: always(mg.tensor(p.detach()), mg.Tensor.numpy),
    "another parameter": lambda p: always(nn.Parameter(p.detach()), lambda q: q.detach().numpy()),
    "what took the value over": lambda p: always(
        nn.Parameter(mg.zeros(SHAPE)).assign(p.detach()), lambda q: q.detach().numpy()
    ),
    "state_dict": lambda p: always(
        in_a_module(p).state_dict(), lambda state: state["weight"].numpy()
    ),
    "a record": recorded,
    "a record of a view": recorded_view,
    "a record after its backward": retained,
    "a trace": traced,
    "a thread": held_thread,
}


@pytest.mark.parametrize("pooled_memory", [False, True])
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_what_somebody_holds_stays(name: str, holder: str, pooled_memory: bool) -> None:
    value = pooled() if pooled_memory else np.empty(SHAPE, np.float32)
    value[...] = numbers()
    parameter = nn.Parameter(mg.zeros(SHAPE)).assign(mg.asarray(value))
    del value
    trainer = OPTIMIZERS[name]([parameter])
    step(trainer, parameter)
    parameter.grad = None
    before = parameter.detach().numpy().copy()
    read = HOLDERS[holder](parameter)
    for _ in range(3):
        step(trainer, parameter)
    assert (parameter.detach().numpy() != before).all()
    np.testing.assert_array_equal(read(), before)
    del read
    place = address(parameter)
    step(trainer, parameter)
    assert address(parameter) == place


def test_an_array_handed_in_is_never_written_to() -> None:
    given = numbers()
    parameter = nn.Parameter(mg.asarray(given))
    for _ in range(2):
        step(OPTIMIZERS["momentum"]([parameter]), parameter)
    np.testing.assert_array_equal(given, numbers())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_leaf_of_no_module_gets_a_new_array(name: str) -> None:
    parameter = mg.tensor(numbers(), requires_grad=True)
    trainer = OPTIMIZERS[name]([parameter])
    step(trainer, parameter)
    held = parameter.detach()
    before = held.numpy().copy()
    step(trainer, parameter)
    np.testing.assert_array_equal(held.numpy(), before)
    assert (parameter.detach().numpy() != before).all()


# -- what an optimizer keeps --------------------------------------------------------------------

KEEPERS: dict[str, Callable[[optim.Optimizer, mg.Tensor], dict[str, Any]]] = {
    "state_dict": lambda trainer, _: trainer.state_dict()["state"][0],
    "the state itself": lambda trainer, parameter: dict(trainer.state[parameter]),
    "views": lambda trainer, parameter: {
        key: entry[:] for key, entry in trainer.state[parameter].items() if key != "step"
    },
}


@pytest.mark.parametrize("keeper", KEEPERS)
@pytest.mark.parametrize("name", ["momentum", "adam", "adamw"])
def test_what_somebody_holds_of_the_state_stays(name: str, keeper: str) -> None:
    parameter = nn.Parameter(mg.tensor(numbers()))
    trainer = OPTIMIZERS[name]([parameter])
    step(trainer, parameter)
    held = KEEPERS[keeper](trainer, parameter)
    before = {key: np.array(entry) for key, entry in held.items()}
    for _ in range(2):
        step(trainer, parameter)
    for key, entry in held.items():
        np.testing.assert_array_equal(np.array(entry), before[key])
        if key != "step":
            assert (trainer.state[parameter][key] != before[key]).all()


def test_two_optimizers_from_one_state() -> None:
    """Each goes its own way, as if it had the state to itself."""
    found = []
    for together in (False, True):
        parameters = [nn.Parameter(mg.tensor(numbers())) for _ in range(3)]
        first, second, third = (OPTIMIZERS["adamw"]([p]) for p in parameters)
        step(first, parameters[0])
        state = first.state_dict() if together else copy.deepcopy(first.state_dict())
        second.load_state_dict(state)
        step(second, parameters[1])
        third.load_state_dict(state)
        step(third, parameters[2])
        step(first, parameters[0])
        found.append([p.detach().numpy().copy() for p in parameters])
        np.testing.assert_array_equal(found[-1][1], found[-1][2])
    np.testing.assert_array_equal(found[0], found[1])


# -- memory that is not ours --------------------------------------------------------------------


def test_unheld() -> None:
    owned = np.zeros(SHAPE, np.float32)
    place = [owned]
    assert not unheld(place, 0)
    del owned
    assert unheld(place, 0)
    place[0].flags.writeable = False
    assert not unheld(place, 0)
    assert unheld([pooled()], 0)
    assert unheld({"velocity": pooled().T[2:]}, "velocity")
    view = pooled()
    other, places = view[1:], [view]
    del view
    assert not unheld(places, 0)
    del other
    assert unheld(places, 0)


def test_foreign_memory_is_not_written_to(tmp_path: Path) -> None:
    """Whoever lent it counts its holders otherwise, or is a file."""
    raw, size = bytearray(numbers().tobytes()), SHAPE[0] * SHAPE[1]
    (tmp_path / "weights").write_bytes(raw)
    mapped = np.memmap(tmp_path / "weights", np.float32, "r+", shape=SHAPE)
    assert not unheld([np.frombuffer(raw, np.float32)], 0)
    assert not unheld([np.ndarray(size, np.float32, memoryview(raw))], 0)
    for foreign in (np.frombuffer(raw, np.float32).reshape(SHAPE), mapped):
        parameter = nn.Parameter(mg.zeros(SHAPE)).assign(mg.asarray(foreign))
        del foreign
        step(OPTIMIZERS["momentum"]([parameter]), parameter)
        assert (parameter.detach().numpy() != numbers()).all()
    del mapped
    assert bytes(raw) == numbers().tobytes() == (tmp_path / "weights").read_bytes()


def test_a_misspelled_attribute_of_a_parameter_is_none() -> None:
    parameter = nn.Parameter(mg.zeros(3))
    assert not hasattr(parameter, "wieght")
    with pytest.raises(AttributeError, match="'Parameter' object has no attribute 'wieght'"):
        _ = parameter.wieght
