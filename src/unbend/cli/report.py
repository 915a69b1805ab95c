"""`unbend report`: the main job."""

import json
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

import unbend
from unbend.cli.arguments import files_of, reading
from unbend.cli.clock import Clock
from unbend.cli.console import errors, results, wrote
from unbend.cli.options import Label, Layers, Page, ReadWords, Weights, reads
from unbend.cli.terminal import opening_view, progress, study_view
from unbend.files import check_apart, check_place, check_unread

if TYPE_CHECKING:  # brought by what computes, which help does without
    from unbend.study.jobs import StudyJob
    from unbend.study.opening import Opening
    from unbend.study.progress import Progress
    from unbend.study.settings import ReadAs
    from unbend.study.values import Study

PAGE = Path("report.html")
_OPERATIONS = ("skip", "mean", "affine")
_SECONDS = 20.0
"""Processor time that surgery may take for single layers, and for runs of layers."""
_Model: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        help="file.py:name, package.module:name, archive.pt2, model.keras or a Hugging Face folder.", show_default=False
    ),
]
_Data: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        help="A bundled name, .npz, x.npy,y.npy, a folder of IDX files, .csv, .parquet or file.py:name.",
        show_default=False,
    ),
]
_Trials: TypeAlias = Annotated[
    bool, typer.Option(help="With --loss, train copies for some seconds to see what more training would bring.")
]
_Surgery: TypeAlias = Annotated[
    bool, typer.Option("--surgery", help="Find out which layers can be left out or replaced by one matrix.")
]
_Loss: TypeAlias = Annotated[
    str | None, typer.Option(help="Also measure the gradients of this loss: cross_entropy, bce, mse, nll, l1, huber.")
]


@reads
def report(
    *,
    read: ReadWords,
    model: _Model = None,
    data: _Data = None,
    output: Page = PAGE,
    save: Annotated[Path | None, typer.Option(help="Also save the study, for show, merge and compare.")] = None,
    layers: Layers = None,
    label: Label = None,
    weights: Weights = None,
    loss: _Loss = None,
    rows: Annotated[int | None, typer.Option(min=2, help="Rows kept per layer to score read-outs on [4096].")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Take every row into second moments, however many.")] = False,
    twin: Annotated[bool, typer.Option(help="Study an untrained twin as the baseline.")] = True,
    trials: _Trials = True,
    surgery: _Surgery = False,
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

    Without arguments it first trains a net on two moons, which overlap at the input and are proved separable in its
    last hidden layer, then one on scikit-learn's handwritten digits, and reports on that.

    [bold]Examples[/bold]

      unbend report

      unbend report net.py:model data.npz -o page.html

      unbend report torchvision.models:resnet18 photos/ --layer 'layer*' --reduce mean

      unbend report bert/ texts.py:dataset --reduce cls --save run.unbend
    """
    from unbend.study.initialisation import initialisation
    from unbend.study.jobs import opening_demo
    from unbend.study.ranks import joined
    from unbend.study.study import study

    clock = Clock()
    with joined() as is_writer:
        if is_writer:
            _check_places(output, save, read=[model, data, weights])
        with progress(quiet=as_json_ or not is_writer) as told:
            work = _job(model, data, label, weights, read.group, seed, told)
            read_as = reading(read, work.groups)
            first = opening_demo() if model is None else None
            clock.end("data")
            untrained = initialisation(model, work.model, seed=seed) if twin and model else None
            made = study(
                work.model, work.data, name=work.name, progress=told, recipe=work.recipe, layers=layers or None,
                loss=loss, rows=rows, exact=exact, twin=twin, untrained=untrained, trials=trials, proofs=proofs,
                budget=budget, probes=probes, batch_size=batch_size, seed=seed, **read_as,
            )  # fmt: skip
            clock.end("study")
            if is_writer:
                made = _with_surgery(made, work, read_as, layers, batch_size, told) if surgery else made
                _write(made, output, save, told, first)
                clock.end("page")
        if not is_writer:
            return
    _show(made, first, as_json=as_json_)
    _say_where(output, save, clock, is_opened=open_)


def _say_where(output: Path, save: Path | None, clock: Clock, *, is_opened: bool) -> None:
    """Where the files are, and how long it took; the page, in the browser."""
    errors().print(wrote(output, *([save] if save else []), end=f" in {clock.in_words()}."))
    if is_opened:
        webbrowser.open(output.resolve().as_uri())


def _job(model: str | None, data: str | None, label: str | None, weights: Path | None, group: str | None,
         seed: int, told: "Progress") -> "StudyJob":  # fmt: skip
    """The network and the data that the words name; the demo without words."""
    from unbend.study.jobs import NO_DATA, work_of

    if model is not None and data is None:
        raise typer.BadParameter(NO_DATA, param_hint="DATA")
    return work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=group)


def _with_surgery(
    made: "Study", work: "StudyJob", read_as: "ReadAs", layers: list[str] | None, batch_size: int, told: "Progress"
) -> "Study":
    """The study with what its layers are worth, where rows have one class each."""
    if made.about.task != "classification":
        note = f"Surgery judges layers by the classes of rows; here are {made.about.task}, so it was left out."
        return replace(made, about=replace(made.about, notes=(*made.about.notes, note)))
    from unbend.explain.surgery.surgery import surgery as operate

    found = operate(
        work.model, work.data, layers=layers or None, operations=_OPERATIONS, budget=_SECONDS, batch_size=batch_size,
        progress=told, **read_as,
    )  # fmt: skip
    return found.into(made)


def _write(made: "Study", output: Path, save: Path | None, told: "Progress", first: "Opening | None") -> None:
    """The study, where it is to be kept, and its page."""
    if save is not None:
        unbend.save(made, save)
    told("Writing the page", 0, None)
    unbend.report(made, output, opening=first)


def _check_places(output: Path, save: Path | None, *, read: Sequence[str | Path | None]) -> None:
    """Refuse places that cannot be written, or that are read or written by this command already."""
    for place in (output, save):
        if place is not None:
            check_unread(place, files_of(read))
    check_place(output, "the page")
    if save is not None:
        check_place(save, "the study")
        check_apart(output, save)


def _show(made: "Study", first: "Opening | None", *, as_json: bool) -> None:
    from unbend.report.plain import plain

    if as_json:
        typer.echo(json.dumps(plain(made), indent=1))
        return
    if first is not None:
        results().print(opening_view(first))
    results().print(study_view(made))
