"""How the terminal shows things: a progress bar with rate and time left, a table of layers, the findings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unbend._garbage import sweep
from unbend.cli.console import errors, results

if TYPE_CHECKING:  # brought by what computes, which help does without
    from unbend.report.text import Row
    from unbend.study.compare import Comparison
    from unbend.study.opening import Opening
    from unbend.study.progress import Progress as Report
    from unbend.study.values import Finding, Study

_EXPENDABLE = ("rms", "separation", "saturated", "dormant", "eff. rank", "permuted")
_MARK = {"problem": ("✖", "bold red"), "warning": ("▲", "yellow"), "note": ("•", "cyan"), "good": ("✔", "green")}


@contextmanager
def progress(*, quiet: bool = False) -> "Iterator[Report]":
    """A bar per phase on standard error, with rate and time left; it disappears when done. Here the work begins."""
    from unbend.report.bars import terminal_bars

    with terminal_bars(errors(), quiet=quiet) as tell:
        sweep()
        yield tell


def opening_view(opening: "Opening") -> Group:
    """The terminal's view of what the demo begins with: what is proved before and after the hidden layers."""
    from unbend.report.opening import opening_sentences

    before, after = opening_sentences(opening)
    return Group(
        Text.assemble((opening.network, "bold"), " on ", (opening.data, "bold")),
        Text.assemble(("input              ", "dim"), before),
        Text.assemble(("last hidden layer  ", "dim"), after),
        Text(),
    )


def study_view(study: "Study") -> Group:
    """The terminal's view of a study: what it is and how it was read, a row per layer, the findings."""
    about = study.about
    head = Text.assemble(
        (about.model, "bold"), " on ", (about.data, "bold"),
        f"  ·  {about.n_train:,} training rows, {about.n_held_out:,} held out"
        f"  ·  {about.n_parameters:,} parameters",
    )  # fmt: skip
    notes = [Text(note, style="dim") for note in about.notes]
    return Group(head, *notes, Text(), _layers(study, results().width), *(finding_lines(f) for f in study.findings))


def _layers(study: "Study", width: int) -> Table:
    """A row per layer; columns that do not fit are left to the page, the least important first."""
    from unbend.report.text import columns, summary

    rows = summary(study)
    labels = columns(rows)
    table = _table(rows, labels)
    options = results().options.update(width=width)
    for label in [label for label in _EXPENDABLE if label in labels]:
        if table.__rich_measure__(results(), options.update(max_width=10_000)).maximum <= width:
            break
        labels = [other for other in labels if other != label]
        table = _table(rows, labels)
    return table


def _table(rows: "list[Row]", labels: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("layer", overflow="ellipsis", no_wrap=True)
    table.add_column("", no_wrap=True, style="dim")
    for label in labels:
        table.add_column(label, justify="right")
    for row in rows:
        numbers = (row.numbers.get(label) for label in labels)
        table.add_row(row.layer, row.module, *("" if n is None else n.text for n in numbers))
    return table


def finding_lines(finding: "Finding", when: str = "") -> Padding:
    """A finding in the terminal; `when` stands in front of its title."""
    mark, style = _MARK[finding.severity]
    lines = Text.assemble((f"{mark} {finding.severity:<8}", style), (f"{when}  " if when else "", "dim"),
                          (finding.title, "bold"), "\n")  # fmt: skip
    lines.append(f"{finding.evidence}\n", style="dim")
    lines.append(f"→ {finding.advice}")
    if finding.instead and finding.severity in {"problem", "warning"}:
        lines.append(f"\n  Or: {finding.instead}", style="dim")
    return Padding(lines, (1, 0, 0, 0))


def comparison_view(comparison: "Comparison") -> Group:
    """The terminal's view of a comparison: the verdict, a row per layer, what changed."""
    import numpy as np

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    c = comparison
    has_fisher = bool(np.isfinite([*c.fisher_first, *c.fisher_second]).any())  # a regression has none
    names = ("layer", "held out", "", "change", "95 % interval", *(("Fisher", "") if has_fisher else ()), "silent", "")
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for i, name in enumerate(c.layers):
        style = "bold" if c.is_beyond_noise[i] else ""
        fisher = (f"{c.fisher_first[i]:.1f}", f"{c.fisher_second[i]:.1f}") if has_fisher else ()
        table.add_row(
            name, f"{c.held_out_first[i]:.3f}", f"{c.held_out_second[i]:.3f}", f"{c.change[i]:+.3f}",
            f"{c.low[i]:+.3f} … {c.high[i]:+.3f}", *fisher, str(c.silent_first[i]), str(c.silent_second[i]),
            style=style,
        )  # fmt: skip
    marks = (("✔", "green", c.better), ("✖", "red", c.worse), ("•", "cyan", c.noted))
    lines = [Text.assemble((f"{mark} ", style), sentence) for mark, style, found in marks for sentence in found]
    head = Text.assemble((c.first, "bold"), " → ", (c.second, "bold"))
    return Group(head, Text(c.verdict, style="bold"), table, *lines)
