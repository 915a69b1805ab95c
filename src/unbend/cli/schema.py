"""`unbend schema`: what the JSON of the other commands looks like."""

import json

import typer


def schema() -> None:
    """Print the JSON schema of what `--json` prints: of report, show, compare and lab.

    Under `$defs`, `study` is what report and show print, `run` what show prints of a training run, `comparison` what
    compare prints, `claims` the list of the lab and `entries` what the lab measured.

    [bold]Example[/bold]

      unbend schema > unbend.schema.json
    """
    from unbend.lab.entries import ListedClaim, PlainEntry
    from unbend.report.schema import json_schema
    from unbend.study.compare import Comparison
    from unbend.study.history.values import RunHistory
    from unbend.study.values import Study

    roots = {
        "study": Study, "run": RunHistory, "comparison": Comparison, "claims": list[ListedClaim],
        "entries": list[PlainEntry],
    }  # fmt: skip
    made = json_schema("What unbend prints with --json", roots)
    typer.echo(json.dumps(made, indent=1, ensure_ascii=False))
