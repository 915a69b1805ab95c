"""A watched run in MLflow, with its page as an artifact."""

import re
from tempfile import TemporaryDirectory
from typing import final

from unbend.integrations.extra import library
from unbend.integrations.flat import flat
from unbend.report.run import report_run
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot

MOST = 1000
"""Numbers that MLflow takes in one call."""
_REFUSED = re.compile(r"[^\w\-. :/]")
"""What MLflow takes in no name, such as the number sign of a function's second call."""


@final
class MLflow:
    """A sink that logs numbers to the active run, findings as tags, and at the end the page `unbend/run.html`.

    Args:
        run_id: of the run; None for the one that is active when the first layers are chosen, begun if there is none.
    """

    def __init__(self, run_id: str | None = None) -> None:
        self._mlflow = library("mlflow", "mlflow")
        self._run_id = run_id

    def begin(self, about: AboutRun) -> None:
        """Settle which run it is, so that all goes to one."""
        if self._run_id is None:
            self._run_id = (self._mlflow.active_run() or self._mlflow.start_run()).info.run_id

    def snapshot(self, snapshot: Snapshot) -> None:
        """Log its numbers, as many in a call as MLflow takes."""
        numbers = [(_REFUSED.sub("_", name).lstrip("/. "), value) for name, value in flat(snapshot).items()]
        for start in range(0, len(numbers), MOST):
            part = dict(numbers[start : start + MOST])
            self._mlflow.log_metrics(part, step=snapshot.step, run_id=self._run_id)

    def event(self, event: RunEvent) -> None:
        """Log nothing: MLflow has no events; the page shows them."""

    def finding(self, found: Occurrence) -> None:
        """Set a tag."""
        f = found.finding
        key = f"unbend.{f.rule}" + (f".{f.layer}" if f.layer else "")
        text = f"{f.severity}, step {found.step}: {f.title}"
        self._mlflow.MlflowClient().set_tag(self._run_id, _REFUSED.sub("_", key)[:250], text)

    def end(self, history: RunHistory) -> None:
        """Log the page."""
        with TemporaryDirectory() as folder:
            report_run(history, f"{folder}/run.html")
            self._mlflow.log_artifact(f"{folder}/run.html", "unbend", run_id=self._run_id)
