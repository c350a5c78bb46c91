"""`Optimizer`: parameter groups, their settings and their state, with PyTorch's interface.

A subclass states its defaults and its update of one parameter, in NumPy. A step gives each
parameter a new array; what a graph recorded of the old one stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minigrad.creation import zeros_like
from minigrad.errors import ArgumentError, StateDictError
from minigrad.tape import enable_grad
from minigrad.tensor import Array, Tensor, asarray

Group = dict[str, Any]
State = dict[str, Any]


class Optimizer:
    """Base of all optimizers.

    `params` are the tensors to train, or dictionaries with "params" and settings of their own.
    `ranges` gives for each numeric setting the smallest value, and the first that is too large.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(
        self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], defaults: dict[str, Any]
    ) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        if isinstance(params, Tensor):
            raise ArgumentError("an optimizer takes a list of tensors, got a single tensor")
        listed = list(params)
        if not listed:
            raise ArgumentError("an optimizer takes at least one parameter, got none")
        groups = listed if isinstance(listed[0], Mapping) else [{"params": listed}]
        for group in groups:
            self.add_param_group(group)  # type: ignore[arg-type]

    def update(self, value: Array, grad: Array, state: State, group: Group) -> Array:
        """The new value of a parameter; may change `state`, must not write to the arrays."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train further parameters, with settings of their own where given."""
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor) or not parameter.is_leaf:
                raise ArgumentError(
                    f"{type(self).__name__}: takes leaf tensors, got {type(parameter).__name__}"
                )
            if id(parameter) in known:
                raise ArgumentError(f"{type(self).__name__}: a parameter is given twice")
            known.add(id(parameter))
        full: Group = {**self.defaults, **group, "params": params}
        unknown = full.keys() - self.defaults.keys() - {"params"}
        if unknown:
            raise ArgumentError(f"{type(self).__name__}: unknown setting {sorted(unknown)[0]!r}")
        self._check(full)
        self.param_groups.append(full)

    def _check(self, group: Group) -> None:
        for name, (low, high) in self.ranges.items():
            values = group[name] if isinstance(group[name], (tuple, list)) else (group[name],)
            if not all(isinstance(v, (int, float)) and low <= v < high for v in values):
                upper = "" if high == math.inf else f" and below {high:g}"
                raise ArgumentError(
                    f"{type(self).__name__}: {name} must be at least {low:g}{upper}, got "
                    f"{group[name]!r}"
                )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; `closure` computes the loss anew first."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                value = parameter.detach().numpy()
                grad = parameter.grad.detach().numpy()
                if group["maximize"]:
                    grad = -grad
                state = self.state.setdefault(parameter, {})
                parameter.assign(asarray(self.update(value, grad, state, group)))
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradient of every parameter to None, or to zeros."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none or parameter.grad is None:
                    parameter.grad = None
                else:
                    parameter.grad = zeros_like(parameter)

    def state_dict(self) -> dict[str, Any]:
        """Settings and state; parameters are numbered in the order they were given."""
        numbers = self._numbers()
        return {
            "state": {
                numbers[parameter]: {
                    key: asarray(entry) if isinstance(entry, np.ndarray) else entry
                    for key, entry in state.items()
                }
                for parameter, state in self.state.items()
            },
            "param_groups": [
                {**group, "params": [numbers[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state. Raises StateDictError, before anything is changed."""
        try:
            groups, states = state_dict["param_groups"], state_dict["state"]
            sizes = [len(group["params"]) for group in groups]
        except (KeyError, TypeError) as error:
            raise StateDictError(f"this is not the state of an optimizer: {error!r}") from None
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise StateDictError(
                f"{type(self).__name__} has groups of {own} parameters, the state has {sizes}"
            )
        parameters = {number: parameter for parameter, number in self._numbers().items()}
        fresh: dict[Tensor, State] = {}
        for number, state in states.items():
            parameter = parameters.get(int(number))
            if parameter is None:
                raise StateDictError(f"the state names parameter {number}, which does not exist")
            fresh[parameter] = {key: _entry(parameter, key, v) for key, v in state.items()}
        for group, saved in zip(self.param_groups, groups, strict=True):
            settings = {key: value for key, value in saved.items() if key in self.defaults}
            self._check({**group, **settings})
        for group, saved in zip(self.param_groups, groups, strict=True):
            for key in self.defaults.keys() & saved.keys():
                value = saved[key]
                group[key] = tuple(value) if isinstance(value, list) else value
        self.state = fresh

    def _numbers(self) -> dict[Tensor, int]:
        listed = [parameter for group in self.param_groups for parameter in group["params"]]
        return {parameter: number for number, parameter in enumerate(listed)}

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={self.param_groups[0][key]}" for key in self.defaults)
        return f"{type(self).__name__}({settings})"


def _entry(parameter: Tensor, key: str, value: Any) -> Any:
    """One entry of a state: an array of the parameter's shape, or a number."""
    if not isinstance(value, (Tensor, np.ndarray)):
        return value
    array = asarray(value).detach().numpy().copy()
    if array.shape != parameter.shape:
        raise StateDictError(
            f"the state {key!r} of a parameter of shape {parameter.shape} has shape {array.shape}"
        )
    return array.astype(parameter.dtype)
