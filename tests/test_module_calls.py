"""Calling modules: hooks, and the path of the module in the text of an error."""

from __future__ import annotations

from typing import Any

import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, MinigradError, ShapeError


def double(module: nn.Module, args: tuple[Any, ...]) -> mg.Tensor:
    return args[0] * 2


class TestHooks:
    def test_a_forward_hook_sees_the_call_and_may_replace_the_output(self) -> None:
        layer, x = nn.Identity(), mg.ones(2)
        seen: list[Any] = []
        handle = layer.register_forward_hook(lambda *call: seen.append(call))
        assert layer(x) is x
        assert seen == [(layer, (x,), x)]
        layer.register_forward_hook(lambda module, args, output: output + 1)
        layer.register_forward_hook(lambda module, args, output: output * 3)
        assert layer(x).tolist() == [6, 6]
        handle.remove()
        handle.remove()
        layer(x)
        assert len(seen) == 2

    def test_a_pre_hook_may_replace_the_arguments(self) -> None:
        class Sum(nn.Module):
            def forward(self, x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
                return x + y

        layer, x = Sum(), mg.ones(1)
        with layer.register_forward_pre_hook(lambda module, args: (args[0] * 5, args[1])):
            assert layer(x, x).item() == 6
        assert layer(x, y=x).item() == 2
        single = nn.Identity()
        with single.register_forward_pre_hook(double):
            assert single(x).item() == 2

    def test_hooks_of_submodules_run_within_the_call_of_their_network(self) -> None:
        net = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity()))
        order: list[str] = []
        for path, module in net.named_modules():
            module.register_forward_pre_hook(lambda *_, path=path: order.append(f"into {path}"))
            module.register_forward_hook(lambda *_, path=path: order.append(f"out of {path}"))
        net(mg.ones(1))
        inner = ["into 0", "out of 0", "into 1", "into 1.0", "out of 1.0", "out of 1"]
        assert order == ["into ", *inner, "out of "]

    def test_a_hook_may_remove_itself(self) -> None:
        layer, calls = nn.Identity(), []

        def once(*call: Any) -> None:
            calls.append(call)
            handle.remove()

        handle = layer.register_forward_hook(once)
        layer(mg.ones(1))
        layer(mg.ones(1))
        assert len(calls) == 1

    def test_hooks_are_differentiated_through(self) -> None:
        layer, x = nn.Identity(), mg.ones(1, requires_grad=True)
        layer.register_forward_pre_hook(double)
        layer.register_forward_hook(lambda module, args, output: output * 3)
        layer(x).backward()
        assert x.grad is not None
        assert x.grad.item() == 6


class Holder(nn.Module):
    """Calls, as asked, a child, a grandchild, itself again, or a module outside its tree."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.block = nn.Sequential(nn.Sequential(nn.Linear(2, 3)))
        self.outside = [nn.Linear(2, 3)]

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        called = {
            "child": self.block,
            "grandchild": self.block[0][0],
            "outside": self.outside[0],
            "own": lambda x: x + mg.ones(2),
        }
        return called[self.way](x)


@pytest.mark.parametrize(
    ("way", "path"),
    [
        ("child", "Holder.block.0.0: linear: "),
        ("grandchild", "Holder.block.0.0: linear: "),
        ("outside", "Holder.Linear: linear: "),
        ("own", "Holder: add: "),
    ],
)
def test_an_error_says_where_it_arose(way: str, path: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Holder(way)(mg.ones((1, 5)))
    assert str(caught.value).startswith(path)
    wrapped = nn.Sequential(nn.Identity(), Holder(way))
    with pytest.raises(ShapeError) as caught:
        wrapped(mg.ones((1, 5)))
    assert str(caught.value).startswith("Sequential.1" + path.removeprefix("Holder"))


def test_the_path_of_a_network_of_the_catalogue() -> None:
    wrong = mg.ones((1, 3, 32, 32))
    with pytest.raises(ShapeError, match=r"^lenet5\.features_detector\.0: conv2d: .*\(1, 3, 32"):
        models.lenet5()(wrong)
    net = models.create("lenet5")
    with pytest.raises(ShapeError, match=r"^lenet5\.features_detector\.0: conv2d: "):
        net(wrong)
    with pytest.raises(ShapeError, match=r"^lenet5\.classifier\.0: linear: .*\(120, 400\)"):
        net(mg.ones((1, 1, 28, 28)))
    with pytest.raises(ShapeError, match=r"^Sequential\.0: conv2d: "):
        net.features_detector(wrong)
    with pytest.raises(ShapeError, match=r"^Sequential\.0\.features_detector\.0: conv2d: "):
        nn.Sequential(net)(wrong)


def test_after_an_error_calls_start_anew() -> None:
    holder = Holder("child")
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"^Holder\.block\.0\.0: "):
            holder(mg.ones((1, 5)))
    with pytest.raises(ShapeError) as caught:
        mg.ones(2) + mg.ones(3)
    assert caught.value.module_path is None
    assert str(caught.value).startswith("add: ")


def test_other_errors_pass_unchanged() -> None:
    class Broken(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nn.Sequential(Broken())(mg.ones(1))


def test_an_error_of_a_hook_names_the_module() -> None:
    def refuse(*_: Any) -> None:
        raise ArgumentError("no")

    net = nn.Sequential(nn.Identity())
    net[0].register_forward_hook(refuse)
    with pytest.raises(MinigradError, match=r"^Sequential\.0: no$"):
        net(mg.ones(1))
