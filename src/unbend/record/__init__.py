"""Studies as files: saved and opened, without the model and without running anything a file names."""

from unbend.record.file import open, save  # noqa: A004  the public name is `unbend.open`
from unbend.study.unknown import Unknown

__all__ = ["Unknown", "open", "save"]
