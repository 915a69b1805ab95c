"""`unbend verify`: check the proofs of a saved study again."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

import unbend
from unbend.cli.console import results
from unbend.cli.options import Label
from unbend.cli.terminal import progress
from unbend.errors import DataError, UnbendError


class RefutedError(UnbendError):
    """A saved proof that does not hold for these rows."""


def verify(
    study: Annotated[Path, typer.Argument(help="A study saved with proofs.", show_default=False)],
    data: Annotated[
        str | None, typer.Argument(help="The data; left out, as recorded in the study.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="The network; left out, as recorded in the study.")] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict for a factory.")] = None,
    label: Label = None,
) -> None:
    """Check every separability proof of a saved study over all rows, without searching and without trusting the solver.

    [bold]Examples[/bold]

      unbend report net.py:model data.npz --proofs --save run.unbend

      unbend verify run.unbend data.npz
    """
    from unbend.study.jobs import NO_DATA, demo, job
    from unbend.study.ladder import Ladder, word
    from unbend.study.proofs import verify as verified

    made = unbend.open(study)
    recipe = made.about.recipe
    ladder = made.result(Ladder)
    if ladder is None:
        raise DataError(
            f"{study}: it was saved without proofs. Make it again with unbend report … --proofs --save {study}."
        )
    words = model or recipe.get("model")
    with progress() as told:
        if words is None and "demo" in recipe:
            work = demo(int(recipe["demo"]), told)
        elif words is None:
            raise DataError(f"{study}: it does not say which network it was made of. Pass --model file.py:name.")
        elif (data or recipe.get("data")) is None:
            raise typer.BadParameter(NO_DATA, param_hint="DATA")
        else:
            work = job(words, data or recipe["data"], label=label or recipe.get("label"), group=recipe.get("group"),
                        weights=weights or (Path(recipe["weights"]) if "weights" in recipe else None))  # fmt: skip
        done = 0

        def tick(n: int) -> None:
            nonlocal done
            done += n
            told("Checking proofs", done, len(ladder.layers))

        holds = verified(made, work.model, work.data, tick=tick)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in ("layer", "verdict", "proof"):
        table.add_column(head)
    for name, step in zip(ladder.layers, ladder.steps, strict=True):
        kept = Text("✔ holds", style="green") if holds[name] else Text("✖ does not hold", style="bold red")
        table.add_row(name, word(step), "nothing to check" if word(step) == "undecided" else kept)
    results().print(table)
    refuted = [
        name
        for name, step in zip(ladder.layers, ladder.steps, strict=True)
        if not holds[name] and word(step) != "undecided"
    ]
    if refuted:
        raise RefutedError(
            f"{study}: {len(refuted)} of {len(holds)} proofs do not hold for these rows ({', '.join(refuted)}). "
            "Other weights, other data, or a machine that rounds differently."
        )
    n = sum(word(step) != "undecided" for step in ladder.steps)
    results().print(f"\nAll {n} proofs hold over {len(ladder.ids):,} rows.")
