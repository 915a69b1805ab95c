"""Options that several commands take, each with one help text; those that say how data are read come together.

In: nothing. Out: types of arguments. Must not import what is slow.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

Network: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        help="file.py:name, package.module:name, archive.pt2, model.keras or a Hugging Face folder.", show_default=False
    ),
]
SameData: TypeAlias = Annotated[str | None, typer.Argument(help="The data, as for report.", show_default=False)]
Page: TypeAlias = Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")]
Layers: TypeAlias = Annotated[
    list[str] | None, typer.Option("--layer", "-l", help="A layer or glob to look at; repeat for more.")
]
Label: TypeAlias = Annotated[str | None, typer.Option(help="Column of a table that holds the labels.")]
Weights: TypeAlias = Annotated[Path | None, typer.Option(help="State dict for a factory: .safetensors, .pt or .pth.")]
Words: TypeAlias = Annotated[
    Path | None, typer.Option(help="Vocabulary of token numbers: a text file, one word a line from number 0.")
]
By: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Of several yes/no labels, the one that colours rows \\[the first].", show_default=False),
]
_READ = "How items and layers are read"


def _option(words: str, **more: Any) -> Any:
    return typer.Option(help=words, rich_help_panel=_READ, show_default=False, **more)


@dataclass(frozen=True, slots=True)
class ReadWords:
    """How items and layers are read, in words; each field is an option of every command under `reads`.

    Attributes:
        inputs: parts of an item that go into the model.
        target: the part that is the label.
        model_output: the part of the model's output that is studied.
        group: what names the group of a row.
        reduce: rules by glob.
        axis: axes by glob.
        classes: how many.
    """

    inputs: Annotated[
        list[str] | None, _option("Part of an item that goes into the model, by name or position; repeat.")
    ]
    target: Annotated[str | None, _option("Part of an item that is the label, by name or position.")]
    model_output: Annotated[str | None, _option("Part of the model's output to study, by name or position.")]
    group: Annotated[
        str | None, _option("Column of a table, or part of an item, that names its group: groups are held out whole.")
    ]
    reduce: Annotated[
        list[str] | None,
        _option("How positions become one row: mean, max, flatten, cls, last; or GLOB=RULE; repeat for more."),
    ]
    axis: Annotated[
        list[str] | None,
        _option("Which axis of a layer's output holds its units, GLOB=N, where nothing else tells; repeat for more."),
    ]
    classes: Annotated[int | None, _option("Number of classes; 0 for a regression \\[found out].", min=0)]


def reads(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `ReadWords`, which it gets as one value, `read`."""
    own = [p for p in signature(command).parameters.values() if p.name != "read"]
    more = [Parameter(one.name, Parameter.KEYWORD_ONLY, default=None, annotation=one.type) for one in fields(ReadWords)]

    @wraps(command)
    def call(**words: Any) -> None:
        read = ReadWords(**{one.name: words.pop(one.name) for one in more})
        command(**words, read=read)

    call.__signature__ = Signature([*own, *more])  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in (*own, *more)}
    return call
