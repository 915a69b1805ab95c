"""The whole job on 60,000 + 10,000 real images, where Debian's dataset-fashion-mnist is installed."""

from pathlib import Path

import numpy as np
import pytest

import unbend
from unbend import load, zoo
from unbend.zoo import Recipe

FOLDER = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.fashion
@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the images of `apt-get install dataset-fashion-mnist`")
def test_the_whole_job_on_fashion_mnist(tmp_path):
    data = load.data("fashion-mnist")
    net = zoo.mlp([784, 256, 128, 10], seed=0)
    recipe = Recipe(epochs=3, batch_size=256, rate=1e-3)
    zoo.train(net, data.x[:20_000].flatten(1), data.y[:20_000], recipe, seed=0)

    study = unbend.study(net, data, name="784-256-128-10")
    depth = study.across["depth"]
    assert study.about.n_train == 60_000
    assert study.about.n_held_out == 10_000
    assert "Ankle boot" in study.about.class_names
    assert study["1"].results["moments"].n == 60_000
    assert study["1"].results["centroids"].n.tolist() == [6000] * 10
    assert 0.76 < depth.held_out[0] < 0.88, "a linear read-out of raw pixels"
    assert depth.held_out[depth.layers.index("3")] > depth.held_out[0] + 0.01
    assert study.across["head"].own > 0.8
    assert np.all(depth.high - depth.low < 0.03)
    assert 2048 <= study["1"].results["scatter"].n <= 4096
    assert any("Second moments" in note for note in study.about.notes)

    page = unbend.report(study, tmp_path / "fashion.html")
    assert "Ankle boot" in page
    unbend.save(study, tmp_path / "fashion.unbend")
    again = unbend.open(tmp_path / "fashion.unbend")
    np.testing.assert_array_equal(again.across["depth"].held_out, depth.held_out)
