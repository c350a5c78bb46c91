"""A network out of a checkpoint, ready to classify pictures.

Which network it is, and what it takes, is told by the run folder that the checkpoint lies in; for
any other file by the name of the network, with `minigrad.models.preprocessing(name)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minigrad import models
from minigrad.cli.network import name_and_options
from minigrad.cli.run_folder import BEST, CONFIG, LAST, RunFolder
from minigrad.creation import abstract
from minigrad.data import Preprocessing
from minigrad.errors import ArgumentError, CheckpointError, MinigradError
from minigrad.nn import Module, init
from minigrad.serialization import load
from minigrad.serialization.plain import without_shared
from minigrad.spec import float64
from minigrad.tensor import Tensor

# Where training scripts put the state_dict, and what wrappers put in front of its keys.
NESTS = ("state_dict", "model_state_dict", "model", "network", "net", "module")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


class Classifier(NamedTuple):
    """A network, what is done to its pictures, and the names of its classes if they are known."""

    name: str
    model: Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None
    outputs: int


def classifier(checkpoint: Path, name: str | None) -> Classifier:
    """The classifier of a file or run folder; `name` is the network if no run tells it.

    Raises CheckpointError for a file that holds no network, ArgumentError if none is named.
    """
    file = checkpoint
    if checkpoint.is_dir():
        file = next((checkpoint / n for n in (BEST, LAST) if (checkpoint / n).is_file()), file)
    folder = RunFolder(file.parent)
    classes: tuple[str, ...] | None = None
    options: dict[str, Any] = {}
    if name is None:
        if not (folder.path / CONFIG).is_file():
            raise ArgumentError(
                f"{checkpoint} lies in no run folder of minigrad train; name the network: --model "
                f"takes {', '.join(models.names())}"
            )
        name, options = name_and_options(folder.read_settings({}).model, "predict")
        preprocessing, classes = folder.read_pictures()
    state = find_state(load(file), file)
    try:
        model, channels, count = network(name, state, options)
    except MinigradError as error:
        raise CheckpointError(f"{file}: is no checkpoint of {name}: {error}") from None
    if classes is None:
        preprocessing = published(name, channels)
    return Classifier(name, model.eval(), preprocessing, classes, count)


def find_state(found: Any, file: Path) -> dict[str, Tensor]:
    """The state_dict in what was loaded: itself, or what lies under one of the usual names.

    Prefixes that all keys share are taken away, and float64 becomes float32.
    """
    pending = [found]
    for value in pending:
        if isinstance(value, dict) and any(isinstance(v, Tensor) for v in value.values()):
            state = {str(k): v for k, v in value.items() if isinstance(v, Tensor)}
            break
        if isinstance(value, dict) and len(pending) < 10:
            pending += [value[name] for name in NESTS if name in value]
    else:
        raise CheckpointError(f"{file}: holds no state_dict, itself or as {', '.join(NESTS)}")
    state = dict(zip(without_shared(state, PREFIXES), state.values(), strict=True))
    return {k: v.astype("float32") if v.dtype == float64 else v for k, v in state.items()}


def network(
    name: str, state: Mapping[str, Tensor], options: Mapping[str, Any]
) -> tuple[Module, int, int]:
    """The network with the weights of `state`, its numbers of channels and of classes.

    How many these are is read off the shapes of the first convolution and the last layer, and
    whether a VGG has batch normalization off the keys; `options` are what else is known.
    """
    made = {**_shown(name, state, options), **options}
    with abstract():
        own = models.create(name, **made).state_dict()
    channels, count = _ends(own, state)
    made |= {"in_channels": channels, "num_classes": count}
    with abstract():  # what does not fit is told before anything takes the memory it asks for
        models.create(name, **made).load_state_dict(state)
    with init.skipped():
        model = models.create(name, **made)
    model.load_state_dict(state)
    return model, channels, count


def _shown(name: str, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, bool]:
    """The options that are switched on or off, such as a VGG's `batch_norm`, so that the network
    has the keys of `state`, or as many of them as it can."""
    choices = {
        option: (value, not value)
        for option, value in models.options(name).items()
        if isinstance(value, bool) and option not in options
    }
    candidates = [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]

    def misfits(candidate: dict[str, bool]) -> int:
        with abstract():
            own = models.create(name, **options, **candidate).state_dict()
        return len(own.keys() ^ state.keys())

    return min(candidates, key=misfits)  # of equal ones the first, which is the default


def _ends(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Input channels of the first convolution of `own`, and outputs of its last layer, in `state`.

    What is missing there, or has another number of axes, is taken from `own`: loading will tell.
    """
    first = next(key for key, value in own.items() if value.ndim == 4)
    last = list(own)[-1]
    found = [
        state[key] if key in state and state[key].ndim == own[key].ndim else own[key]
        for key in (first, last)
    ]
    return max(1, found[0].shape[1]), max(1, found[1].shape[0])


def published(name: str, channels: int) -> Preprocessing:
    """What a network's pictures are prepared with where no run tells it.

    `models.preprocessing(name)` says so, with `resize` (the length of the shorter side), `crop`
    (the side of the square cut out), and `mean` and `std` by channel.
    """
    found = models.preprocessing(name)
    mean, std = (
        tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels
        for values in (found.mean, found.std)
    )
    return Preprocessing((channels, found.crop, found.crop), mean, std, found.resize)
