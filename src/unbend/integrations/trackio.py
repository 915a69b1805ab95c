"""A watched run in trackio."""

from typing import Any, final

from unbend.integrations.extra import check_takes, library
from unbend.integrations.flat import flat
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot


@final
class Trackio:
    """A sink that logs numbers to a run, and hands problems and warnings on as alerts.

    Args:
        run: from `trackio.init`, yours to finish.

    Raises:
        DataError: it is something else, such as the name of a project.
    """

    def __init__(self, run: Any) -> None:
        check_takes(run, ("log", "alert"), what="Trackio: expected a run", make="trackio.init(project=…)")
        self._run = run

    def begin(self, about: AboutRun) -> None:
        """Log nothing."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Log its numbers."""
        self._run.log(flat(snapshot), step=snapshot.step)

    def event(self, event: RunEvent) -> None:
        """Log nothing: trackio has no events."""

    def finding(self, found: Occurrence) -> None:
        """Hand a problem or a warning on as an alert."""
        f = found.finding
        if f.severity in ("problem", "warning"):
            levels = library("trackio", "trackio").AlertLevel
            level = levels.ERROR if f.severity == "problem" else levels.WARN
            text = f"Step {found.step}: {f.title} {f.advice}"
            self._run.alert(title=f"unbend: {f.rule}", text=text, level=level, step=found.step)

    def end(self, history: RunHistory) -> None:
        """Log nothing more."""
