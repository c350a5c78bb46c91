"""`Optimizer`: parameter groups, their settings and their state, with PyTorch's interface.

A subclass states its defaults and its update of one parameter, in NumPy. A step gives each
parameter a new value; whoever holds the old one, a record or a user, keeps it as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from minigrad.creation import zeros_like
from minigrad.errors import ArgumentError, MinigradError, StateDictError
from minigrad.kernels.rewriting import settled
from minigrad.optim.joined import Part, alike, joins
from minigrad.optim.one_pass import worth
from minigrad.tape import enable_grad
from minigrad.tensor import Array, Tensor, asarray

Group = dict[str, Any]
State = dict[str, Any]
_NUMBERS = (int, float, np.integer, np.floating)


class Optimizer:
    """Base of all optimizers.

    `params` are the tensors to train, or dictionaries with "params" and settings of their own.
    `ranges` gives for each numeric setting the smallest value, and the first that is too large;
    `pairs` names the settings of two numbers; `entries` what `update` keeps of a parameter, and
    whether it always does: arrays of its shape, and the number "step".
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    pairs: ClassVar[tuple[str, ...]] = ()
    entries: ClassVar[dict[str, bool]] = {}
    elementwise: ClassVar[bool] = False
    """Whether `update` takes each number by itself: then it is called once for many parameters."""

    def __init__(
        self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], defaults: dict[str, Any]
    ) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        if isinstance(params, Tensor):
            raise ArgumentError("an optimizer takes a list of tensors, got a single tensor")
        listed: list[Any] = list(params)
        if not listed:
            raise ArgumentError("an optimizer takes at least one parameter, got none")
        groups = listed if isinstance(listed[0], Mapping) else [{"params": listed}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "update" in cls.__dict__ and "elementwise" not in cls.__dict__:
            cls.elementwise = False  # what the class above said is of its own

    def update(self, value: Array, grad: Array, state: State, group: Group) -> Array:
        """The new value of a parameter; may change `state`, must not write to the arrays."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def overwrite(self, parameter: Tensor, grad: Array, state: State, group: Group) -> bool:
        """Do all of `update`, the sign of `maximize` too, in one pass over the memory of a
        parameter that is worth it; False where there is no such pass."""
        return False

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train further parameters, with settings of their own where given."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentError(
                f"{type(self).__name__}: a group is a dictionary with 'params', got {group!r}"
            )
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor) or not parameter.is_leaf:
                computed = isinstance(parameter, Tensor)
                got = "one that an op computed" if computed else f"a {type(parameter).__name__}"
                raise ArgumentError(f"{type(self).__name__}: takes leaf tensors, got {got}")
            if id(parameter) in known:
                raise ArgumentError(f"{type(self).__name__}: a parameter is given twice")
            known.add(id(parameter))
        full: Group = {**self.defaults, **group, "params": params}
        unknown = full.keys() - self.defaults.keys() - {"params"}
        if unknown:
            raise ArgumentError(f"{type(self).__name__}: unknown setting {sorted(unknown)[0]!r}")
        self.param_groups.append(self._checked(full))

    def _checked(self, group: Group) -> Group:
        """The group with Python's numbers for NumPy's, which would turn float32 into float64."""
        checked = dict(group)
        for name, (low, high) in self.ranges.items():
            pair, given = name in self.pairs, group[name]
            values = tuple(given) if pair and isinstance(given, (tuple, list)) else (given,)
            inside = all(isinstance(v, _NUMBERS) and low <= v < high for v in values)
            if len(values) != 1 + pair or not inside:
                many, upper = "two numbers of " * pair, f" and below {high:g}"
                raise ArgumentError(
                    f"{type(self).__name__}: {name} must be {many}at least {low:g}"
                    f"{upper if high < math.inf else ''}, got {given!r}"
                )
            plain = tuple([v.item() if isinstance(v, np.generic) else v for v in values])
            checked[name] = plain if pair else plain[0]
        return checked

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; `closure` computes the loss anew first."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            settings = self._checked(group)  # a schedule may have changed them
            few: list[Part] = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                grad = parameter.grad.detach().numpy()
                state = self.state.setdefault(parameter, {})
                if worth(parameter) and self.overwrite(parameter, grad, state, settings):
                    continue
                if self.elementwise and joins(parameter):
                    few.append((parameter, grad, state))
                    continue
                value = parameter.detach().numpy()
                parameter.assign(asarray(self._updated(value, grad, state, settings)))
            for joined in alike(few):
                value, grad, state = joined.join()
                joined.split(self._updated(value, grad, state, settings), state)
        return loss

    def _updated(self, value: Array, grad: Array, state: State, group: Group) -> Array:
        return self.update(value, -grad if group.get("maximize") else grad, state, group)

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
        with settled():
            states = {
                numbers[parameter]: {
                    key: asarray(entry) if isinstance(entry, (np.ndarray, np.generic)) else entry
                    for key, entry in state.items()
                }
                for parameter, state in self.state.items()
            }
        return {
            "state": states,
            "param_groups": [
                {**group, "params": [numbers[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state. Raises StateDictError, before anything is changed."""
        try:
            groups = [dict(group) for group in state_dict["param_groups"]]
            sizes = [len(group["params"]) for group in groups]
            states = {int(number): dict(s) for number, s in state_dict["state"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateDictError(f"this is not the state of an optimizer: {error!r}") from None
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise StateDictError(
                f"{type(self).__name__} has groups of {own} parameters, the state has {sizes}"
            )
        try:
            chosen = [self._checked({key: group[key] for key in self.defaults}) for group in groups]
        except KeyError as error:
            raise StateDictError(
                f"the state has no setting {error}; is it another optimizer's than "
                f"{type(self).__name__}'s?"
            ) from None
        except ArgumentError as error:
            raise StateDictError(f"the state has a setting out of range: {error}") from None
        parameters = {number: parameter for parameter, number in self._numbers().items()}
        fresh: dict[Tensor, State] = {}
        for number, state in states.items():
            if number not in parameters:
                raise StateDictError(f"the state names parameter {number}, which does not exist")
            fresh[parameters[number]] = self._restored(parameters[number], state)
        for group, settings in zip(self.param_groups, chosen, strict=True):
            group.update(settings)
        self.state = fresh

    def _restored(self, parameter: Tensor, saved: State) -> State:
        """The state of one parameter, held against `entries`."""
        state = {key: value for key, value in saved.items() if value is not None}
        required = {key for key, always in self.entries.items() if always}
        if state and not required <= state.keys() <= self.entries.keys():
            raise StateDictError(
                f"{type(self).__name__} keeps {', '.join(self.entries)} of a parameter, the state "
                f"has {', '.join(map(str, state))}"
            )
        return {key: _entry(parameter, key, value) for key, value in state.items()}

    def _numbers(self) -> dict[Tensor, int]:
        listed = [parameter for group in self.param_groups for parameter in group["params"]]
        return {parameter: number for number, parameter in enumerate(listed)}

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={self.param_groups[0][key]}" for key in self.defaults)
        return f"{type(self).__name__}({settings})"


def _entry(parameter: Tensor, key: str, value: Any) -> Any:
    """One entry of a state: the number of steps, or an array of the parameter's shape."""
    try:
        array = asarray(value).detach().numpy()
    except MinigradError:
        raise StateDictError(f"the state {key!r} is a {type(value).__name__}") from None
    if key == "step":  # which PyTorch keeps as a 0-d tensor
        if array.shape != () or not 0 <= array < math.inf or array % 1:
            raise StateDictError(f"the state 'step' is a number of steps, got {value!r}")
        return int(array)
    if array.shape != parameter.shape:
        raise StateDictError(
            f"the state {key!r} of a parameter of shape {parameter.shape} has shape {array.shape}"
        )
    return array.astype(parameter.dtype)
