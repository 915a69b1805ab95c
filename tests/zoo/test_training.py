"""Training of small networks."""

import pytest
import torch
from torch import nn

from unbend import zoo
from unbend.errors import DataError, ModelError, ShapeError


def weights_of(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_it_is_the_plain_loop(optimizer):
    data = zoo.moons(200, seed=1)
    x, y = data.train
    recipe = zoo.Recipe(epochs=20, optimizer=optimizer, rate=0.05, momentum=0.5, weight_decay=1e-3, decay_at=(0.5,))
    trained, plain = (zoo.mlp([2, 6, 2], activation="tanh", seed=3) for _ in range(2))
    zoo.train(trained, x, y, recipe)
    if optimizer == "adam":
        steps = torch.optim.Adam(plain.parameters(), lr=0.05, weight_decay=1e-3)
    else:
        steps = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.5, weight_decay=1e-3)
    for epoch in range(20):
        if epoch == 10:
            steps.param_groups[0]["lr"] = 0.005
        loss = nn.functional.cross_entropy(plain(x), y)
        steps.zero_grad()
        loss.backward()
        steps.step()
    torch.testing.assert_close(weights_of(trained), weights_of(plain), rtol=1e-4, atol=1e-5)


def test_same_seed_same_bits_and_no_trace():
    x, y = zoo.spirals(300, n_arms=3).train
    state = torch.get_rng_state()
    recipe = zoo.Recipe(epochs=5, batch_size=16)

    def once(seed):
        net = zoo.mlp([2, 16, 3], seed=0).insert(2, nn.Dropout(0.2))
        history = zoo.train(net, x, y, recipe, seed=seed)
        return weights_of(net), history

    (first, one), (again, two), (other, _) = once(4), once(4), once(5)
    assert torch.equal(first, again)
    assert one.loss.tolist() == two.loss.tolist()
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    assert one.n_steps == 5 * 15


def test_snapshots_restore():
    data = zoo.xor()
    net = zoo.mlp([2, 4, 1], activation="tanh", norm="batch", seed=0)
    before = weights_of(net)
    history = zoo.train(net, *data.train, zoo.Recipe(epochs=30, rate=0.1), snapshot_at=(0, 10, 30))
    assert history.snapshot_steps.tolist() == [0, 10, 30]
    assert history.snapshots["0.weight"].shape == (3, 4, 2)
    assert history.snapshots["1.num_batches_tracked"].tolist() == [0, 10, 30]
    after = weights_of(net)
    assert torch.equal(weights_of(zoo.restore(net, history, 0)), before)
    assert torch.equal(weights_of(zoo.restore(net, history, 2)), after)
    assert torch.equal(weights_of(zoo.restore(net, history, -3)), before)
    with pytest.raises(DataError, match="index: expected one of 3 snapshots, got 3"):
        zoo.restore(net, history, 3)


def test_losses_by_kind_of_target():
    line = zoo.formula(lambda x: 3 * x[:, 0] - 1, n=100, d=1)
    net = zoo.mlp([1, 1], seed=0)
    history = zoo.train(net, *line.train, zoo.Recipe(epochs=400, rate=0.05))
    assert history.loss[-1] < 1e-6
    assert float(net[0].weight.detach()) == pytest.approx(3, abs=1e-2)
    assert str(history.accuracy[0]) == "nan"
    bits = zoo.train(zoo.mlp([2, 8, 1], activation="tanh", seed=0), *zoo.xor().train, zoo.Recipe(400, rate=0.05))
    assert bits.accuracy[-1] == 1.0
    own = zoo.train(zoo.mlp([1, 1], seed=0), *line.train, loss=lambda out, y: (out - y).abs().mean())
    assert own.loss[-1] < own.loss[0]


def test_mode_and_threads_are_put_back():
    n_threads = torch.get_num_threads()
    net = zoo.mlp([2, 4, 2], norm="batch").eval()
    zoo.train(net, *zoo.moons(50).train, zoo.Recipe(epochs=1))
    assert not net.training
    zoo.accuracy(net.train(), *zoo.moons(50).test)
    assert net.training
    assert torch.get_num_threads() == n_threads


def test_refusals(unchecked):
    x, y = zoo.moons(50).train
    net = zoo.mlp([2, 4, 2], seed=0)
    with pytest.raises(ShapeError, match="one label per sample"):
        zoo.train(net, x, y[:-1])
    with pytest.raises(DataError, match="positive epochs"):
        zoo.train(net, x, y, zoo.Recipe(epochs=0))
    with pytest.raises(DataError, match="'adam' or 'sgd'"):
        zoo.train(net, x, y, zoo.Recipe(optimizer="lion"))
    with pytest.raises(DataError, match="no longer finite"):
        zoo.train(net, x * 1e30, y, zoo.Recipe(epochs=50, optimizer="sgd", rate=1e20))
    with pytest.raises(DataError, match="cross_entropy"):
        zoo.train(net, x, y, loss="hinge")
    with pytest.raises(ModelError, match="requires a gradient"):
        zoo.train(net.requires_grad_(requires_grad=False), x, y)
