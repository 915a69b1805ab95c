"""A flow ends where the net does, an affine step is the layer's own, and lines lie where first units are zero."""

import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.errors import DataError, LayerError, LoadError, ModelError, ShapeError
from unbend.explain.flow import grid
from unbend.explain.lines import first_lines
from unbend.numerics.polar import polar
from unbend.report.flow import flow_page, lines_pictures

numbers = st.floats(-3, 3).map(lambda value: round(value, 3))


def moons(n=40):
    data = zoo.data("moons", n=n, seed=0)
    return data.x_train, data.y_train


def drawn(result, i):
    axes = Figure().subplots()
    unbend.plot.flow(axes, result, i)
    return axes


@given(arrays(np.float64, (2, 2), elements=numbers))
def test_a_part_of_a_map_goes_from_nothing_to_all_of_it(weight):
    np.testing.assert_allclose(polar(weight).part(0.0), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(polar(weight).part(1.0), weight, atol=1e-9)


@given(arrays(np.float64, (2, 2), elements=numbers), st.floats(0, 1))
def test_no_part_of_a_map_collapses_but_where_it_mirrors_or_collapses_itself(weight, share):
    part = np.linalg.det(polar(weight).part(share))
    assert np.linalg.det(weight) <= 1e-9 or part > 0


def test_a_flow_passes_every_layer_and_its_frames_begin_and_end_at_the_ends():
    net = zoo.mlp([2, 2, 2, 1], activation="tanh", seed=0).double()
    x = np.random.default_rng(0).normal(size=(20, 2))
    lines = grid((-2, -2), (2, 2), n_lines=3, n_points=4)
    found = unbend.flow(net, x, np.arange(20) % 2, lines=lines)
    assert found.names == ("input", "0 affine", "1 Tanh", "2 affine", "3 Tanh", "4 affine")
    assert found.is_affine == (True, False, True, False, True)
    np.testing.assert_array_equal(found.points[0], x)
    np.testing.assert_allclose(found.points[4], net[:4](torch.from_numpy(x)).detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(found.points[5, :, 0], net(torch.from_numpy(x)).detach().numpy()[:, 0], atol=1e-12)
    np.testing.assert_array_equal(found.lines[0], lines)
    np.testing.assert_array_equal(found.weights[0], net[0].weight.detach().numpy())
    for i, stage in ((0, 0), (unbend.plot.n_flow_frames(found) - 1, -1)):
        np.testing.assert_allclose(drawn(found, i).lines[0].get_xydata(), found.points[stage][found.y == 0], atol=1e-9)


def test_lines_stay_lines_in_affine_steps_and_bend_in_an_activation():
    x, y = moons()
    found = unbend.flow(zoo.mlp([2, 2, 2], activation="relu", seed=1), x, y, layers=["0", "1"])

    def off(lines):
        along = lines[:, -1] - lines[:, 0]
        way = lines - lines[:, :1]
        return np.abs(way[..., 0] * along[:, None, 1] - way[..., 1] * along[:, None, 0]).max()

    assert off(found.lines[1]) < 1e-5
    assert off(found.lines[2]) > 0.1


def test_wide_stages_stand_in_their_plane_of_most_variance_turned_towards_the_one_before():
    x, y = moons()
    found = unbend.flow(zoo.mlp([2, 16, 16, 2], norm="batch", seed=0), x, y)
    assert found.is_affine == (True, True, False, True, True, False, True)
    assert found.shown[:3] == pytest.approx(1)
    assert found.shown[3] < 1
    for before, after, share in zip(found.points[:-2], found.points[1:-1], found.shown[1:-1], strict=True):
        assert np.linalg.det(after.T @ after) > 0
        turned = (after - after.mean(0)).T @ (before - before.mean(0))
        np.testing.assert_allclose(turned, turned.T, atol=1e-6 * np.abs(turned).max())
        assert 0 < share <= 1 + 1e-12
    # The plane of two inputs is mapped to the plane of the first layer by one matrix, which the film follows.
    moved = found.points[0] @ found.weights[0].T + found.biases[0]
    np.testing.assert_allclose(moved, found.points[1], atol=1e-5)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.head((h + torch.relu(self.second(h))).mean((2, 3)))


def test_a_residual_cnn_flows_over_its_taps_and_has_no_grid():
    x = torch.randn(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    net = Residual()
    found = unbend.flow(net, x, torch.arange(12) % 3)
    assert not found.lines.size
    assert found.names[0] == "input"
    assert "second affine" in found.names
    assert found.points.shape == (len(found.names), 12, 2)
    page = flow_page(found, title="<t>")
    assert page.count("<svg") == len(found.names)
    assert page.count('"view":"flow"') == 1
    assert "<t>" not in page


def test_a_network_of_one_layer_is_one_step():
    found = unbend.flow(nn.Linear(2, 2), *moons())
    assert found.is_affine == (True,)
    assert found.names == ("input", "output affine")


def test_what_cannot_flow_is_told_in_one_sentence():
    x, y = moons()
    net = zoo.mlp([2, 3, 1], seed=0)
    with pytest.raises(ShapeError, match="y: expected 12 class numbers"):
        unbend.flow(net, x[:12], y[:3])
    with pytest.raises(DataError, match="two rows"):
        unbend.flow(net, x[:1])
    with pytest.raises(LayerError, match="no layer"):
        unbend.flow(net, x, layers=["nine"])
    net[0].weight.data[0, 0] = torch.nan
    with pytest.raises(DataError, match="not finite"):
        unbend.flow(net, x, y)


class HeadFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(2, 3), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


def test_the_first_layer_is_found_by_running_the_network_not_by_its_place_in_the_list():
    net = HeadFirst()
    found = first_lines(net)
    assert found.layer == "body"
    np.testing.assert_array_equal(found.weight, net.body.weight.detach().double().numpy())


def test_lines_of_another_time_come_from_a_state_dict_or_a_file(tmp_path):
    net = zoo.mlp([2, 3, 2], seed=0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.save(before, tmp_path / "before.pt")
    net[0].weight.data += 1
    now = first_lines(net)
    for other in (before, tmp_path / "before.pt", str(tmp_path / "before.pt")):
        np.testing.assert_allclose(first_lines(net, other).weight, now.weight - 1, atol=1e-6)
    np.testing.assert_array_equal(first_lines(net).weight, now.weight)
    with pytest.raises(LoadError, match="do not fit"):
        first_lines(net, {"0.weight": before["0.weight"]})


@pytest.mark.usefixtures("unchecked")
def test_a_module_in_place_of_weights_is_told():
    net = zoo.mlp([2, 3, 2], seed=0)
    with pytest.raises(LoadError, match=r"got Sequential\. Pass net\.state_dict\(\)"):
        first_lines(net, net)


@pytest.mark.parametrize("net", [zoo.mlp([3, 2], seed=0), nn.Conv1d(2, 2, 1)])
def test_lines_need_two_inputs(net):
    with pytest.raises(ModelError, match="two inputs"):
        first_lines(net)


def test_hidden_lines_are_drawn_where_units_are_zero_before_and_after():
    x, y = moons()
    net = zoo.xor_relu()
    axes = unbend.plot.hidden_lines(net, x, y)
    lines = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert len(lines) == 2
    for line, bias in zip(lines, (0.0, -1.0), strict=True):
        np.testing.assert_allclose(np.asarray(line.get_xydata()).sum(1) + bias, 0, atol=1e-9)
    figure = unbend.plot.hidden_lines_grid(net, {"before": zoo.xor_relu().state_dict(), "now": None}, x, y)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["before", "now"]
    frames = list(unbend.plot.hidden_lines_film(net, {"step 0": None, "step 1": None}, x, y))
    assert len(frames) == 2
    assert frames[0].shape == frames[1].shape
    assert not np.array_equal(frames[0], frames[1])
    assert lines_pictures(net, {"now": None}, x, y)[0].svg.count("<svg") == 1


def test_the_command_tells_the_steps_and_draws_the_lines_of_other_times(tmp_path, monkeypatch, capsys):
    x, y = moons(80)
    np.savez(tmp_path / "moons.npz", x=x.numpy(), y=y.numpy())
    torch.save(zoo.mlp([2, 2, 2], seed=5).state_dict(), tmp_path / "before.pt")
    (tmp_path / "net.py").write_text("from unbend import zoo\nmodel = zoo.mlp([2, 2, 2], seed=0)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    main = import_module("unbend.cli").main
    words = ["flow", "net.py:model", "moons.npz", "--no-film", "--rows", "30"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--checkpoint", "before.pt", "-o", "out.html"])
    assert not left.value.code
    assert "30 rows through 3 steps: 2 affine" in capsys.readouterr().out
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4 + 2
    assert "before" in page
    with pytest.raises(SystemExit) as left:
        main([*words, "--checkpoint", "moons.npz", "-o", "other.html"])
    assert left.value.code == 2
    assert "expected weights in one of" in capsys.readouterr().err
    assert not (tmp_path / "other.html").exists()
