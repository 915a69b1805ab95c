"""The course: twelve lessons on hidden layers, each with code that runs and numbers that come from it.

In: the lessons, which are Markdown files of this package. Out: a site that opens offline, notebooks, plain Markdown.
Must not know the lab; a lesson uses only unbend's public names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the list of lessons is asked for without torch
    from unbend.learn.running import MeasuredLesson, run
    from unbend.learn.site import write
    from unbend.learn.source import Lesson, lesson, lessons

_HOME = {
    "Lesson": "source", "MeasuredLesson": "running", "lesson": "source", "lessons": "source", "run": "running",
    "write": "site",
}  # fmt: skip
__all__ = ["Lesson", "MeasuredLesson", "lesson", "lessons", "run", "write"]


def __getattr__(name: str) -> Any:
    """The public name, from the module that holds it."""
    if name in _HOME:
        return getattr(import_module(f"unbend.learn.{_HOME[name]}"), name)
    message = f"module 'unbend.learn' has no attribute {name!r}"
    raise AttributeError(message)
