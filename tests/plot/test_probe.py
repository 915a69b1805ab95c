import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.numerics.probe import ProbeRecipe, probe
from unbend.plot.probe import probes


@pytest.mark.parametrize("has_controls", [True, False])
def test_every_layer_stands_at_its_accuracy_beside_its_controls(has_controls):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    layers = {"a": rng.standard_normal((200, 3)), "b": rng.standard_normal((200, 2)) + 3 * y[:, None]}
    recipe = ProbeRecipe(l2=0.01) if has_controls else ProbeRecipe(l2=0.01, n_shuffles=0, n_types=0)
    found = probe(layers, y, recipe=recipe)
    ax = Figure().subplots()
    probes(ax, found)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    held = ax.containers[0]
    assert held.get_label() == "held-out rows"
    assert held.lines[0].get_ydata().tolist() == [found.layers["a"].accuracy, found.layers["b"].accuracy]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    assert lines["chance"][0] == found.layers["a"].control.chance
    if has_controls:
        assert lines["control task"].tolist() == [p.control.task_accuracy for p in found.layers.values()]
    assert np.isnan(lines["control task"]).all() != has_controls
