"""Modules: the tree of parameters, buffers and submodules, and what walks, saves and calls it."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, MinigradError, ShapeError, StateDictError


class Block(nn.Module):
    """A layer, a parameter and buffers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.scale = nn.Parameter(mg.ones(3))
        self.register_buffer("mean", mg.zeros(3))
        self.register_buffer("cache", mg.zeros(3), persistent=False)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.linear(x) * self.scale + self.mean


class Net(nn.Module):
    """A block, and layers in sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Block()
        self.rest = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.rest(self.first(x))


NET_STATE = [
    "first.scale",
    "first.mean",
    "first.linear.weight",
    "first.linear.bias",
    "rest.0.weight",
    "rest.0.bias",
    "rest.2.weight",
    "rest.2.bias",
]


@pytest.fixture
def net() -> Net:
    mg.manual_seed(0)
    return Net()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def values(module: nn.Module) -> dict[str, np.ndarray]:
    return {key: tensor.numpy().copy() for key, tensor in module.state_dict().items()}


def assert_same_values(module: nn.Module, expected: dict[str, np.ndarray]) -> None:
    found = values(module)
    assert found.keys() == expected.keys()
    for key, array in found.items():
        np.testing.assert_array_equal(array, expected[key], err_msg=key)


class TestRegistration:
    def test_what_is_stored_finds_its_place_by_its_type(self) -> None:
        module = nn.Module()
        module.weight = nn.Parameter(mg.ones(2))
        module.child = nn.Identity()
        module.number, module.plain = 3, mg.ones(2)
        assert dict(module.named_parameters()) == {"weight": module.weight}
        assert dict(module.named_children()) == {"child": module.child}
        assert list(module.buffers()) == []
        assert module.number == 3

    def test_a_replaced_attribute_leaves_its_old_place(self) -> None:
        module = nn.Module()
        module.x = 1
        module.x = nn.Parameter(mg.ones(2))
        assert "x" not in module.__dict__
        module.x = nn.Identity()
        assert not list(module.parameters())
        assert [name for name, _ in module.named_children()] == ["x"]
        module.x = nn.Parameter(mg.ones(3))
        assert not list(module.children())
        assert module.x.shape == (3,)

    def test_none_takes_the_place_of_a_member_and_keeps_its_name(self) -> None:
        layer = nn.Linear(2, 3)
        layer.bias = None
        assert list(layer.state_dict()) == ["weight"]
        assert layer(mg.ones((1, 2))).shape == (1, 3)
        layer.bias = nn.Parameter(mg.zeros(3))
        assert list(layer.state_dict()) == ["weight", "bias"]

    @pytest.mark.parametrize("name", ["scale", "linear", "mean"])
    def test_a_member_is_not_replaced_by_something_of_another_kind(self, name: str) -> None:
        block = Block()
        before = getattr(block, name)
        with pytest.raises(ArgumentError, match=f"{name} holds a"):
            setattr(block, name, 3.0)
        assert getattr(block, name) is before

    def test_a_tensor_is_no_parameter(self) -> None:
        layer = nn.Linear(2, 3)
        with pytest.raises(ArgumentError, match="holds a Parameter, got Tensor"):
            layer.weight = mg.ones((3, 2))

    def test_deleting(self) -> None:
        block = Block()
        del block.scale, block.linear, block.mean, block.cache
        assert not list(block.state_dict())
        for name in ("scale", "linear", "mean", "cache"):
            with pytest.raises(AttributeError, match=f"'Block' has no attribute '{name}'"):
                getattr(block, name)
        with pytest.raises(AttributeError):
            del block.scale

    def test_a_transient_buffer_can_become_persistent(self) -> None:
        block = Block()
        assert "cache" not in block.state_dict()
        block.register_buffer("cache", mg.ones(3))
        assert "cache" in block.state_dict()
        block.register_buffer("cache", mg.ones(3), persistent=False)
        del block.cache
        block.register_buffer("cache", mg.ones(3))
        assert "cache" in block.state_dict()

    def test_registering_by_hand(self) -> None:
        module = nn.Module()
        module.register_parameter("p", nn.Parameter(mg.ones(1)))
        module.register_parameter("q", None)
        module.add_module("m", nn.Identity())
        module.register_buffer("b", None)
        assert module.q is None
        assert module.b is None
        assert list(module.state_dict()) == ["p"]

    @pytest.mark.parametrize("name", ["", "a.b", 3, "forward_hook_free", "training", "weight"])
    def test_names_that_cannot_be_taken(self, name: Any) -> None:
        layer = nn.Linear(2, 3)
        layer.forward_hook_free = 0
        for register in (
            lambda: layer.register_buffer(name, mg.ones(1)),
            lambda: layer.add_module(name, nn.Identity()),
        ):
            with pytest.raises(ArgumentError):
                register()
        assert list(layer.state_dict()) == ["weight", "bias"]

    def test_members_of_the_wrong_kind(self) -> None:
        module = nn.Module()
        with pytest.raises(ArgumentError, match="'p' is to be a Parameter, got Tensor"):
            module.register_parameter("p", mg.ones(1))
        with pytest.raises(ArgumentError, match="'b' is to be a Tensor, got int"):
            module.register_buffer("b", 1)
        with pytest.raises(ArgumentError, match="'m' is to be a Module, got str"):
            module.add_module("m", "x")

    def test_storing_before_init(self) -> None:
        class Hasty(nn.Module):
            def __init__(self) -> None:
                self.weight = nn.Parameter(mg.ones(1))

        with pytest.raises(ArgumentError, match=r"call super\(\).__init__\(\)"):
            Hasty()

    def test_call_is_not_to_be_defined(self) -> None:
        with pytest.raises(TypeError, match="define forward"):
            type("Wrong", (nn.Module,), {"__call__": lambda self, x: x})

    def test_parameter(self) -> None:
        array = np.ones(3, np.float32)
        parameter = nn.Parameter(array)
        array[0] = 5
        assert parameter.requires_grad
        assert parameter.tolist() == [1, 1, 1]
        assert not nn.Parameter(mg.ones(2), False).requires_grad
        assert nn.Parameter([1.0], dtype="float64").dtype == np.float64
        assert repr(parameter).startswith("Parameter containing:\ntensor([1., 1., 1.]")


class TestWalking:
    def test_order_is_that_of_registration_parents_first(self, net: Net) -> None:
        assert [path for path, _ in net.named_modules()] == [
            "",
            "first",
            "first.linear",
            "rest",
            "rest.0",
            "rest.1",
            "rest.2",
        ]
        persistent = [key for key in NET_STATE if key != "first.mean"]
        assert [path for path, _ in net.named_parameters()] == persistent
        assert [path for path, _ in net.named_buffers()] == ["first.mean", "first.cache"]
        assert [path for path, _ in net.first.named_parameters(recurse=False)] == ["scale"]
        assert [path for path, _ in net.first.named_buffers("p")] == ["p.mean", "p.cache"]
        assert [path for path, _ in net.named_modules(prefix="p")][:2] == ["p", "p.first"]

    def test_what_is_shared_comes_once(self) -> None:
        layer, other = nn.Linear(2, 2), nn.Linear(2, 2)
        other.weight = layer.weight
        shared = nn.Sequential(layer, layer, other)
        assert [path for path, _ in shared.named_modules()] == ["", "0", "2"]
        assert [path for path, _ in shared.named_children()] == ["0", "2"]
        assert [path for path, _ in shared.named_parameters()] == ["0.weight", "0.bias", "2.bias"]
        assert len(list(shared.named_modules(remove_duplicate=False))) == 4
        # A state_dict has every path, so that a network that shares nothing can load it.
        assert list(shared.state_dict()) == [f"{i}.{n}" for i in (0, 1, 2) for n in NAMES]
        unshared = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
        unshared.load_state_dict(shared.state_dict())
        assert_same_values(unshared, values(shared))

    def test_apply_calls_children_first(self, net: Net) -> None:
        order: list[nn.Module] = []
        assert net.apply(order.append) is net
        first, rest = net.first, net.rest
        assert order == [first.linear, first, rest[0], rest[1], rest[2], rest, net]

    def test_get_submodule(self, net: Net) -> None:
        assert net.get_submodule("") is net
        assert net.get_submodule("rest.2") is net.rest[2]
        for path in ("rest.3", "rest.2.weight", "first..linear", "."):
            with pytest.raises(ArgumentError, match="no submodule"):
                net.get_submodule(path)


NAMES = ("weight", "bias")


class TestModes:
    def test_train_and_eval_reach_everything(self, net: Net) -> None:
        assert net.eval() is net
        assert not any(module.training for module in net.modules())
        net.first.train()
        assert [m.training for m in net.modules()] == [False, True, True, *[False] * 4]
        net.train()
        assert all(module.training for module in net.modules())

    def test_a_module_may_decide_on_its_own_mode(self) -> None:
        class Frozen(nn.Dropout):
            def train(self, mode: bool = True) -> Frozen:
                return super().train(False)

        net = nn.Sequential(nn.Sequential(Frozen()), nn.Dropout()).train()
        assert not net[0][0].training
        assert net[1].training

    def test_requires_grad_and_zero_grad(self, net: Net) -> None:
        net.requires_grad_(False)
        assert not net(mg.ones((1, 2))).requires_grad
        net.requires_grad_()
        net(mg.ones((1, 2))).sum().backward()
        assert all(p.grad is not None for p in net.parameters())
        net.first.scale.grad = mg.full(3, float("nan"))
        net.zero_grad(set_to_none=False)
        assert all(p.grad is not None and not p.grad.numpy().any() for p in net.parameters())
        net.zero_grad()
        assert all(p.grad is None for p in net.parameters())

    def test_conversion_keeps_the_objects(self, net: Net) -> None:
        net.register_buffer("count", mg.tensor(3))
        before, single = list(net.parameters()), values(net)
        assert net.double() is net
        assert all(a is b for a, b in zip(net.parameters(), before, strict=True))
        assert {t.dtype for t in net.parameters()} == {np.dtype("float64")}
        assert net.count.dtype == np.int64
        assert all(p.requires_grad and p.is_leaf for p in net.parameters())
        net(mg.ones((1, 2), dtype="float64")).sum().backward()
        assert net.first.scale.grad is not None
        assert net.first.scale.grad.dtype == np.float64
        assert_same_values(net.float(), single)
        with pytest.raises(MinigradError):
            net.to("int32")


class TestState:
    def test_keys_and_detachment(self, net: Net) -> None:
        state = net.state_dict()
        assert list(state) == NET_STATE
        assert not any(tensor.requires_grad for tensor in state.values())

    def test_later_training_does_not_change_it(self, net: Net) -> None:
        state, before = net.state_dict(), values(net)
        optimizer = mg.optim.SGD(net.parameters(), lr=1.0)
        net(mg.ones((3, 2))).sum().backward()
        optimizer.step()
        for key, array in before.items():
            np.testing.assert_array_equal(state[key].numpy(), array)
        assert not np.array_equal(net.first.scale.detach().numpy(), before["first.scale"])

    def test_loading_copies_and_keeps_the_objects(self, net: Net) -> None:
        other = Net()
        parameters, state = list(other.parameters()), net.state_dict()
        assert other.load_state_dict(state) == ([], [])
        assert_same_values(other, values(net))
        assert all(a is b for a, b in zip(other.parameters(), parameters, strict=True))
        assert all(p.requires_grad for p in parameters)
        array = np.ones(3, np.float32)
        other.load_state_dict({**state, "first.scale": array})
        array[:] = 7
        assert other.first.scale.tolist() == [1, 1, 1]

    def test_missing_and_unexpected_keys(self, net: Net) -> None:
        state = net.state_dict()
        del state["rest.0.bias"]
        state["other"] = mg.ones(1)
        with pytest.raises(StateDictError) as caught:
            net.load_state_dict(state)
        assert str(caught.value).splitlines() == [
            "state_dict does not fit Net:",
            "1 missing:",
            "  'rest.0.bias', float32 (4,)",
            "1 unexpected:",
            "  'other', float32 (1,)",
        ]
        keys = net.load_state_dict(state, strict=False)
        assert keys.missing_keys == ["rest.0.bias"]
        assert keys.unexpected_keys == ["other"]

    @pytest.mark.parametrize(
        "wrong",
        [mg.ones(4), mg.ones(3, dtype="float64"), mg.ones((3, 1)), 1.0, None, "text", [[1], []]],
    )
    def test_nothing_changes_when_a_value_does_not_fit(self, net: Net, wrong: Any) -> None:
        before = values(net)
        state = {key: tensor + 1 for key, tensor in net.state_dict().items()}
        for strict in (True, False):
            with pytest.raises(StateDictError, match=r"'first\.scale' takes"):
                net.load_state_dict({**state, "first.scale": wrong}, strict)
            assert_same_values(net, before)

    def test_not_a_mapping_and_many_problems(self, net: Net) -> None:
        with pytest.raises(StateDictError, match="a mapping, got list"):
            net.load_state_dict(list(net.state_dict()))

    def test_every_difference_has_a_line_of_its_own(self, net: Net) -> None:
        state: dict[str, Any] = {f"more.{i}": mg.ones(i) for i in range(20)}
        state |= {"first.scale": mg.ones((3, 1)), "first.mean": "text"}
        with pytest.raises(StateDictError) as caught:
            net.load_state_dict(state)
        lines = str(caught.value).splitlines()
        assert lines[1:4] == [
            "2 of another shape or dtype:",
            "  'first.scale' takes float32 (3,), got float32 (3, 1)",
            "  'first.mean' takes float32 (3,), got a str",
        ]
        missing = [key for key in net.state_dict() if key not in state]
        assert lines[4] == f"{len(missing)} missing:"
        assert [line.split("'")[1] for line in lines[5 : 5 + len(missing)]] == missing
        assert lines[5 + len(missing)] == "20 unexpected:"
        assert len(lines) == 6 + len(missing) + 20
        with pytest.raises(StateDictError) as caught:
            net.load_state_dict(state, strict=False)
        assert str(caught.value).splitlines() == lines[:1] + lines[1:4]

    def test_a_prefix_in_the_way_is_named(self, net: Net) -> None:
        state = {f"_orig_mod.module.{key}": value for key, value in net.state_dict().items()}
        with pytest.raises(StateDictError, match=r"strip_prefix='_orig_mod\.module\.'"):
            net.load_state_dict(state)


class TestCopies:
    def test_deepcopy_is_independent(self, net: Net) -> None:
        net.eval()
        twin = copy.deepcopy(net)
        assert_same_values(twin, values(net))
        assert not {id(p) for p in twin.parameters()} & {id(p) for p in net.parameters()}
        assert isinstance(twin.first.scale, nn.Parameter)
        assert not twin.training
        before = values(net)
        twin(mg.ones((1, 2))).sum().backward()
        mg.optim.SGD(twin.parameters(), lr=1.0).step()
        assert_same_values(net, before)
        assert all(p.grad is None for p in net.parameters())

    def test_pickle_keeps_sharing_and_flags(self) -> None:
        net = nn.Sequential(Block(), nn.Linear(3, 2))
        net.append(net[1])
        net[0].scale.requires_grad = False
        twin = pickle.loads(pickle.dumps(net))
        assert_same_values(twin, values(net))
        assert twin[1] is twin[2]
        assert isinstance(twin[0].scale, nn.Parameter)
        assert not twin[0].scale.requires_grad
        assert twin[0].linear.weight.requires_grad

    @pytest.mark.usefixtures("no_collector")
    def test_freed_by_reference_counting_alone(self) -> None:
        net = models.lenet5()
        net.register_forward_hook(lambda module, args, output: None)
        references = [weakref.ref(net), *[weakref.ref(m) for m in net.modules()]]
        references += [weakref.ref(p) for p in net.parameters()]
        loss = net(mg.ones((1, 1, 32, 32))).sum()
        loss.backward()
        del net, loss
        assert all(reference() is None for reference in references)

    @pytest.mark.usefixtures("no_collector")
    def test_freed_after_an_error_in_forward(self) -> None:
        net = models.lenet5()
        reference = weakref.ref(net)
        with pytest.raises(ShapeError):
            net(mg.ones((1, 2, 32, 32)))
        del net
        assert reference() is None
