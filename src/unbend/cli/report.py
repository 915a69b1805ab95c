"""`unbend report`: the main job."""

import json
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from torch import nn

from unbend import load
from unbend.cli.arguments import Loss, loss_of, rules
from unbend.cli.console import errors, results
from unbend.cli.terminal import progress, shown
from unbend.files import check_apart, check_place
from unbend.record import save as saved
from unbend.report import report as written
from unbend.report.plain import plain
from unbend.study.ranks import joined
from unbend.study.study import Progress, study

PAGE = Path("report.html")


def report(
    model: Annotated[
        str | None,
        typer.Argument(
            help="file.py:name, package.module:name, archive.pt2 or a Hugging Face folder.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Argument(
            help="A bundled name, .npz, x.npy,y.npy, a folder of IDX files, .csv, .parquet or file.py:name.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = PAGE,
    save: Annotated[Path | None, typer.Option(help="Also save the study, for show, merge and compare.")] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", "-l", help="A layer or glob to look at; repeat for more.")
    ] = None,
    reduce: Annotated[
        list[str] | None,
        typer.Option(
            help="How positions become one row: mean, max, flatten, cls, last; or GLOB=RULE; repeat for more."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of a table that holds the labels.")] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict for a factory: .safetensors, .pt or .pth.")] = None,
    loss: Annotated[Loss | None, typer.Option(help="Also measure the gradients of this loss.")] = None,
    rows: Annotated[int | None, typer.Option(min=2, help="Rows kept per layer to score read-outs on [4096].")] = None,
    classes: Annotated[
        int | None, typer.Option(min=0, help="Number of classes; 0 for a regression [found out].", show_default=False)
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Take every row into second moments, however many.")] = False,
    twin: Annotated[bool, typer.Option(help="Study an untrained twin as the baseline.")] = True,
    proofs: Annotated[
        bool, typer.Option("--proofs", help="Prove for every layer whether the classes are linearly separable.")
    ] = False,
    budget: Annotated[float, typer.Option(min=0.1, help="Seconds each layer's proof may take.")] = 20.0,
    probes: Annotated[
        bool, typer.Option("--probes", help="Fit a logistic probe of every layer, with a control task.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per forward pass.")] = 512,
    seed: Annotated[int, typer.Option(help="Of the untrained twin, and of the demo's training.")] = 0,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of a table.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Tell what every hidden layer of a network does to data, on one page.

    Without arguments it trains a small net on scikit-learn's handwritten digits and reports on that.

    [bold]Examples[/bold]

      unbend report

      unbend report net.py:model data.npz -o page.html

      unbend report torchvision.models:resnet18 photos/ --layer 'layer*' --reduce mean

      unbend report bert/ texts.py:dataset --reduce cls --save run.unbend
    """
    settings: dict[str, Any] = {
        "layers": layers or None, "reduce": rules(reduce), "loss": loss_of(loss), "rows": rows, "exact": exact,
        "twin": twin, "n_classes": classes, "proofs": proofs, "budget": budget, "probes": probes,
        "batch_size": batch_size, "seed": seed,
    }  # fmt: skip
    with joined() as is_writer:
        if is_writer:
            check_place(output, "the page")
            if save is not None:
                check_place(save, "the study")
                check_apart(output, save)
        with progress(quiet=as_json_ or not is_writer) as told:
            job = demo(seed, told) if model is None else given(model, data, label=label, weights=weights)
            made = study(job.model, job.data, name=job.name, progress=told, recipe=job.recipe, **settings)
            if is_writer:
                if save is not None:
                    saved(made, save)
                told("Drawing the page", 0, None)
                written(made, output)
        if not is_writer:
            return
    if as_json_:
        typer.echo(json.dumps(plain(made), indent=1))
    else:
        results().print(shown(made))
    errors().print(
        f"\nWrote [bold]{escape(str(output))}[/]"
        + (f" and [bold]{escape(str(save))}[/]" if save else "")
        + f" in {made.about.seconds:.1f} s."
    )
    if open_:
        webbrowser.open(output.resolve().as_uri())


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A network and data, and the words that make them again."""

    model: nn.Module
    data: Any
    name: str
    recipe: dict[str, str]


def given(model: str, data: str | None, *, label: str | None, weights: Path | None) -> Job:
    """The network and the data that the words name."""
    if data is None:
        raise typer.BadParameter("a data set is needed beside the model, such as digits, data.npz or file.py:name.",
                                 param_hint="DATA")  # fmt: skip
    words = {"model": model, "data": data, "label": label, "weights": None if weights is None else str(weights)}
    recipe = {key: value for key, value in words.items() if value is not None}
    return Job(load.model(model, weights=weights), load.data(data, label=label), model, recipe)


def demo(seed: int, told: Progress) -> Job:
    """A small net trained on handwritten digits just now."""
    from unbend import zoo

    model, digits = zoo.digits(seed=seed, progress=lambda done, total: told("Training a small net", done, total))
    test = load.Data(digits.x_test, digits.y_test, None, digits.class_names, "digits")
    data = load.Data(digits.x_train, digits.y_train, test, digits.class_names, "handwritten digits", digits.source)
    return Job(model, data, "64-128-64-32-10 ReLU net, trained just now", {"demo": str(seed)})
