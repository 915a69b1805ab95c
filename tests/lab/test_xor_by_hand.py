"""The hand-written nets give XOR, and other weights do not."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import xor_by_hand as claim


@pytest.mark.parametrize(
    ("name", "layer", "changed"),
    [
        ("xor_relu", 0, "ReLU net: largest |output - XOR|"),
        ("xor_sigmoid", 2, "sigmoid net: largest |output - (.00715, .99236, .99236, .00715)|"),
    ],
)
def test_a_changed_bias_is_noticed(monkeypatch, name, layer, changed):
    honest = getattr(zoo, name)

    def wrong(*arguments):
        net = honest(*arguments)
        with torch.no_grad():
            net[layer].bias += 0.25
        return net

    monkeypatch.setattr(zoo, name, wrong)
    assert changed in claim.holds(claim.run()).failed


def test_the_wrong_activation_is_noticed(monkeypatch):
    honest = zoo.xor_relu
    monkeypatch.setattr(
        zoo, "xor_relu", lambda: torch.nn.Sequential(honest()[0], torch.nn.Identity(), honest()[2]).eval()
    )
    assert not claim.holds(claim.run()).passed


def test_the_weights_in_the_result_give_the_outputs():
    result = claim.run()
    for row, function, outputs in ((0, claim.relu, result.relu), (1, claim.logistic, result.sigmoid)):
        np.testing.assert_allclose(claim.of_net(result, row, function, result.x), outputs, atol=1e-15)


def test_pictures_have_their_labels():
    figure = Figure()
    claim.draw(claim.run(), figure)
    assert [axes.get_xlabel() for axes in figure.axes] == ["x1", "unit 1", "x1"] * 2
    film = Figure()
    claim.film(claim.run(), film, claim.n_frames(claim.run()) - 1)
    assert film.axes[0].get_title(loc="left") == "the output's line"
