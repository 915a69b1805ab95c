"""`unbend maps`: the same rows in a plane for every layer.

In: the words of a command line. Out: a page, a film, on request a table, and what they show in sentences.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unbend.cli.arguments import files_of, reading
from unbend.cli.console import errors, say, wrote
from unbend.cli.options import By, Label, Layers, Network, Page, ReadWords, SameData, Weights, Words, reads
from unbend.cli.reel import write_film
from unbend.cli.terminal import progress
from unbend.cli.units import vocabulary
from unbend.explain.defaults import MAP_METHODS, MAP_ROWS
from unbend.files import check_place, check_unread

if TYPE_CHECKING:  # brought by what computes, which help does without
    from unbend.explain.maps.maps import LayerMaps
    from unbend.study.items import Choice
    from unbend.study.progress import Progress

PAGE = Path("maps.html")
_STUDY = ".unbend"


@reads
def maps(
    *,
    read: ReadWords,
    model: Network = None,
    data: SameData = None,
    output: Page = PAGE,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help=f"{', '.join(MAP_METHODS)}; repeat for more. Without it the first three.",
            show_default=False,
        ),
    ] = None,
    layers: Layers = None,
    rows: Annotated[int, typer.Option(min=16, help="Rows that are shown.")] = MAP_ROWS,
    perplexity: Annotated[
        float | None, typer.Option(min=1, help="Of t-SNE: about how many neighbours count [30].")
    ] = None,
    restarts: Annotated[
        int,
        typer.Option(min=0, help="How often an embedding is made again from a random start, to tell how stable it is."),
    ] = 1,
    film: Annotated[bool, typer.Option(help="Film the last method (.gif, and .mp4 with imageio-ffmpeg).")] = True,
    parquet: Annotated[
        Path | None, typer.Option(help="Also write a table of all maps, for Embedding Atlas and others.")
    ] = None,
    by: By = None,
    words: Words = None,
    label: Label = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="Of the embeddings, and of the demo's training.")] = 0,
) -> None:
    """Draw the same rows in a plane for every layer: PCA, discriminant plane, t-SNE, UMAP, PaCMAP.

    MODEL may also be a saved study, which needs no data. Without arguments it draws those of a small net on
    scikit-learn's handwritten digits.

    [bold]Examples[/bold]

      unbend maps

      unbend maps net.py:cnn photos/ --method tsne --perplexity 50

      unbend maps study.unbend --method umap --parquet maps.parquet
    """
    from unbend.explain.maps.maps import maps as draw
    from unbend.numerics.embedding import PERPLEXITY
    from unbend.report.maps import maps_sentences, movements

    reel = output.with_suffix(".gif")
    check_place(output, "the page")
    if film:
        check_place(reel, "the film")
    check_unread(output, files_of([model, data, weights, words]))
    if parquet is not None:
        check_place(parquet, "the table")
    with progress() as told:
        subject, rest, name, groups = _subject(model, data, label, weights, read.group, seed, told)
        found = draw(
            subject, rest, methods=method or None, layers=layers or None, rows=rows,
            perplexity=perplexity or PERPLEXITY, seed=seed, restarts=restarts, by=by, progress=told,
            words=None if words is None else vocabulary(words), **reading(read, groups),
        )  # fmt: skip
        told("Drawing the page", 0, None)
        places = _page_and_table(found, name, output, parquet)
        if film and len(found.layers) > 1:
            places += _film(found, reel, told)
    say((*maps_sentences(found), *movements(found)))
    errors().print(wrote(*places))


def _page_and_table(found: "LayerMaps", name: str, output: Path, parquet: Path | None) -> list[Path]:
    """The page, and the table where it is asked for."""
    from unbend.record.parquet import save_maps
    from unbend.report.html import write
    from unbend.report.maps import maps_page

    write(maps_page(found, title=f"Maps of the layers of {name}"), output)
    if parquet is None:
        return [output]
    save_maps(found, parquet)
    return [output, parquet]


def _film(found: "LayerMaps", reel: Path, told: "Progress") -> list[Path]:
    """The film of the last method."""
    from unbend.plot.film import kept_frames
    from unbend.plot.maps import map_film, n_map_frames

    return write_film(map_film(found, found.series[-1].method), len(kept_frames(n_map_frames(found))), reel, told)


def _subject(
    model: str | None, data: str | None, label: str | None, weights: Path | None, group: str | None, seed: int,
    told: "Progress",
) -> "tuple[Any, Any, str, Choice | None]":  # fmt: skip
    """A study, or a model with its data; its name; what names the group of a row."""
    from unbend.record import file as record
    from unbend.study.items import choice
    from unbend.study.jobs import work_of

    if model is not None and data is None and Path(model).suffix == _STUDY:
        study = record.open(model)
        return study, None, study.about.model, choice(group)
    work = work_of(model, data, label=label, weights=weights, seed=seed, progress=told, group=group)
    return work.model, work.data, work.name, work.groups
