from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend.errors import DataError
from unbend.numerics.probe import ProbeRecipe, probe
from unbend.report import probe as _page  # noqa: F401  registers its section
from unbend.report.sections import Place, section
from unbend.study.probes import Probing
from unbend.study.tables import collect

QUICK = ProbeRecipe(l2=(1e-1, 1e-2, 1e-3))


class Rows:
    """What `Tables` is: layer after layer."""

    def __init__(self, layers, y):
        self.layers, self.y = layers, y

    def __iter__(self):
        return ((name, np.arange(len(self.y)), h, self.y) for name, h in self.layers.items())


def probed(rows, held_out, **more):
    return collect(rows, {"probes": Probing(held_out, QUICK)}, **more)["probes"]


@pytest.fixture(scope="module")
def told():
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (900,), generator=generator)
    noise = torch.randn(900, 6, generator=generator)
    clear = torch.cat([noise[:, :2], 4.0 * nn.functional.one_hot(y, 3) + noise[:, 3:]], 1)
    layers = {"input": noise, "0": clear, "1": clear.relu()}
    rows = Rows({name: h[:600] for name, h in layers.items()}, y[:600])
    held = {name: (h[600:], y[600:]) for name, h in layers.items()}
    return rows, held, probed(rows, held)


def test_layers_taken_one_by_one_are_probed_like_all_at_once(told):
    rows, held, found = told
    whole = probe(rows.layers, rows.y, test=({name: h for name, (h, _) in held.items()}, rows_of(held)), recipe=QUICK)
    assert list(found.layers) == list(whole.layers)
    assert (found.n, found.n_test) == (600, 300)
    for name, mine in found.layers.items():
        same = whole.layers[name]
        assert mine.l2 == same.l2
        assert np.array_equal(mine.right, same.right)
        assert mine.control.selectivity.difference == same.control.selectivity.difference
        assert np.allclose(mine.weight, same.weight)


def rows_of(held):
    return next(iter(held.values()))[1]


def test_what_a_layer_tells_is_told_beside_its_controls(told):
    *_, found = told
    assert found.layers["0"].accuracy > 0.9
    assert found.layers["input"].accuracy < 0.5
    assert found.difference("0", "input").low > 0.4
    assert found.layers["0"].optimality.is_converged
    assert found.layers["0"].control.selectivity.low > 0.2
    assert found.layers["input"].control.capacity < 0.6


def test_layers_without_held_out_rows_are_passed_over_and_some_are_needed(told):
    rows, held, _ = told
    done = []
    assert list(probed(rows, {"1": held["1"]}, tick=done.append).layers) == ["1"]
    assert done == ["probes"] * 3
    with pytest.raises(DataError, match="no rows are held out"):
        probed(rows, {})
    with pytest.raises(DataError, match="targets are numbers"):
        probed(Rows(rows.layers, rows.y.double()), held)


def test_the_page_shows_accuracy_gain_selectivity_and_certificate(told):
    *_, found = told
    shown = section(found, Place(labels={"0": "0 Linear"}))
    (picture,) = shown.pictures
    assert picture.view == "probes"
    assert len(picture.data["accuracy"]) == len(found.layers)
    layer, accuracy, interval, gain, *_ = picture.table.rows[1]
    assert layer == "0 Linear"
    assert accuracy == f"{100 * found.layers['0'].accuracy:.1f} %"
    assert gain.startswith(f"{100 * found.difference('0', 'input').difference:+.1f} (")
    assert " to " in interval
    assert picture.table.rows[0][3] == ""
    assert len({len(row) for row in picture.table.rows} | {len(picture.table.head)}) == 1


def test_probes_are_saved_with_a_study(told, tmp_path):
    *_, found = told
    saved = unbend.study(nn.Sequential(nn.Linear(4, 3)), (torch.randn(40, 4), torch.arange(40) % 3), twin=False)
    saved.across["probes"] = found
    unbend.save(saved, tmp_path / "s.unbend")
    again = unbend.open(tmp_path / "s.unbend").across["probes"]
    assert again.layers["1"].accuracy == found.layers["1"].accuracy
    assert np.array_equal(again.layers["1"].weight, found.layers["1"].weight)
    assert again.difference("1", "0").n == 300


def test_a_study_probes_every_layer_when_asked(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 4, generator=generator)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    found = unbend.study(net, (x, (x[:, 0] * x[:, 1] > 0).long()), twin=False, probes=True, rows=150)
    probes = found.across["probes"]
    assert list(probes.layers) == [layer.name for layer in found.layers]
    assert probes.n == found.about.n_train
    assert probes.n_test == min(150, found.about.n_held_out)
    assert "What the best linear reader reads" in unbend.report(found)


class Counting(nn.Sequential):
    """Counts how often it is run, for the class: what a model keeps is put back after every pass."""

    runs: ClassVar = []

    def forward(self, x):
        self.runs.append(len(x))
        return super().forward(x)


def test_proofs_and_probes_together_collect_the_rows_once():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 4, generator=generator)
    y = (x[:, 0] * x[:, 1] > 0).long()
    net = Counting(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    runs, found = {}, {}
    for asked in ((), ("proofs",), ("probes",), ("proofs", "probes")):
        net.runs.clear()
        phases = {}
        found[asked] = unbend.study(
            net, (x, y), twin=False, batch_size=100, budget=1.0, **dict.fromkeys(asked, True),
            progress=lambda phase, done, total, phases=phases: phases.update({phase: (done, total)}),
        ).across  # fmt: skip
        runs[asked] = len(net.runs)
        assert all(phases[phase] == (4, 4) for phase in ("Proving separability", "Fitting probes") if phase in phases)
        assert len(phases.keys() & {"Proving separability", "Fitting probes"}) == len(asked)
    assert runs["proofs",] == runs["probes",] == runs["proofs", "probes"] == runs[()] + 4
    both = found["proofs", "probes"]
    assert both["ladder"].layers == found["proofs",]["ladder"].layers
    np.testing.assert_array_equal(both["ladder"].ids, found["proofs",]["ladder"].ids)
    assert [type(step.verdict) for step in both["ladder"].steps] == [
        type(step.verdict) for step in found["proofs",]["ladder"].steps
    ]
    for name, one in found["probes",]["probes"].layers.items():
        np.testing.assert_array_equal(both["probes"].layers[name].weight, one.weight)


@pytest.mark.parametrize("asked", ["proofs", "probes"])
def test_a_regression_has_neither(asked):
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(DataError, match=f"{asked}: the targets are numbers"):
        unbend.study(nn.Sequential(nn.Linear(3, 1)), (x, x[:, :1]), twin=False, **{asked: True})
