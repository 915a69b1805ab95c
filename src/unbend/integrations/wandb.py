"""A watched run in Weights & Biases, online or offline."""

from typing import Any, final

from unbend.integrations.extra import check_takes
from unbend.integrations.flat import flat
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot


@final
class WeightsAndBiases:
    """A sink that logs numbers to a run, and hands problems and warnings on as alerts.

    Numbers are logged under `unbend/step`, so that your own calls of `run.log` keep their own steps.

    Args:
        run: from `wandb.init`, yours to finish.

    Raises:
        DataError: it is something else, such as the name of a project.
    """

    def __init__(self, run: Any) -> None:
        check_takes(
            run,
            ("define_metric", "log", "alert"),
            what="WeightsAndBiases: expected a run",
            make="wandb.init(project=…)",
        )
        self._run = run

    def begin(self, about: AboutRun) -> None:
        """Say that our numbers have steps of their own."""
        self._run.define_metric("unbend/*", step_metric="unbend/step")
        self._run.summary["unbend/layers"] = [layer.name for layer in about.layers]

    def snapshot(self, snapshot: Snapshot) -> None:
        """Log its numbers."""
        self._run.log({**flat(snapshot), "unbend/step": snapshot.step})

    def event(self, event: RunEvent) -> None:
        """Keep it in the summary."""
        self._run.summary[f"unbend/events/{event.what}"] = f"step {event.step} {event.text}".strip()

    def finding(self, found: Occurrence) -> None:
        """Hand a problem or a warning on as an alert."""
        f = found.finding
        if f.severity in ("problem", "warning"):
            level = "ERROR" if f.severity == "problem" else "WARN"
            self._run.alert(title=f"unbend: {f.rule}", text=f"Step {found.step}: {f.title} {f.advice}", level=level)

    def end(self, history: RunHistory) -> None:
        """Log nothing more."""
