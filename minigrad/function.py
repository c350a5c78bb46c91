"""`Function`: an op of one's own, with a forward and a backward, as in PyTorch.

Its calls are recorded in the same nodes as the built-in ops, its saved tensors are released like
theirs, and a backward written in differentiable operations can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import tape
from minigrad.errors import ArgumentError, GradientError
from minigrad.op import Call, Op, Reads
from minigrad.tensor import Tensor, adopt


class Context:
    """What a forward hands on to its backward: saved tensors, and any attribute set on it."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Tensor | None, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward: inputs, outputs or others; None keeps a place."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise ArgumentError(
                    f"save_for_backward: takes tensors, got {type(tensor).__name__}; store "
                    "anything else as an attribute of ctx"
                )
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that the forward saved, in its order."""
        return self._saved


class Function:
    """An operation with a gradient of one's own.

    A subclass defines two static methods: `forward(ctx, *args)` gets tensors and other arguments
    and returns a tensor or a tuple of them; `backward(ctx, *grads)` gets the cotangent of each
    output (None where nothing depends on it) and returns one gradient an argument of forward, or
    None. It is called with `apply`:

        class Square(minigrad.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, grad):
                (x,) = ctx.saved_tensors
                return 2 * x * grad

        y = Square.apply(x)
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """The value; runs without being recorded."""
        raise ArgumentError("a Function defines the static methods forward and backward")

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        """The gradient by each argument of forward."""
        raise ArgumentError("a Function defines the static methods forward and backward")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward on the arguments, and record it if one requires a gradient."""
        needs = tuple([isinstance(arg, Tensor) and arg.requires_grad for arg in args])
        ctx = Context(needs)
        with tape.no_grad():
            result = cls.forward(ctx, *args)
        outputs = result if isinstance(result, tuple) else (result,)
        for output in outputs:
            if not isinstance(output, Tensor):
                raise ArgumentError(
                    f"{cls.__name__}.forward: returns tensors, got {type(output).__name__}"
                )
        inputs = [arg for arg in args if isinstance(arg, Tensor)]
        op = UserOp(cls, ctx, args, inputs, outputs)
        recorded = adopt(op, inputs, outputs)
        return recorded if isinstance(result, tuple) else recorded[0]


class UserOp(Op):
    """One call of a user's `Function`, as the record keeps it."""

    def __init__(
        self,
        function: type[Function],
        ctx: Context,
        args: Sequence[Any],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> None:
        # Only a name of the class itself would enter it into the catalogue.
        vars(self)["name"] = function.__name__
        self.function = function
        self.ctx = ctx
        self.is_tensor = [isinstance(arg, Tensor) for arg in args]
        # Of what was saved, inputs and outputs are kept by the record, and so released by it.
        self.saved: list[tuple[int | None, int | None, Tensor | None]] = []
        for tensor in ctx.saved_tensors:
            i, j = _index(tensor, inputs), _index(tensor, outputs)
            self.saved.append((i, j if i is None else None, tensor if i is j is None else None))
        kept_inputs = sorted({i for i, _, _ in self.saved if i is not None})
        kept_outputs = sorted({j for _, j, _ in self.saved if j is not None})
        self.kept: Reads = tuple(kept_inputs), tuple(kept_outputs)
        ctx._saved = ()

    def reads(self, needs: tuple[bool, ...]) -> Reads:
        return self.kept

    def backward(self, call: Call, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        self.ctx._saved = tuple(
            [
                call.inputs[i] if i is not None else call.outputs[j] if j is not None else tensor
                for i, j, tensor in self.saved
            ]
        )
        try:
            result = self.function.backward(self.ctx, *cotangents)
        finally:
            self.ctx._saved = ()
        gradients = result if isinstance(result, tuple) else (result,)
        if len(gradients) != len(self.is_tensor):
            raise GradientError(
                f"{self.name}.backward: returned {len(gradients)} gradients for the "
                f"{len(self.is_tensor)} arguments of forward; return None where there is none"
            )
        chosen = [g for g, tensor in zip(gradients, self.is_tensor, strict=True) if tensor]
        for gradient in chosen:
            if gradient is not None and not isinstance(gradient, Tensor):
                raise GradientError(
                    f"{self.name}.backward: a gradient is a tensor or None, got "
                    f"{type(gradient).__name__}"
                )
        return tuple(chosen)


def _index(tensor: Tensor | None, among: Sequence[Tensor]) -> int | None:
    return next((i for i, other in enumerate(among) if other is tensor), None)
