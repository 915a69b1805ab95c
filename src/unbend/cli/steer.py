"""`unbend steer`: a class direction added to each layer, and what the output makes of it.

In: the words of a command line. Out: a page, the findings in sentences, and the directions in a file.
"""

from pathlib import Path
from typing import Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import Label, Network, Page, ReadWords, SameData, Weights, reads
from unbend.cli.terminal import progress
from unbend.explain.defaults import STRENGTHS
from unbend.files import check_apart, check_place, check_unread

PAGE = Path("steer.html")


@reads
def steer(
    *,
    read: ReadWords,
    towards: Annotated[str, typer.Argument(help="The class to steer to, by name or number.", show_default=False)],
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    save: Annotated[Path | None, typer.Option(help="Also save the directions (.safetensors).")] = None,
    directions: Annotated[
        Path | None, typer.Option(help="Add saved directions instead of the differences of class means.")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", "-l", help="A layer or glob to steer at; repeat for more.")
    ] = None,
    strength: Annotated[
        list[float] | None, typer.Option(help="Steps to add [-1, -0.5, 0.5, 1, 2]; repeat for more.")
    ] = None,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of the random directions.")] = 0,
) -> None:
    """Add the way to a class to each layer, and tell how many other rows the network calls that class then.

    Without a model it does so with a small net on scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend steer 3

      unbend steer spam net.py:model mails.npz --layer '2' -o steer.html

      unbend steer 3 other.py:model digits --directions mine.safetensors
    """
    from unbend.explain.steering import steer as push
    from unbend.record.directions import open_directions, save_directions
    from unbend.report.html import write
    from unbend.report.steering import steering_page, steering_sentences
    from unbend.study.jobs import work_of

    check_place(output, "the page")
    taken = files_of([model, data, weights, directions])
    check_unread(output, taken)
    if save is not None:
        check_place(save, "the directions")
        check_unread(save, taken)
        check_apart(output, save)
    with progress() as told:
        work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=read.group)
        known = None if directions is None else {one.layer: one for one in open_directions(directions)}
        wanted = (
            int(towards) if towards.isdecimal() and towards not in getattr(work.data, "class_names", ()) else towards
        )
        found = push(
            work.model, work.data, wanted, layers=layers or None, directions=known, strengths=strength or STRENGTHS,
            seed=seed, progress=told, **reading(read, work.groups),
        )  # fmt: skip
        told("Drawing the page", 0, None)
        write(steering_page(found, title=f"Steering {work.name} to class {towards}"), output)
        if save is not None:
            save_directions([one.direction for one in found], save)
    say(steering_sentences(found))
    errors().print(wrote(output, *([save] if save else [])))
