"""Whether this runs in a notebook, and how values show themselves there: the method they share.

In: IPython, where it has been imported. Out: HTML. What draws a value is imported when one is shown.
"""

import sys
from importlib import import_module
from typing import Any


def in_html(value: Any) -> str:
    """A Study, a Result or a Finding as a frame for notebooks; assign it as `_repr_html_`."""
    return import_module("unbend.report.notebook").frame(value)


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
