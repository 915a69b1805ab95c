"""A Result across layers, registered in one file, shows up in the study, the record and the page without an edit."""

import pytest
import torch
from torch import nn

import unbend
from unbend._one_line import LONGEST
from unbend.numerics.moments import Moments
from unbend.numerics.result import result
from unbend.record.schema import classes
from unbend.study.across import ACROSS, across

torch.set_num_threads(1)


@result
class Loudness:
    """How loud the whole network gets.

    Attributes:
        peak: largest root mean square of a layer.
        layer: the layer that has it.
    """

    peak: float
    layer: str


@pytest.fixture
def loudness():
    before = dict(ACROSS)

    @across("loudness", Loudness, title="How loud it gets")
    def loudness(layers, sums):
        peak, name = max((layer.result(Moments).rms, layer.name) for layer in layers)
        return Loudness(peak=peak, layer=name)

    yield "loudness"
    ACROSS.clear()
    ACROSS.update(before)


def made(**settings):
    torch.manual_seed(0)
    x = torch.randn(120, 4)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    return unbend.study(net, (x, (x[:, 0] > 0).long()), twin=False, **settings)


def test_a_toy_result_across_layers_shows_up_everywhere(loudness, tmp_path):
    study = made()
    found = study.result(Loudness)
    assert found is study.across[loudness]
    assert found.peak == max(layer.result(Moments).rms for layer in study.layers)

    unbend.save(study, tmp_path / "toy.unbend")
    opened = unbend.open(tmp_path / "toy.unbend").result(Loudness)
    assert (opened.peak, opened.layer) == (found.peak, found.layer)

    page = unbend.report(study)
    assert "How loud it gets" in page
    assert f"{found.peak:.3g}" in page


def test_a_result_that_is_not_there_is_none():
    study = made(measures=["moments"])
    assert study.result(Loudness) is None
    assert study["0"].result(Loudness) is None
    assert study["0"].baseline(Moments) is None


def test_studies_layers_and_results_say_themselves_in_one_line():
    study = made()
    everything = [study, *study.layers, *study.findings, *study.across.values(), study.about, study.sums]
    everything += [each for layer in study.layers for each in layer.results.values()]
    everything += [state for states in study.sums.train.values() for state in states.values()]
    told = [repr(one) for one in everything]
    assert all(len(text) <= LONGEST and "\n" not in text for text in told)
    assert repr(study).startswith("Study(model='Sequential', data='data'")
    assert {"Readout", "Depth", "Ladder", "Projections"} <= classes().keys()
