"""How values show themselves in a notebook: the method they share. What draws them is imported when one is shown."""

from importlib import import_module
from typing import Any


def in_html(value: Any) -> str:
    """A Study, a Result or a Finding as a frame for notebooks; assign it as `_repr_html_`."""
    return import_module("unbend.report.notebook").framed(value)
