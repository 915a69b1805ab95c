"""The shape of layers: matrices are told from bends, a bottleneck from room, and a model is like itself."""

import explained as nets
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.plot.shape import scales
from unbend.report.shape import shape_page, shape_sentences


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def test_affine_layers_are_matrices_and_bends_are_not():
    net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2), nn.ReLU(), nn.Linear(2, 3))
    found = unbend.shape(net, nets.rows(1200))
    r2 = dict(zip(found.layers, found.affine_r2, strict=True))
    assert np.isnan(r2["input"])
    assert all(r2[name] == pytest.approx(1, abs=1e-6) for name in ("0", "2", "4"))
    assert r2["3"] < 0.999
    assert r2["1"] < 0.999


def test_a_layer_of_two_units_has_two_dimensions_at_most():
    net = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3))
    found = unbend.shape(net, nets.rows(1500))
    value = {name: one.value for name, one in zip(found.layers, found.dimensions, strict=True)}
    assert value["input"] > 3
    assert value["0"] < 2.3
    assert value["2"] < 2.4
    assert found.cka[1, 2] == found.cka[2, 1]


def test_a_model_is_like_itself_turned_and_unlike_a_random_one():
    net = zoo.mlp([4, 16, 16, 3], seed=0)
    same = unbend.shape(net, nets.rows(600), other=net)
    assert np.diag(same.cka_between[1:]) == pytest.approx(np.ones(len(same.others)))
    assert same.others == same.layers[1:]
    assert "Most alike" in shape_sentences(same)[-1]


def ring_and_pairs():
    """A ring of 300 rows, two far discs of 200 together, three rows: one class each."""
    angle = 2 * torch.pi * torch.rand(300)
    ring = torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(300, 2)
    discs = 0.1 * torch.randn(200, 2) + torch.tensor([[5.0, 0.0], [9.0, 9.0]]).repeat(100, 1)
    x = torch.cat([ring, discs, torch.randn(3, 2)])
    return (x, torch.tensor([1] * 300 + [0] * 200 + [2] * 3)), (x[::5], torch.tensor([1] * 60 + [0] * 41))


def test_pieces_and_holes_of_every_class_the_largest_first():
    pytest.importorskip("ripser")
    rows, held_out = ring_and_pairs()
    found = unbend.shape(zoo.mlp([2, 8, 3], seed=0), rows, held_out=held_out, topology=True).topology
    assert found is not None
    assert (found.classes, found.left_out) == (("1", "0"), ("2",))
    assert found.n.tolist() == [300, 200]
    assert found.pieces[0].tolist() == [1, 2]
    assert found.holes[0].tolist() == [1, 0]
    assert found.pieces.shape == found.holes.shape == (4, 2)


def test_classes_for_which_there_is_no_time_are_named():
    pytest.importorskip("ripser")
    rows, held_out = ring_and_pairs()
    found = unbend.shape(zoo.mlp([2, 8, 3], seed=0), rows, held_out=held_out, topology=True, budget=0.0)
    assert (found.topology.classes, found.topology.left_out) == (("1",), ("0", "2"))
    assert "Left out, for want of time or of rows: `0`, `2`" in shape_sentences(found)[-1]
    assert "Pieces and holes" in shape_page(found, title="t")


def test_rows_without_classes_are_one_cloud():
    pytest.importorskip("ripser")
    (x, _), _ = ring_and_pairs()
    found = unbend.shape(zoo.mlp([2, 8, 1], seed=0), (x[:300], x[:300, 0] ** 2), topology=True)
    assert found.topology.classes == ("all rows",)
    assert (found.topology.pieces[0, 0], found.topology.holes[0, 0]) == (1, 1)


def test_the_scale_curve_of_every_layer_is_drawn():
    found = unbend.shape(zoo.mlp([4, 16, 16, 3], seed=0), nets.rows(400))
    axes = Figure().subplots()
    scales(axes, found, most=3)
    assert len(axes.lines) == len(found.layers) == 6
    for line, one in zip(axes.lines, found.dimensions, strict=True):
        np.testing.assert_array_equal(np.asarray(line.get_xydata()), np.stack([one.curve_n, one.curve], 1))
    assert len(axes.get_legend().get_texts()) == 3


@pytest.mark.parametrize(
    ("build", "samples"), [(nets.Words, nets.words), (nets.ConvolutionalHead, nets.images), (nets.Mapping, nets.rows)]
)
def test_every_kind_of_network_has_a_shape_and_a_page(build, samples):
    found = unbend.shape(build(), samples())
    assert found.cka.shape == (len(found.layers),) * 2
    assert shape_page(found, title="<t>").count("<svg") == 4


def test_the_command_tells_the_dimension_and_writes_the_page(folder, run):
    told = run("shape", "net.py:model", "data.npz", "--other", "net.py:model", "-o", "out.html")
    assert "dimensions in input" in told
    assert (folder / "out.html").read_text(encoding="utf-8").count("<svg") == 5
