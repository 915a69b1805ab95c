"""A measure in one file shows up in the study, the record, the page and the terminal without another edit."""

from dataclasses import dataclass

import pytest
import torch
from rich.console import Console
from torch import nn

import unbend
from unbend.cli.terminal import study_view
from unbend.numerics.batch import Batch
from unbend.numerics.state import MEASURES, measure
from unbend.report.text import summary
from unbend.study.study import study

torch.set_num_threads(1)


@dataclass(frozen=True, slots=True, eq=False)
class LoudestState:
    """The largest magnitude seen."""

    peak: float

    @classmethod
    def of(cls, batch: Batch) -> "LoudestState":
        return cls(float(batch.rows.abs().max()))

    @classmethod
    def empty(cls, width: int, n_targets: int) -> "LoudestState":
        return cls(0.0)

    def __add__(self, other: "LoudestState") -> "LoudestState":
        return LoudestState(max(self.peak, other.peak))


@dataclass(frozen=True, slots=True, eq=False)
class Loudest:
    """How loud a layer gets.

    Attributes:
        peak: largest magnitude of the rows.
    """

    peak: float


@pytest.fixture
def loudest():
    before = dict(MEASURES)

    @measure(LoudestState)
    def loudest(state: LoudestState) -> Loudest:
        return Loudest(state.peak)

    yield "loudest"
    MEASURES.clear()
    MEASURES.update(before)


def test_a_toy_measure_shows_up_everywhere(loudest, tmp_path):
    torch.manual_seed(0)
    x = torch.randn(120, 4)
    x[5, 2] = -77.25
    made = study(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), (x, (x[:, 0] > 0).long()), held_out=(
        x[:40], (x[:40, 0] > 0).long()), twin=False)  # fmt: skip

    assert [layer.results[loudest].peak > 0 for layer in made.layers] == [True] * 4
    assert made["input"].results[loudest].peak == 77.25

    unbend.save(made, tmp_path / "toy.unbend")
    opened = unbend.open(tmp_path / "toy.unbend")
    assert isinstance(opened["input"].results[loudest], Loudest)
    assert opened["input"].results[loudest].peak == 77.25
    assert isinstance(opened.sums.train["input"]["LoudestState"], LoudestState)

    unbend.report(made, tmp_path / "toy.html")
    page = (tmp_path / "toy.html").read_text()
    assert "loudest" in page.lower()
    assert "77.2" in page or "77.3" in page

    assert summary(made)[0].numbers["loudest.peak"].value == 77.25
    wide = Console(width=400, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    wide.print(study_view(made))
    wide.file.close()
    assert "loudest.peak" in wide.export_text()


def test_the_registry_is_as_it_was():
    assert "loudest" not in MEASURES
