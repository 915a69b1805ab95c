"""`unbend maximise`: the input that classes, units or directions answer to most.

In: the words of a command line. Out: a page, and in sentences what was made and which of it is noise.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import Label, Network, Page, ReadWords, SameData, Weights, reads
from unbend.cli.terminal import progress
from unbend.errors import LayerError
from unbend.explain.defaults import FOR_COLUMNS, FOR_IMAGES, STEPS
from unbend.files import check_place, check_unread

if TYPE_CHECKING:  # brought by what computes, which help does without
    from unbend.numerics.direction import Direction

PAGE = Path("maximise.html")


@reads
def maximise(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="The layer whose units; without it, the classes.")
    ] = None,
    unit: Annotated[list[int] | None, typer.Option("--unit", "-u", help="Only this unit or class; repeat.")] = None,
    directions: Annotated[
        Path | None,
        typer.Option(help="Saved directions (unbend steer --save) in the layer, instead of its units."),
    ] = None,
    parametrisation: Annotated[
        str | None,
        typer.Option(help=f"For images {', '.join(FOR_IMAGES)}; for columns {', '.join(FOR_COLUMNS)} \\[the first]."),
    ] = None,
    greatest: Annotated[
        bool, typer.Option("--greatest", help="Read a channel where it is greatest, not by its mean.")
    ] = False,
    total_variation: Annotated[float, typer.Option(min=0, help="Penalty on the differences of pixels.")] = 0.0,
    jitter: Annotated[int | None, typer.Option(min=0, help="Pixels an image is moved by at each step.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the ascent.")] = STEPS,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of the start and the jitter.")] = 0,
) -> None:
    """Make the input that each class, or each unit of a layer, answers to most, beside real ones.

    Says which of them are adversarial noise. Without arguments it does so with a small net on scikit-learn's
    handwritten digits.

    [bold]Examples[/bold]

      unbend maximise

      unbend maximise net.py:cnn photos/ --layer layer3 --parametrisation maco -o layer3.html

      unbend maximise net.py:mlp table.csv --label kind --layer 0 --unit 3 --unit 7

      unbend maximise net.py:cnn photos/ --layer layer3 --directions cat.safetensors
    """
    from unbend.explain.maximise.maximise import Ascent
    from unbend.explain.maximise.maximise import maximise as climb
    from unbend.report.html import write
    from unbend.report.maximise import maximise_page, maximise_sentences
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    check_unread(output, files_of([model, data, weights, directions]))
    ways = () if directions is None else _directions_in(directions, layer)
    how = Ascent(parametrisation, steps, jitter=jitter, total_variation=total_variation)
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        found = climb(
            work.model, work.data, layer, units=unit or None, directions=ways,
            positions="greatest" if greatest else "mean", how=how, seed=seed, progress=told,
            **reading(read, work.groups),
        )  # fmt: skip
        told("Drawing the page", 0, None)
        write(maximise_page(found, title=f"What {work.name} answers to most"), output)
    say(maximise_sentences(found))
    errors().print(wrote(output))


def _directions_in(path: Path, layer: str | None) -> "tuple[Direction, ...]":
    """The saved directions in one layer.

    Raises:
        LayerError: there are none in it, or they are in several and none is named.
    """
    from unbend.record.directions import open_directions

    found = open_directions(path)
    layers = list(dict.fromkeys(way.layer for way in found))
    if layer is None and len(layers) > 1:
        raise LayerError(f"--directions: they are in several layers. Say which with --layer: {', '.join(layers[:20])}.")
    kept = tuple(way for way in found if layer in (None, way.layer))
    if not kept:
        raise LayerError(f"--directions: none is in layer {layer!r}. They are in: {', '.join(layers[:20])}.")
    return kept
