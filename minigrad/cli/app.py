"""The commands and their options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from minigrad import __version__

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A small automatic-differentiation engine that trains convolutional networks on a CPU.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"minigrad {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="The network: lenet5.")],
    data: Annotated[
        str | None, typer.Option(help="digits (in the package), mnist or fashion-mnist.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder with the IDX files of --data.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    lr_decay: Annotated[
        float | None, typer.Option(help="Factor on the learning rate after each epoch.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and order.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder; by default runs/MODEL-DATA.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")
    ] = False,
) -> None:
    """Train a network and keep the run in a folder. What is not given has a good default."""
    from minigrad.cli.settings import given
    from minigrad.cli.train import run

    options = given(
        model=model,
        data=data,
        data_dir=None if data_dir is None else str(data_dir),
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        lr_decay=lr_decay,
        seed=seed,
    )
    sys.exit(run(options, out, resume))


@app.command()
def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A run folder, or a file of safetensors, npz or PyTorch (.pth)."),
    ],
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="PNG, JPEG, ...")],
    model: Annotated[
        str | None, typer.Option(help="The network, where no run folder tells it.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 5,
    classes: Annotated[
        Path | None, typer.Option(help="A text file with the name of a class on each line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Tell what is in pictures, by a network from a checkpoint."""
    from minigrad.cli.predict import run

    sys.exit(run(checkpoint, pictures, model=model, top=top, classes=classes, as_json=as_json))


@app.command()
def gradcheck(
    layer: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE.MODULE:LAYER",
            help="A module (class, call such as 'Layer(3, 4)' or instance) or a function.",
        ),
    ],
    input: Annotated[
        list[str] | None,
        typer.Option(help="The shape of an input, as 2,3,8,8; once for each input."),
    ] = None,
    order: Annotated[int, typer.Option(help="2 checks second derivatives too.")] = 1,
    fast: Annotated[
        bool, typer.Option("--fast", help="Along a few random directions, not by every element.")
    ] = False,
    batched: Annotated[
        bool,
        typer.Option("--batched", help="Axis 0 counts independent samples: evaluate many at once."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where numeric differences are not precise too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of inputs, weights and directions.")] = 0,
) -> None:
    """Check the gradients of a layer of your own against numeric ones."""
    from minigrad.cli.gradcheck import run

    sys.exit(run(layer, input or [], seed, order=order, fast=fast, batched=batched, strict=strict))


@app.command()
def warmup(
    dtype: Annotated[str, typer.Option(help="float32, float64 or all.")] = "float32",
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove the compiled kernels there are, first.")
    ] = False,
) -> None:
    """Compile all kernels now, so that no later run has to wait for one."""
    from minigrad.cli.warmup import run

    sys.exit(run(dtype, clear))


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Tell what minigrad runs on: versions, processor, threads, BLAS, the folder of kernels."""
    from minigrad.cli.info import run

    sys.exit(run(as_json))
