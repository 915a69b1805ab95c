"""The page of a study, and what it says in plain text."""

from unbend.report import layers, whole  # noqa: F401  they register their sections
from unbend.report.page import report
from unbend.report.sections import Picture, Place, Section, Table, section
from unbend.report.text import Number, Row, headline, summary

__all__ = ["Number", "Picture", "Place", "Row", "Section", "Table", "headline", "report", "section", "summary"]
