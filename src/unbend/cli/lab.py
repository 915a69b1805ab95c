"""`unbend lab`: the claims of the field, listed, re-run and checked, with a page of all of them."""

import json
import webbrowser
from collections.abc import Sequence
from contextlib import closing
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from unbend.cli.console import INTERRUPTED, errors, results, told, wrote
from unbend.errors import DataError
from unbend.lab.claims import N_SEEDS, SECTIONS, card, check_name, claim, claims
from unbend.lab.needs import missing

if TYPE_CHECKING:  # the experiments bring torch, which the list does without
    from unbend.lab.entries import Entry, Word
    from unbend.lab.results import Run
    from unbend.lab.runner import Task


FOLDER = Path("lab")
_STYLES: "dict[Word, str]" = {
    "holds": "green",
    "holds with a condition": "cyan",
    "false as told": "yellow",
    "failed": "bold red",
    "not run": "dim",
}


def lab(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Claims to run; none lists them.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run every claim and write one page.")] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results, figures, films, page.")] = FOLDER,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller experiments, under 3 minutes for all.")] = False,
    seed: Annotated[int, typer.Option(help="What chance begins with.")] = 0,
    seeds: Annotated[
        int | None,
        typer.Option(help=f"How many seeds, from --seed on [1; {N_SEEDS} with --all in full].", show_default=False),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes at a time; one a core when left out.")] = None,
    film: Annotated[bool, typer.Option(help="Make the films.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what a saved run would answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Re-run the claims of the field: each measured, checked, and drawn.

    Without arguments it lists them. What was run is kept in the folder and not run again.

    [bold]Examples[/bold]

      unbend lab

      unbend lab xor_trained --seed 3

      unbend lab --all --quick -o lab/ --open
    """
    wanted = list(dict.fromkeys(map(check_name, names or ())))
    _check(seed, seeds, output)
    if not wanted and not every:
        listed = _entries()
        _print_list(listed) if not as_json else typer.echo(json.dumps(listed, indent=1))
        return
    from unbend.lab.entries import entry, plain
    from unbend.lab.runner import tasks

    chosen = list(claims()) if every else wanted
    first = None if every and seeds is None and seed == 0 else range(seed, seed + (seeds or 1))
    planned = tasks(chosen, output, budget="quick" if quick else "full", seeds=first, films=film, fresh=fresh)
    runs = _run(planned, workers or cpu_count() or 1, quiet=as_json)
    entries = [entry(claim(name), [run for run in runs if run.claim == name]) for name in chosen]
    place = _write_page(entries, output, _command(every=every, quick=quick, names=wanted)) if every else None
    if as_json:
        typer.echo(json.dumps([plain(found) for found in entries], indent=1))
    else:
        results().print(_overview(entries) if every else Group(*(_panel(found, output) for found in entries)))
    if place is not None:
        errors().print(wrote(place))
        if open_:
            webbrowser.open(place.resolve().as_uri())
    if any(found.word == "failed" for found in entries):
        raise typer.Exit(1)


def _check(seed: int, seeds: int | None, output: Path) -> None:
    if not 0 <= seed < 2**31:
        raise DataError(f"--seed: expected a number from 0 to {2**31 - 1}, got {seed}.")
    if seeds is not None and not 1 <= seeds <= 100:
        raise DataError(f"--seeds: expected from 1 to 100 of them, got {seeds}.")
    if output.exists() and not output.is_dir():
        raise DataError(f"--output: expected a folder, got the file '{output}'. Name a folder, such as lab/.")


def _command(*, every: bool, quick: bool, names: Sequence[str]) -> str:
    return " ".join(["unbend lab", *(["--all"] if every else names), *(["--quick"] if quick else [])])


def _run(planned: "list[Task]", n_workers: int, *, quiet: bool) -> "list[Run]":
    """The runs, with a bar and a line for each as it ends."""
    from unbend.lab.runner import together

    console = errors()
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console, transient=True, disable=quiet or not console.is_terminal,
    )  # fmt: skip
    runs: "list[Run]" = []
    try:
        with bar, closing(together(planned, n_workers=n_workers)) as ending:
            shown = bar.add_task("Running", total=len(planned))
            for run in ending:
                runs.append(run)
                bar.update(shown, advance=1)
                if not quiet and len(planned) > 1:
                    bar.console.print(_end_words(run))
    except KeyboardInterrupt:
        console.print(
            Text("Interrupted.", style="bold"),
            f"{len(runs)} of {len(planned)} runs are kept; the same command goes on from there.",
        )
        told.set()
        raise typer.Exit(INTERRUPTED) from None
    return runs


def _end_words(run: "Run") -> Text:
    word, style = {
        "passed": ("✓", "green"), "failed": ("! failed", "bold red"), "error": ("! broke down", "bold red"),
        "not run": ("– not run", "dim"),
    }[run.status]  # fmt: skip
    end = f" {run.seconds:.1f} s" if run.seconds else f" {run.reason}"
    return Text.assemble((word, style), f" {run.claim}", (f" seed {run.seed}", "dim"), (end, "dim"))


def _entries() -> list[dict[str, Any]]:
    found = []
    for section, names in SECTIONS.items():
        for name in names:
            one = card(name)
            lacking = [line for line in map(missing, one.needs) if line]
            found.append({
                "claim": name, "section": section, "told": one.told, "told_by": one.told_by, "source": one.source,
                "needs": list(one.needs), "missing": lacking,
            })  # fmt: skip
    return found


def _print_list(listed: Sequence[dict[str, Any]]) -> None:
    """The list of claims, by section; what is missing stands with its claim."""
    console = results()
    for section in dict.fromkeys(one["section"] for one in listed):
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column()
        for one in listed:
            if one["section"] == section:
                lacking = [(f"\n{line}", "yellow") for line in one["missing"]]
                table.add_row(Text(one["claim"], style="bold"), Text.assemble(one["told"], *lacking))
        console.print(Text(section, style="bold cyan"), table, Text())
    one, every = Text("unbend lab NAME", style="bold"), Text("unbend lab --all", style="bold")
    console.print(Text.assemble("Run one with ", one, ", everything with ", every, "."))


def _overview(entries: "Sequence[Entry]") -> Group:
    """One line a claim, and what broke."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("claim", "verdict", "truth"):
        table.add_column(name, no_wrap=name != "truth")
    for found in entries:
        table.add_row(found.claim.name, _badge(found), found.truth or "; ".join(found.trouble))
    broken = [_panel(found, None) for found in entries if found.word == "failed"]
    return Group(table, *broken)


def _badge(found: "Entry") -> Text:
    from unbend.lab.entries import MARKS

    return Text(f"{MARKS[found.word]} {found.word}", style=_STYLES[found.word])


def _panel(found: "Entry", folder: Path | None) -> Padding:
    """One claim: who tells it, verdict, finding, numbers, and where its figure is."""
    source = f" Source: {found.claim.source}." if found.claim.source else ""
    told_by = Text(f"As told in {found.claim.told_by}.{source}", style="dim")
    parts: list[Any] = [Text(found.claim.told, style="bold"), told_by, _badge(found)]
    parts += [Text(text) for text in (found.truth, *found.trouble) if text]
    if found.finding:
        parts.append(Text.assemble(("Measured: ", "bold"), found.finding))
    if found.lines:
        parts.append(Padding(_checks(found), (1, 0, 0, 0)))
    if folder is not None:
        parts += [Text(line, style="dim") for line in _files(found, folder)]
    return Padding(Group(*parts), (0, 0, 1, 0))


def _checks(found: "Entry") -> Table:
    from unbend.lab.entries import digits

    many = len(found.runs) > 1
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("", "checked", "median" if many else "measured", *(["over seeds"] if many else []), "expected"):
        table.add_column(name, justify="left" if name in ("", "checked") else "right", no_wrap=name != "checked")
    table.add_column("because")
    for line in found.lines:
        sign = Text("✓", style="green") if line.passed else Text("✗", style="bold red")
        spread = [line.spread] if many else []
        table.add_row(
            sign if line.bounds else "", line.what, digits(line.middle), *spread, line.bounds,
            Text(line.reason, style="dim"),
        )  # fmt: skip
    return table


def _files(found: "Entry", folder: Path) -> list[str]:
    stem = found.runs[0].stem
    paths = [folder / kind / f"{stem}.{end}" for kind, ends in (("figures", ("svg", "png")), ("films", ("gif", "mp4")))
             for end in ends]  # fmt: skip
    there = [str(path) for path in paths if path.is_file()]
    return [f"Drawn: {', '.join(there)}"] if there else []


def _write_page(entries: "Sequence[Entry]", folder: Path, command: str) -> Path:
    from unbend.lab.page import page
    from unbend.report.html import write

    place = folder / "index.html"
    write(page(entries, folder, command=command), place)
    return place
