"""Options that several commands take, each with one help text.

In: nothing. Out: types of arguments. Must not import what is slow.
"""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Network: TypeAlias = Annotated[
    str | None,
    typer.Argument(help="file.py:name, package.module:name or a Hugging Face folder.", show_default=False),
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
