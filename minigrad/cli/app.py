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
    model: Annotated[
        str, typer.Argument(help="A network, as lenet5, resnet18 or 'vgg_a(batch_norm=True)'.")
    ],
    data: Annotated[
        str | None, typer.Option(help="digits (in the package), mnist or fashion-mnist.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder with the IDX files of --data.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Scale pictures to this many pixels a side; by default the smallest multiple of "
            "32 that the network takes."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Train on so many of the images only, the first.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    lr_decay: Annotated[
        float | None, typer.Option(help="Factor on the learning rate after each epoch.")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Of sgd, as 0.9; else 0.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Share of the weights that is taken away; else 0.")
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
        size=size,
        limit=limit,
        momentum=momentum,
        weight_decay=weight_decay,
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


NETWORK = "A network, as resnet50 or 'resnet50(num_classes=10)', or PACKAGE.MODULE:NAME."
INPUT = "The shape of an input without the batch, as 3,224,224; once for each input."


@app.command()
def summary(
    model: Annotated[str, typer.Argument(help=NETWORK)],
    style: Annotated[str, typer.Option(help="tree or flat.")] = "tree",
    depth: Annotated[int | None, typer.Option(help="Only modules down to this depth.")] = None,
    input: Annotated[list[str] | None, typer.Option(help=INPUT)] = None,
    batch: Annotated[int | None, typer.Option(help="Samples; left open (-1) unless given.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="A column, once for each: input, output, params, trainable, kernel, macs, flops, "
            "activations, saved."
        ),
    ] = None,
) -> None:
    """List the layers of a network with output shapes, parameters and costs."""
    from minigrad.cli.summary import run

    sys.exit(run(model, input or [], column or [], style=style, depth=depth, batch_size=batch))


@app.command()
def graph(
    model: Annotated[str, typer.Argument(help=NETWORK + " Or a graph's file, .json or .onnx.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Its ending tells the format; else text.")
    ] = None,
    backward: Annotated[
        bool, typer.Option("--backward", help="With the loss, a sum, and all gradients.")
    ] = False,
    depth: Annotated[int | None, typer.Option(help="Show modules below this depth as one.")] = None,
    batch: Annotated[int, typer.Option(help="Samples in a batch.")] = 1,
    input: Annotated[list[str] | None, typer.Option(help=INPUT)] = None,
) -> None:
    """Draw or write the computation graph of a network."""
    from minigrad.cli.graph import run

    sys.exit(run(model, output, input or [], batch, backward, depth))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help=NETWORK + " Or a graph's file, .json or .onnx.")],
    second: Annotated[str, typer.Argument(help="What to compare it with.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A page, .html, with both side by side.")
    ] = None,
    backward: Annotated[bool, typer.Option("--backward", help="Compare gradients too.")] = False,
    batch: Annotated[int, typer.Option(help="Samples in a batch.")] = 1,
    input: Annotated[list[str] | None, typer.Option(help=INPUT)] = None,
) -> None:
    """Tell which blocks and ops of two networks were added, removed or changed."""
    from minigrad.cli.diff import run

    sys.exit(run(first, second, output, input or [], batch, backward))


@app.command()
def profile(
    model: Annotated[str, typer.Argument(help=NETWORK)],
    batch: Annotated[int, typer.Option(help="Samples in a batch.")] = 8,
    backward: Annotated[bool, typer.Option(help="Time the gradients too.")] = True,
    input: Annotated[list[str] | None, typer.Option(help=INPUT)] = None,
    repeats: Annotated[int, typer.Option(help="Steps to time; the faster half counts.")] = 5,
    peak: Annotated[bool, typer.Option(help="Measure the machine's peak too.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write all numbers to this file.")] = None,
    chrome: Annotated[
        Path | None, typer.Option(help="Write a time line to this file, for ui.perfetto.dev.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the graph, coloured by time, to this file.")
    ] = None,
) -> None:
    """Time a step of a network op by op and module by module, and follow its memory."""
    from minigrad.cli.profile import run

    files = {"json": json, "chrome": chrome, "html": html}
    shapes = input or []
    sys.exit(run(model, shapes, batch, backward, files, repeats=repeats, measure_peak=peak))


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
