"""The course: twelve lessons on hidden layers, each with code that runs and numbers that come from it.

In: the lessons, which are Markdown files of this package. Out: a site that opens offline, notebooks, plain Markdown.
Must not know the lab; a lesson uses only unbend's public names.
"""

from typing import TYPE_CHECKING

from unbend._lazy import on_demand

if TYPE_CHECKING:  # the list of lessons is asked for without torch
    from unbend.learn.running import MeasuredLesson, run
    from unbend.learn.site import write
    from unbend.learn.source import Lesson, lesson, lessons

__all__ = ["Lesson", "MeasuredLesson", "lesson", "lessons", "run", "write"]

__getattr__ = on_demand(
    __name__,
    {"source": ("Lesson", "lesson", "lessons"), "running": ("MeasuredLesson", "run"), "site": ("write",)},
)
