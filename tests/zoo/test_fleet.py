"""Many small networks at once: both engines against the plain training, bit by bit against themselves."""

import numpy as np
import pytest
import torch
from torch import nn

from unbend import zoo
from unbend.errors import DataError, ModelError, ShapeError, UnsupportedError
from unbend.zoo.fleet.kernel import CODES

ENGINES = ["compiled", "batched"]
PLANE = zoo.moons(160, seed=2).train
CURVES = zoo.spirals(150, n_arms=3, seed=2).train
LINE = zoo.sine(64).train


def trained(net, data, recipe):
    model = zoo.mlp(net.widths, activation=net.activation, seed=net.seed)
    history = zoo.train(model, *data, recipe, snapshot_at=(0,))
    return nn.utils.parameters_to_vector(model.parameters()).detach().numpy(), history


def weights_of(fleet, i, kept=-1):
    return fleet.weights[kept, fleet.offsets[i] : fleet.offsets[i + 1]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("data", "outputs", "loss"), [(PLANE, 1, "bce"), (CURVES, 3, "cross_entropy"), (LINE, 1, "mse")]
)
@pytest.mark.parametrize(
    "recipe",
    [
        zoo.Recipe(epochs=200, rate=0.003, decay_at=(0.75,)),
        zoo.Recipe(epochs=200, optimizer="sgd", rate=0.05, momentum=0.9, weight_decay=1e-3),
    ],
    ids=["adam", "sgd"],
)
def test_agrees_with_plain_training(engine, data, outputs, loss, recipe):
    d = data[0].shape[1]
    nets = [zoo.Net((d, 6, 5, outputs), "tanh", seed=s) for s in range(3)]
    fleet = zoo.many(nets, *data, recipe, engine=engine)
    assert fleet.loss_name == loss
    for i, net in enumerate(nets):
        expected, history = trained(net, data, recipe)
        np.testing.assert_allclose(weights_of(fleet, i), expected, rtol=2e-3, atol=2e-4)
        assert fleet.loss[0, i] == pytest.approx(history.loss[0], rel=1e-5)


@pytest.mark.parametrize("name", CODES)
def test_every_compiled_activation_agrees(name):
    nets = [zoo.Net((2, 5, 1), name, seed=s) for s in range(2)]
    recipe = zoo.Recipe(epochs=100, rate=0.003)
    fleet = zoo.many(nets, *PLANE, recipe, engine="compiled")
    for i, net in enumerate(nets):
        np.testing.assert_allclose(weights_of(fleet, i), trained(net, PLANE, recipe)[0], rtol=1e-3, atol=1e-4)


def test_in_float64_the_batched_engine_is_plain_training():
    x, y = PLANE[0].double(), PLANE[1]
    net = zoo.Net((2, 7, 4, 1), "mish", seed=5)
    recipe = zoo.Recipe(epochs=300, rate=0.01)
    fleet = zoo.many([net, zoo.Net((2, 7, 4, 1), "mish", seed=6)], x, y, recipe)
    model = zoo.mlp(net.widths, activation="mish", seed=5).double()
    zoo.train(model, x, y, recipe)
    expected = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    np.testing.assert_allclose(weights_of(fleet, 0), expected, rtol=1e-7, atol=1e-9)
    assert fleet.engine == "batched"


def test_own_widths_depth_activation_rate_and_rule():
    nets = [
        zoo.Net((2, 3, 1), "relu", seed=1, rate=0.01),
        zoo.Net((2, 9, 4, 1), "sine", seed=2, rate=0.001, initial="he"),
        zoo.Net((2, 1), "tanh", seed=3),
    ]
    recipe = zoo.Recipe(epochs=50, rate=0.002)
    fleets = [zoo.many(nets, *PLANE, recipe, engine=engine) for engine in ENGINES]
    np.testing.assert_allclose(fleets[0].weights, fleets[1].weights, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(fleets[0].loss, fleets[1].loss, rtol=1e-5)
    assert fleets[0].rates.tolist() == [0.01, 0.001, 0.002]
    he = zoo.initialise(zoo.mlp([2, 9, 4, 1]), "he", seed=2)
    start = nn.utils.parameters_to_vector(he.parameters()).detach().numpy()
    assert np.array_equal(weights_of(fleets[0], 1, kept=0), start)


@pytest.mark.parametrize("engine", ENGINES)
def test_same_call_same_bits(engine):
    nets = [zoo.Net((2, 8, 8, 1), "tanh", seed=s) for s in range(9)]
    recipe = zoo.Recipe(epochs=60, rate=0.01)
    one, two = (zoo.many(nets, *PLANE, recipe, engine=engine, keep_every=20) for _ in range(2))
    assert one.weights.tobytes() == two.weights.tobytes()
    assert one.loss.tobytes() == two.loss.tobytes()
    assert one.steps.tolist() == [0, 20, 40, 60]


def test_compiled_bits_do_not_depend_on_company_threads_or_stops():
    nets = [zoo.Net((2, 4 + s % 3, 1), "tanh", seed=s) for s in range(7)]
    recipe = zoo.Recipe(epochs=60, rate=0.01)
    fleet = zoo.many(nets, *PLANE, recipe)
    threaded = zoo.many(nets, *PLANE, zoo.Recipe(epochs=60, rate=0.01, n_threads=3), keep_every=7)
    alone = zoo.many(nets[4:5], *PLANE, recipe, progress=lambda _done, _total: None)
    assert fleet.engine == "compiled"
    assert fleet.weights[-1].tobytes() == threaded.weights[-1].tobytes()
    assert weights_of(fleet, 4).tobytes() == alone.weights[-1].tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_net_of_and_outputs_are_the_kept_nets(engine):
    nets = [zoo.Net((2, 5, 3), "gelu", seed=1), zoo.Net((2, 6, 4, 3), "relu", seed=2)]
    x, y = CURVES
    fleet = zoo.many(nets, x, y, zoo.Recipe(epochs=30, rate=0.01), engine=engine, keep_every=10)
    for kept in (0, 2, -1):
        outputs = zoo.fleet_outputs(fleet, x, kept=kept)
        assert outputs.shape == (2, len(x), 3)
        for i in range(2):
            out = zoo.outputs(zoo.net_of(fleet, i, kept=kept), x)
            np.testing.assert_allclose(outputs[i], out.numpy(), atol=1e-5)
            loss = nn.functional.cross_entropy(out.double(), y)
            assert fleet.loss[kept, i] == pytest.approx(float(loss), rel=1e-5)


def test_samples_beyond_one_block_count_alike():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1300, 3, generator=generator)
    y = torch.stack([x.sum(1), x[:, 0] * x[:, 1]], 1)
    nets = [zoo.Net((3, 6, 2), "relu", seed=4)]
    recipe = zoo.Recipe(epochs=40, rate=0.01)
    fleets = [zoo.many(nets, x, y, recipe, engine=engine) for engine in ENGINES]
    np.testing.assert_allclose(fleets[0].weights, fleets[1].weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fleets[0].loss, fleets[1].loss, rtol=1e-5)


def test_a_function_of_your_own_is_trained_in_torch():
    def bump(z):
        return torch.exp(-(z**2)) + 0.1 * z

    nets = [zoo.Net((2, 5, 1), bump, seed=s) for s in range(2)]
    fleet = zoo.many(nets, *PLANE, zoo.Recipe(epochs=20, rate=0.01))
    assert fleet.engine == "batched"
    with pytest.raises(ModelError, match="by name only"):
        zoo.net_of(fleet, 0)
    out = zoo.outputs(zoo.net_of(fleet, 1, activation=bump), PLANE[0])
    np.testing.assert_allclose(zoo.fleet_outputs(fleet, PLANE[0], activation=bump)[1], out, atol=1e-6)
    with pytest.raises(UnsupportedError, match="engine='batched'"):
        zoo.many(nets, *PLANE, engine="compiled")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_net_that_diverges_shows_it_and_spoils_no_other(engine):
    nets = [zoo.Net((1, 4, 1), "square", seed=0, rate=1e6), zoo.Net((1, 4, 1), "square", seed=0, rate=1e-3)]
    recipe = zoo.Recipe(epochs=60, optimizer="sgd")
    fleet = zoo.many(nets, *LINE, recipe, engine=engine)
    assert not np.isfinite(fleet.loss[-1, 0])
    alone = zoo.many(nets[1:], *LINE, recipe, engine=engine)
    assert fleet.loss[-1, 1] == alone.loss[-1, 0]


def test_progress_ends_with_all_steps():
    seen = []
    recipe = zoo.Recipe(epochs=120)
    zoo.many([zoo.Net((2, 2, 1))], *PLANE, recipe, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (120, 120)
    assert len(seen) <= 61
    assert sorted(seen) == seen


def test_no_trace_is_left():
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    for engine in ENGINES:
        zoo.many([zoo.Net((2, 2, 1))], *PLANE, zoo.Recipe(epochs=2), engine=engine)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == n_threads


@pytest.mark.parametrize(
    ("nets", "change", "error", "says"),
    [
        ([], {}, DataError, "at least one network"),
        ([zoo.Net((3, 4, 1))], {}, ShapeError, "columns of x"),
        ([zoo.Net((2, 4, 1)), zoo.Net((2, 4, 2))], {}, ShapeError, "for net 1"),
        ([zoo.Net((2, 4, 1), "softmax")], {}, DataError, "elementwise"),
        ([zoo.Net((2, 4, 1))], {"recipe": zoo.Recipe(batch_size=8)}, UnsupportedError, "batch_size"),
        ([zoo.Net((2, 4, 1))], {"loss": "cross_entropy"}, DataError, "class indices"),
        ([zoo.Net((2, 4, 3))], {"loss": "mse"}, ShapeError, "3 targets"),
        ([zoo.Net((2, 4, 1))], {"engine": "gpu"}, DataError, "'compiled'"),
    ],
)
def test_refusals(unchecked, nets, change, error, says):
    with pytest.raises(error, match=says):
        zoo.many(nets, *PLANE, **change)
