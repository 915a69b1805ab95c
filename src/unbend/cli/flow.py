"""`unbend flow`: the film of the data on their way through a network.

In: the words of a command line. Out: a page, a film, and what they show in sentences.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import By, Label, Layers, Network, Page, ReadWords, SameData, Weights, reads
from unbend.cli.reel import write_film
from unbend.cli.terminal import progress
from unbend.files import check_place, check_unread

if TYPE_CHECKING:  # brought by what computes, which help does without
    from unbend.report.sections import Picture

PAGE = Path("flow.html")
ROWS = 300


@reads
def flow(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    layers: Layers = None,
    rows: Annotated[int, typer.Option(min=2, help="Training rows that are shown.")] = ROWS,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Weights of the network at another time, for two inputs: the lines of its first layer are drawn "
            "beside; repeat for more.",
            show_default=False,
        ),
    ] = None,
    film: Annotated[bool, typer.Option(help="Film it (.gif, and .mp4 with imageio-ffmpeg).")] = True,
    by: By = None,
    label: Label = None,
    weights: Weights = None,
) -> None:
    """Film the data on its way through the network: what each layer turns, stretches and bends.

    Without arguments it does so with a small net on two half moons, whose plane is carried along as a grid.

    [bold]Examples[/bold]

      unbend flow

      unbend flow net.py:moons data.npz --checkpoint before.pt --checkpoint after.pt

      unbend flow net.py:cnn photos/ --layer 'layer*'
    """
    from unbend.explain.flow import flow as carry
    from unbend.explain.setup import setup
    from unbend.plot.film import kept_frames
    from unbend.plot.stages import flow_film, n_flow_frames
    from unbend.report.flow import flow_page, flow_sentences, lines_pictures
    from unbend.report.html import write
    from unbend.study.jobs import regions_demo, work_of

    reel = output.with_suffix(".gif")
    check_place(output, "the page")
    if film:
        check_place(reel, "the film")
    check_unread(output, files_of([model, data, weights, *(checkpoint or ())]))
    with progress() as told:
        work = regions_demo(told) if model is None else work_of(
            model, data, label=label, weights=weights, seed=0, progress=told, group=read.group
        )  # fmt: skip
        read_as = reading(read, work.groups)
        with setup(work.model, work.data, layers=layers or None, rows=rows, needs_classes=False, **read_as) as made:
            shown = made.subject.train
            y, names = made.groups(shown.y, by)
            told("Carrying rows through the network", 0, None)
            found = carry(
                made.model, shown.inputs, y, layers=layers or None, class_names=names, reduce=read_as["reduce"],
                axis=read_as["axis"],
            )  # fmt: skip
            lines: tuple[Picture, ...] = ()
            if found.lines.size or checkpoint:
                at = {path.stem: path for path in checkpoint or ()} | {"now": None}
                lines = lines_pictures(made.model, at, shown.inputs, y)
        reels: list[Path] = []
        if film:
            reels = write_film(flow_film(found), len(kept_frames(n_flow_frames(found))), reel, told)
        title = f"The data on their way through {work.name}"
        write(flow_page(found, title=title, lines=lines), output)
    say(flow_sentences(found))
    errors().print(wrote(output, *reels))
