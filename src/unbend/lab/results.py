"""What one run of a claim gave, and its file.

In: a claim and its result. Out: a `Run`, saved as one safetensors file that is written whole or not
at all, and read back only while it is what the claim would give again.
"""

import inspect
import json
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, get_type_hints

import safetensors

import unbend
from unbend._one_line import in_one_line
from unbend.errors import RecordError
from unbend.files import whole
from unbend.lab.claim import Budget, Claim, Verdict
from unbend.record.arrays import read_arrays, read_metadata, write_arrays
from unbend.record.schema import reachable
from unbend.record.tree import Stored, TreeReader, encode

Status = Literal["passed", "failed", "not run", "error"]
_FORMAT = "unbend lab run"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run of a claim's experiment.

    Attributes:
        claim: its name.
        seed: what chance began with.
        budget: how large the experiment was.
        status: whether every check passed, one failed, the data is missing, or the experiment broke down.
        reason: what to install, or what went wrong; empty for a run that came to an end.
        seconds: of processor time the experiment took.
        result: the measured numbers; None where there are none, or where they were left in the file.
        verdict: over the result.
        finding: one sentence filled from the numbers.
    """

    claim: str
    seed: int
    budget: Budget
    status: Status
    reason: str = ""
    seconds: float = 0.0
    result: Any = None
    verdict: Verdict | None = None
    finding: str = ""

    __repr__ = in_one_line

    @property
    def stem(self) -> str:
        """What its files are called, without their endings."""
        return stem(self.claim, self.budget, self.seed)


def stem(claim: str, budget: Budget, seed: int) -> str:
    """What the files of a run are called, without their endings."""
    return f"{claim}-{budget}-{seed}"


def source(claim: Claim) -> str:
    """The source of the module that holds a claim."""
    return inspect.getsource(sys.modules[claim.run.__module__])


def save(run: Run, claim: Claim, folder: Path) -> Path:
    """Write a run into a folder, and say where it is.

    Raises:
        RecordError: the result holds something that cannot be saved, or the file cannot be written.
    """
    stored = Stored()
    tree = json.dumps(encode(run, stored), allow_nan=False)
    path = folder / f"{run.stem}.safetensors"
    metadata = {"format": _FORMAT, "made by": _made_by(claim), "run": tree}
    with whole(path, "the run") as temporary:
        folder.mkdir(parents=True, exist_ok=True)
        write_arrays(stored.tensors, temporary, metadata)
    return path


def open_run(claim: Claim, budget: Budget, seed: int, folder: Path) -> Run | None:
    """A saved run, or None where there is none that the claim's present source and this unbend made."""
    path = folder / f"{stem(claim.name, budget, seed)}.safetensors"
    try:
        metadata = read_metadata(path)
        if (metadata.get("format"), metadata.get("made by")) != (_FORMAT, _made_by(claim)):
            return None
        known = reachable(Run, get_type_hints(claim.run).get("return", Any))
        return TreeReader(read_arrays(path), known).read(json.loads(metadata["run"]), "run")
    except (OSError, safetensors.SafetensorError, RecordError, ValueError, KeyError):
        return None


def _made_by(claim: Claim) -> str:
    """Whose work a run is: this version of unbend and this very source."""
    return f"{unbend.__version__} {blake2b(source(claim).encode(), digest_size=16).hexdigest()}"
