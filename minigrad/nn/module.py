"""`Module`, the unit networks are built of: a tree of parameters, buffers and further modules.

Whatever is stored as an attribute finds its place in the tree by its type. Names, order and
state_dict keys are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Self

from minigrad import tape
from minigrad.creation import zeros_like
from minigrad.errors import ArgumentError, MinigradError, StateDictError
from minigrad.nn.parameter import Parameter
from minigrad.nn.state import differences
from minigrad.spec import FLOATING, Spec, as_dtype, require_floating
from minigrad.tensor import Tensor

__all__ = ["Module"]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it found no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base of all layers and networks; a subclass defines `forward`.

    Calling a module runs `forward` between its hooks. An error that arises inside carries the
    path of the module it arose in (`lenet5.features_detector.0`).
    """

    younger_state: ClassVar[tuple[str, ...]] = ()
    """Names of parameters and buffers that checkpoints from before they came up do not have."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        for name, value in (
            ("training", True),
            ("_parameters", {}),
            ("_buffers", {}),
            ("_transient", set()),
            ("_modules", {}),
            ("_forward_pre_hooks", []),
            ("_forward_hooks", []),
        ):
            object.__setattr__(self, name, value)

    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outer = tape.state.scope
        tape.state.scope = scope = tape.Frame(outer, self)
        try:
            for before in list(self._forward_pre_hooks):
                replaced = before(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
            result = self.forward(*args, **kwargs)
            for after in list(self._forward_hooks):
                replaced = after(self, args, result)
                result = result if replaced is None else replaced
        except MinigradError as error:
            if error.module_path is None:
                error.module_path = scope.path
            raise
        finally:
            tape.state.scope = outer
        return result

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__call__" in cls.__dict__:
            raise TypeError(f"{cls.__name__} defines __call__; define forward, which it calls")

    # -- the tree -----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise ArgumentError(
                f"{type(self).__name__}: call super().__init__() before storing {name!r}"
            )
        homes = (self._parameters, self._buffers, self._modules)
        kinds = (Parameter, Tensor, Module)
        home = next((h for h in homes if name in h), None)
        if isinstance(value, Parameter):
            home = self._parameters
        elif isinstance(value, Module):
            home = self._modules
        elif home is not None and value is not None:
            kind = kinds[homes.index(home)]
            if not isinstance(value, kind):
                raise ArgumentError(
                    f"{type(self).__name__}.{name} holds a {kind.__name__}, got "
                    f"{type(value).__name__}; delete the attribute first"
                )
        if home is None:
            object.__setattr__(self, name, value)
            return
        for other in homes:
            if other is not home:
                other.pop(name, None)
        if home is not self._buffers:
            self._transient.discard(name)
        self.__dict__.pop(name, None)
        home[name] = value

    def __getattr__(self, name: str) -> Any:
        for home in ("_parameters", "_buffers", "_modules"):
            entries = self.__dict__.get(home, {})
            if name in entries:
                return entries[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for home in (self._parameters, self._buffers, self._modules):
            if name in home:
                del home[name]
                self._transient.discard(name)
                return
        object.__delattr__(self, name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None keeps the name without one."""
        self._register(self._parameters, name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the state but is not trained; not saved if transient."""
        self._register(self._buffers, name, tensor, Tensor)
        (self._transient.discard if persistent else self._transient.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name."""
        self._register(self._modules, name, module, Module)

    def _register(self, home: dict[str, Any], name: str, member: Any, kind: type) -> None:
        owner = type(self).__name__
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError(f"{owner}: a member's name is text without a dot, got {name!r}")
        if member is not None and not isinstance(member, kind):
            raise ArgumentError(
                f"{owner}: {name!r} is to be a {kind.__name__}, got {type(member).__name__}"
            )
        if name not in home and hasattr(self, name):
            raise ArgumentError(f"{owner} already has an attribute {name!r}")
        home[name] = member

    def named_modules(
        self, *, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted paths, parents first.

        Each once, or with `remove_duplicate=False` once under every path that it has.
        """
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            children = [
                (_join(path, name), m) for name, m in module._modules.items() if m is not None
            ]
            stack.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, each once, with their names."""
        seen: set[int] = set()
        for name, child in self._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        return (child for _, child in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters, each once, with their dotted paths."""
        return self._named_tensors("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers, each once, with their dotted paths."""
        return self._named_tensors("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named_tensors(self, home: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, tensor in getattr(module, home).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield _join(path, name), tensor

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is this one. Raises ArgumentError where none is."""
        module: Module | None = self
        for name in target.split(".") if target else []:
            module = module._modules.get(name) if module is not None else None
        if module is None:
            raise ArgumentError(f"{type(self).__name__} has no submodule {target!r}")
        return module

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every module, children first, and return this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- modes --------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set training mode, or with False evaluation mode, in all modules."""
        self.training = bool(mode)
        for child in self.children():
            child.train(mode)  # which a module may define anew, to stay in one mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode in all modules."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether the parameters require a gradient."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradient of every parameter to None, or to zeros where there is one."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad = zeros_like(parameter)

    def to(self, dtype: Any) -> Self:
        """Convert all floating-point parameters and buffers to `dtype`, in place."""
        chosen = as_dtype(dtype)
        require_floating("Module.to", Spec.of((), chosen))
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype in FLOATING:
                tensor.convert_(chosen)
        return self

    def double(self) -> Self:
        """Convert to float64, in place."""
        return self.to("float64")

    def float(self) -> Self:
        """Convert to float32, in place."""
        return self.to("float32")

    # -- state --------------------------------------------------------------------------------

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(remove_duplicate=False):
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    yield _join(path, name), parameter
            for name, buffer in module._buffers.items():
                if buffer is not None and name not in module._transient:
                    yield _join(path, name), buffer

    def state_dict(self) -> dict[str, Tensor]:
        """All parameters and persistent buffers by dotted path, detached. Later training does
        not change what is returned: values never change."""
        return {path: tensor.detach() for path, tensor in self._state()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Take over the values of a state_dict, of tensors or arrays.

        Raises StateDictError, before anything is changed, if a shape or dtype differs or, with
        `strict`, if the keys do; it lists every one of them. Returns the keys that were missing and
        those left over. A layer's `younger_state` may be missing where its other state is there.
        """
        if not isinstance(state_dict, Mapping):
            raise StateDictError(f"a state_dict is a mapping, got {type(state_dict).__name__}")
        younger = self._younger(state_dict)
        own = {key: tensor for key, tensor in self._state() if key not in younger}
        problems = differences(own, state_dict, strict)
        if problems:
            raise StateDictError(f"state_dict does not fit {type(self).__name__}:\n{problems}")
        for key in own.keys() & state_dict.keys():
            own[key].assign(state_dict[key])
        missing = [key for key in own if key not in state_dict]
        unexpected = [key for key in state_dict if key not in own]
        return IncompatibleKeys(missing, unexpected)

    def _younger(self, state_dict: Mapping[str, Any]) -> set[str]:
        """What may be missing from a state_dict, and is: it was written before there was such."""
        found = set()
        for path, module in self.named_modules(remove_duplicate=False):
            names = {*module._parameters, *module._buffers} - {*module.younger_state}
            if any(_join(path, name) in state_dict for name in names):
                found |= {_join(path, name) for name in module.younger_state}
        return found - state_dict.keys()

    # -- hooks --------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[[Module, tuple[Any, ...]], Any]
    ) -> tape.Handle:
        """Call hook(module, args) before `forward`; what it returns replaces the arguments."""
        self._forward_pre_hooks.append(hook)
        return tape.Handle(self._forward_pre_hooks, hook)

    def register_forward_hook(
        self, hook: Callable[[Module, tuple[Any, ...], Any], Any]
    ) -> tape.Handle:
        """Call hook(module, args, output) after `forward`; what it returns replaces the output."""
        self._forward_hooks.append(hook)
        return tape.Handle(self._forward_hooks, hook)

    # -- printing -----------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the brackets of the printed module: its arguments."""
        return ""

    def __repr__(self) -> str:
        title, extra = type(self).__name__, self.extra_repr()
        children = [f"({name}): {child!r}" for name, child in self._modules.items()]
        if not children:
            return f"{title}({extra})"
        body = "\n".join([extra, *children] if extra else children)
        indented = body.replace("\n", "\n  ")
        return f"{title}(\n  {indented}\n)"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
