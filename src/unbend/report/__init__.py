"""The page of a study, and what it says in plain text."""

from unbend.report import (  # noqa: F401  each registers its section
    activity,
    centroids,
    collapse,
    depth,
    gradient,
    histogram,
    ladder,
    moments,
    planes,
    probe,
    readout,
    scatter,
    similarity,
    spectrum,
    worth,
)
from unbend.report.page import report
from unbend.report.sections import Picture, Place, Section, Table, section
from unbend.report.text import Number, Row, headline, summary

__all__ = ["Number", "Picture", "Place", "Row", "Section", "Table", "headline", "report", "section", "summary"]

from unbend._callable import callable_package

callable_package(__name__, "unbend.report.page:report")
