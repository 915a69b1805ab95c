"""Several yes/no labels per row: each read out by itself, with its own base rate, and never a regression on logits."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import unbend
from unbend.load import Data
from unbend.numerics.readout import Readout
from unbend.report.text import summary
from unbend.study.head import Head
from unbend.study.labels import MOST_LABELS

torch.set_num_threads(1)
N = 400
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.stack([X[:, 0] > 0, X[:, 1] > 1.0, X[:, 2] * X[:, 3] > 0], 1).float()


def net(k=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, k))


@pytest.fixture(scope="module")
def found():
    return unbend.study(net(), (X, Y), loss="bce")


@pytest.mark.parametrize("j", range(3))
def test_each_label_is_read_as_if_the_rows_had_no_other(found, j):
    alone = unbend.study(net(), (X, Y[:, j].long()), twin=False)
    for layer in alone.layers:
        one, among = layer.result(Readout), found[layer.name].result(Readout).labels[j]
        for name in ("held_out", "train", "majority", "balanced", "precision", "control_held_out", "p_value", "ridge"):
            assert getattr(one, name) == pytest.approx(getattr(among, name), abs=1e-12), name
        np.testing.assert_array_equal(one.confusion, among.confusion)


def test_scores_of_a_layer_are_averages_over_the_labels_with_their_base_rate(found):
    r = found["1"].result(Readout)
    assert r.held_out == pytest.approx(np.mean([each.held_out for each in r.labels]))
    held_out = found.sums.held_out["1"]["SampleState"].table()[1]
    share = held_out.mean(0)
    np.testing.assert_allclose([each.majority for each in r.labels], np.maximum(share, 1 - share))
    assert r.held_out_interval[0] < r.held_out < r.held_out_interval[1]
    assert 1 - r.unexplained.mean() == pytest.approx(r.held_out)


def test_the_network_itself_is_scored_by_the_labels_it_gets_right(found):
    head = found.result(Head)
    with torch.no_grad():
        right = ((net()(X) > 0) == (Y > 0)).double().mean(1)
    ids = found.sums.held_out["2"]["SampleState"].ids
    assert head.own == pytest.approx(float(right[torch.from_numpy(ids)].mean()))
    assert head.low < head.gain < head.high


def test_no_finding_takes_logits_for_a_regression(found):
    said = " ".join(f"{f.title} {f.evidence}" for f in found.findings)
    assert "R²" not in said
    assert found.about.task == "yes/no labels"
    assert found.about.notes[0] == "Each row has 3 labels of 0 or 1; they are read as 3 yes/no labels."


class Items(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return {"x": X[i], "labels": Y[i].numpy().astype(bool)}


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        return self.net(x)


FORMS = {
    "integers": (X, Y.long()), "booleans": (X, Y.bool().numpy()), "set": TensorDataset(X, Y),
    "loader": DataLoader(TensorDataset(X, Y), batch_size=64), "mappings": Items(), "Data": Data(X, Y),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_whatever_holds_them_they_are_the_same_labels(form, found):
    model = Named() if form == "mappings" else net()
    other = unbend.study(model, FORMS[form], twin=False, measures=["readout"])
    name = "net.1" if form == "mappings" else "1"
    assert other.about.task == "yes/no labels"
    assert other[name].result(Readout).held_out == found["1"].result(Readout).held_out


def test_asked_for_targets_they_are_targets():
    for how in ({"n_classes": 0}, {"loss": "mse"}):
        assert unbend.study(net(), (X, Y), twin=False, measures=["readout"], **how).about.task == "regression"


def test_shards_merge_to_the_whole_and_files_keep_every_label(tmp_path):
    held_out = (X[300:], Y[300:])
    whole, *shards = (
        unbend.study(net(), (X[a:b], Y[a:b]), held_out=held_out, twin=False)
        for a, b in ((0, 300), (0, 120), (120, 300))
    )
    merged = unbend.merge(*shards)
    unbend.save(merged, tmp_path / "a.unbend")
    again = unbend.open(tmp_path / "a.unbend")
    for study in (merged, again):
        mine, other = study["1"].result(Readout), whole["1"].result(Readout)
        assert [each.held_out for each in mine.labels] == pytest.approx([each.held_out for each in other.labels])
    change = unbend.compare(whole, again)
    assert np.abs(change.change).max() == pytest.approx(0, abs=1e-12)
    assert change.is_paired.all()


def test_a_page_shows_every_label_by_its_name(found, tmp_path):
    named = unbend.study(net(), Data(X, Y, class_names=("left", "high", "<b>odd")), twin=False)
    assert named.about.label_names == ("left", "high", "<b>odd")
    page = unbend.report(named, tmp_path / "p.html")
    assert "left" in page
    assert "&lt;b&gt;odd" in page
    assert {"held-out", "base rate"} <= summary(found)[1].numbers.keys()


def test_a_label_that_is_never_yes_costs_nothing():
    y = torch.cat([Y, torch.zeros(N, 1)], 1)
    r = unbend.study(net(4), (X, y), twin=False)["1"].result(Readout)
    assert r.labels[3].held_out == r.labels[3].majority == 1.0


def test_more_labels_than_are_read_out_are_told():
    y = (torch.rand(N, MOST_LABELS + 1, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    told = unbend.study(net(), (X, y), twin=False, measures=["moments"])
    assert told.about.task == "no labels"
    assert "more than the 128 that are read out" in told.about.notes[0]
