"""Directions and steering: algebra of directions, and a planted direction that the output obeys."""

import explained as nets
import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend import zoo
from unbend.capture import representations
from unbend.errors import DataError, LayerError, RecordError, ShapeError
from unbend.numerics.centroids import Centroids
from unbend.numerics.direction import mean_direction
from unbend.record.directions import open_directions, save_directions
from unbend.report.steering import steering_page, steering_sentences


@pytest.fixture(scope="module")
def trained():
    x, y = nets.rows(900)
    x = x + 2 * nn.functional.one_hot(y, 4)
    net = zoo.mlp([4, 16, 3], seed=0)
    zoo.train(net, x, y, zoo.Recipe(80, rate=0.02))
    return net, x, y


def test_a_direction_leads_from_the_mean_of_all_others_to_that_of_the_class():
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((300, 5)), generator.integers(0, 3, 300)
    x[y == 1] += 3
    means = Centroids(n=np.bincount(y), mean=np.stack([x[y == c].mean(0) for c in range(3)]), selectivity=np.zeros(5))
    way = mean_direction(means, 1, layer="0", name="one")
    assert way.origin + way.step == pytest.approx(x[y == 1].mean(0))
    assert way.origin == pytest.approx(x[y != 1].mean(0))
    assert np.linalg.norm(way.vector) == pytest.approx(1)
    along = way.project(torch.from_numpy(x)).numpy()
    assert along[y == 1].mean() == pytest.approx(1)
    assert along[y != 1].mean() == pytest.approx(0, abs=1e-9)
    assert way.cosine(way) == pytest.approx(1)
    assert abs(way.cosine(way.random(3))) < 1
    assert way.random(3).length == way.length
    with pytest.raises(ShapeError, match="5 numbers"):
        way.project(torch.zeros(2, 4))
    with pytest.raises(DataError, match="class from 0 to 2"):
        mean_direction(means, 3, layer="0", name="")


def test_a_study_gives_directions_by_class_and_they_are_saved_to_the_last_bit(trained, tmp_path):
    net, x, y = trained
    found = unbend.study(net, (x, y), twin=False)
    way, read = found.direction("1", 2), found.direction("1", "2", kind="readout")
    h = representations(net, x, layers=["1"])["1"]
    assert way.project(h)[y == 2].mean() == pytest.approx(1, abs=0.05)
    assert read.project(h)[y == 2].mean() > read.project(h)[y != 2].mean()
    assert way.cosine(read) > 0
    save_directions([way, read], tmp_path / "two.safetensors")
    for a, b in zip(open_directions(tmp_path / "two.safetensors"), (way, read), strict=True):
        assert np.array_equal(a.vector, b.vector)
        assert np.array_equal(a.origin, b.origin)
        assert (a.layer, a.name, a.kind, a.length) == (b.layer, b.name, b.kind, b.length)
    with pytest.raises(RecordError, match="cannot be read as directions"):
        open_directions(tmp_path / "none.safetensors")
    with pytest.raises(DataError, match="no class 'nine'"):
        found.direction("1", "nine")
    with pytest.raises(LayerError):
        found.direction("9", 1)


def test_the_output_obeys_a_class_direction_and_not_a_random_one(trained):
    net, x, y = trained
    found = unbend.steer(net, ((x, y), (x, y)), 1)
    assert [one.direction.layer for one in found] == ["0", "1"]
    for one in found:
        zero = one.strengths.tolist().index(0.0)
        assert one.n == pytest.approx(500 * 2 / 3, abs=50)  # of 500 held-out rows those of other classes
        assert one.called[-1] > 0.9
        assert one.effect > 0.5
        assert one.score[-1] > one.score[zero] > one.score[0]
        assert np.all(one.random_called[:, zero] == one.called[zero])
    assert "works most in" in steering_sentences(found)[1]


def test_steering_is_what_adding_by_a_hook_does(trained):
    net, x, y = trained
    (one,) = unbend.steer(net, ((x, y), (x[:200], y[:200])), 1, layers=["1"], strengths=[0.7], n_random=0)
    with unbend.adding(net, {"1": 0.7 * one.direction.step}), torch.no_grad():
        told = net(x[:200][y[:200] != 1]).argmax(1)
    assert one.called[-1] == pytest.approx(float((told == 1).double().mean()))
    with torch.no_grad():
        assert float((net(x).argmax(1) == y).double().mean()) > 0.95  # the hooks are gone


def test_a_layer_that_nobody_reads_cannot_be_steered():
    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.side, self.head = nn.Linear(4, 8), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x) + 0 * self.side(x).sum(1, keepdim=True)

    x, y = nets.rows(300)
    found = unbend.steer(Deaf(), (x, y), 0, layers=["side"])
    assert found[0].effect == 0
    assert "In no layer" in steering_sentences(found)[1]


@pytest.mark.parametrize(
    ("build", "samples"), [(nets.Words, nets.words), (nets.ConvolutionalHead, nets.images), (nets.Mapping, nets.rows)]
)
def test_every_kind_of_network_can_be_steered_and_shown(build, samples):
    found = unbend.steer(build(), samples(), 2, n_random=1, strengths=[1.0])
    assert found
    assert steering_page(found, title="<t>").count("<svg") == min(len(found), 24)


def test_given_directions_are_used_and_what_does_not_fit_is_refused(trained):
    net, x, y = trained
    way = unbend.study(net, (x, y), twin=False).direction("1", 2)
    (one,) = unbend.steer(net, (x, y), 2, directions={"1": way})
    assert one.direction is way
    with pytest.raises(DataError, match="no class 7"):
        unbend.steer(net, (x, y), 7)
    with pytest.raises(LayerError, match="no layer named '7'"), unbend.adding(net, {"7": np.zeros(3)}):
        pass


def test_the_command_steers_saves_and_takes_what_was_saved(folder, run):
    for more in (["--save", "ways.safetensors"], ["--directions", "ways.safetensors", "--strength", "3"]):
        told = run("steer", "1", "net.py:model", "data.npz", "-o", "out.html", *more)
        assert "the network calls that class then" in told
    assert (folder / "out.html").read_text(encoding="utf-8").count("<svg") == 2


class Recurrent(nn.Module):
    """Its output is read at the last step."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


@pytest.mark.parametrize("rule", ["last", "cls", "max", "mean"])
def test_a_direction_is_that_of_rows_as_they_are_read(rule):
    torch.manual_seed(0)
    x, y = nets.rows(120)
    steps = x[:, None] * torch.tensor([0.2, 1.0, -0.5])[:, None]
    net, parts = Recurrent(), ((steps, y), (steps, y))
    with torch.no_grad():
        h = net.cell(steps)[0].double()
    h = {"last": h[:, -1], "cls": h[:, 0], "max": h.amax(1), "mean": h.mean(1)}[rule]
    wanted = h[y == 1].mean(0) - h[y != 1].mean(0)
    study = unbend.study(net, parts, reduce=rule, twin=False, trials=False)
    (pushed,) = unbend.steer(net, parts, 1, reduce=rule, n_random=1)
    for way in (study.direction("cell", 1), pushed.direction):
        np.testing.assert_allclose(way.step, wanted, atol=1e-6)
    if rule == "last":
        with torch.no_grad():
            said = net.head((h[y != 1] + wanted).float()).argmax(1)
        at = pushed.strengths.tolist().index(1)
        assert pushed.called[at] == pytest.approx(float((said == 1).double().mean()))


def test_the_output_itself_is_not_steered(trained):
    net, x, y = trained
    with pytest.raises(LayerError, match="stands before the output"):
        unbend.steer(net, (x, y), 1, layers=["2"])


def test_directions_of_unlike_layers_and_models_are_compared_over_the_same_rows(trained):
    net, x, y = trained
    other = zoo.mlp([4, 24, 3], seed=1)
    zoo.train(other, x, y, zoo.Recipe(80, rate=0.02))
    ways, rows = [], []
    for model in (net, other):
        study = unbend.study(model, (x, y), twin=False, trials=False)
        ways.append([study.direction("1", label) for label in (1, 2)])
        rows.append(representations(model, x, layers=["1"])["1"])
    (own, away), (theirs, _) = ways
    with pytest.raises(ShapeError, match="16 units"):
        own.cosine(theirs)
    assert own.alike(rows[0], theirs, rows[1]) > 0.9  # to the same class, in layers of 16 and 24 units
    assert away.alike(rows[0], theirs, rows[1]) < 0
    places = [way.project(h).numpy() for way, h in ((own, rows[0]), (theirs, rows[1]))]
    assert own.alike(rows[0], theirs, rows[1]) == pytest.approx(np.corrcoef(*places)[0, 1], abs=1e-5)
    with pytest.raises(ShapeError, match="the same rows"):
        own.alike(rows[0], theirs, rows[1][:5])


def test_a_vector_for_channels_says_which_axis_it_needs():
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU())
    with unbend.adding(net, {"0": np.ones(6)}), pytest.raises(ShapeError, match="axis=1 for channels"):
        net(torch.zeros(2, 1, 8, 5))
