"""A lesson, run: its code blocks one after the other, its figure, and its sentences with the measured numbers in them.

In: a `Lesson`. Out: a `MeasuredLesson` of plain texts and an SVG. Must not know pages.

A lesson's text names a number as `{{ expression:format }}`; what stands there on a page is what the code gave.
"""

import json
import re
from dataclasses import dataclass
from io import StringIO
from typing import Any

from cycler import cycler
from matplotlib import rc_context, rcdefaults
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from unbend._one_line import in_one_line
from unbend.errors import DataError, MissingExtraError
from unbend.learn.source import Lesson
from unbend.plot.style import BLUE, GREEN, ORANGE, PINK, RC, VERMILION, plain_powers
from unbend.plot.vector import compact
from unbend.zoo.randomness import seeded, threads

_COLOURS = cycler(color=[BLUE, ORANGE, GREEN, VERMILION, PINK])
_LETTERS = {
    "font.size": 10.0, "axes.labelsize": 10.0, "axes.titlesize": 10.5, "xtick.labelsize": 9.5, "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
}  # fmt: skip
"""A telephone shows a figure at two thirds of the size that a desk does."""
HOLE = re.compile(r"\{\{([^{}:]+)(?::([^{}]+))?\}\}")
"""A place for a number: an expression over the lesson's names, and how to print it."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A number to guess before it is shown.

    Attributes:
        ask: the question.
        low: the least guess that is offered.
        high: the largest.
        step: between two guesses.
        unit: what stands behind the number.
        answer: what the code gave.
    """

    ask: str
    low: float
    high: float
    step: float
    unit: str
    answer: float

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredLesson:
    """What a lesson's code gave.

    Attributes:
        lesson: the lesson.
        names: what its blocks defined.
        figure: the demonstration's figure as one SVG element, its colours those of the page.
        prediction: what was to be guessed, with the answer.
    """

    lesson: Lesson
    names: dict[str, Any]
    figure: str
    prediction: Prediction

    __repr__ = in_one_line

    def fill(self, text: str) -> str:
        """The text with the measured numbers where it names them."""
        return HOLE.sub(lambda hole: format(eval(hole[1].strip(), dict(self.names)), hole[2] or ""), text)

    def live(self, text: str) -> dict[str, Any]:
        """What a live figure is and starts from: its lines `key: expression`, evaluated over the lesson's names."""
        return {key: _plain(eval(value, dict(self.names))) for key, value in fields(text).items()}


def run(lesson: Lesson) -> MeasuredLesson:
    """Run all code of a lesson, the solutions of its exercises included.

    Torch's generator and thread count are afterwards as before.

    Args:
        lesson: from `unbend.learn.lesson`.

    Raises:
        DataError: a block that fails, such as a solution whose assertion does not hold.
        MissingExtraError: a package that the lesson needs is not installed.
    """
    names: dict[str, Any] = {"__name__": f"lesson_{lesson.name}"}
    with rc_context(), seeded(0), threads(1):
        rcdefaults()
        own = {"axes.prop_cycle": _COLOURS, "svg.fonttype": "none", "svg.hashsalt": lesson.name}
        with rc_context({**RC, **_LETTERS, **own}):
            for number, block in enumerate(lesson.code(), 1):
                _execute(lesson, number, block, names)
            figure = _draw(lesson, names.get("figure"))
    (asked,) = (part.text for part in lesson.section("Your prediction").parts if part.kind == "prediction")
    return MeasuredLesson(lesson, names, figure, _prediction(fields(asked), names))


def fields(text: str) -> dict[str, str]:
    """Lines of the form `key: value`."""
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines() if line)}


def _execute(lesson: Lesson, number: int, block: str, names: dict[str, Any]) -> None:
    try:
        exec(compile(block, f"{lesson.name}, block {number}", "exec"), names)  # noqa: S102  our own lessons
    except ImportError as error:
        raise MissingExtraError(
            f"{lesson.name}: needs the package {error.name}. Install it: pip install 'unbend[learn]'."
        ) from error
    except Exception as error:
        raise DataError(f"{lesson.name}, block {number}: {type(error).__name__}: {error}") from error


def _prediction(words: dict[str, str], names: dict[str, Any]) -> Prediction:
    return Prediction(
        words["ask"], float(words["low"]), float(words["high"]), float(words.get("step", "1")), words.get("unit", ""),
        float(eval(words["answer"], dict(names))),
    )  # fmt: skip


def _draw(lesson: Lesson, figure: Any) -> str:
    if not isinstance(figure, Figure):
        raise DataError(f"{lesson.name}: expected the demonstration to leave a matplotlib Figure named figure.")
    figure.patch.set_visible(False)
    plain_powers(figure)
    text = StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    return compact(text.getvalue(), f"Figure of the lesson: {lesson.title}")


def _plain(value: Any) -> Any:
    """Numbers as JSON knows them."""
    return json.loads(json.dumps(value.tolist() if hasattr(value, "tolist") else value))
