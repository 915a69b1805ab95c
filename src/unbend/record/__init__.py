"""Studies as files: saved, opened and merged, without the model and without running anything a file names."""

from unbend.record.file import opened, save
from unbend.study.merge import merge
from unbend.study.unknown import Unknown

open = opened  # noqa: A001  the public name is `unbend.open`

__all__ = ["Unknown", "merge", "open", "save"]
