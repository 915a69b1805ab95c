"""The untrained twin: fresh weights, the same network, the original untouched."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import unbend
from unbend.capture import bare, calibrate, plan, twin
from unbend.errors import ModelError
from unbend.load import model as load

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def trained(net, by=3.0):
    """Weights that no fresh network would have."""
    with torch.no_grad():
        for p in net.parameters():
            p.add_(by)
    return net


def mlp():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Sequential(nn.Linear(6, 2)))


def test_it_is_what_the_seed_would_have_made_and_the_original_stays():
    net = trained(mlp())
    net[1].running_mean.fill_(7)
    before, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    fresh = twin(net, seed=5)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    torch.manual_seed(5)
    expected = mlp()
    assert all(torch.equal(v, expected.state_dict()[k]) for k, v in fresh.state_dict().items())
    assert str(fresh) == str(net)
    assert not {id(p) for p in fresh.parameters()} & {id(p) for p in net.parameters()}


def test_a_seed_gives_the_same_twin_and_another_seed_another():
    net = trained(mlp())
    one, same, other = (twin(net, seed=s)[0].weight for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_training_flags_and_frozen_parameters_are_kept():
    net = trained(mlp())
    net[0].requires_grad_(requires_grad=False)
    net[1].eval()
    fresh = twin(net, seed=0)
    assert [p.requires_grad for p in fresh.parameters()] == [p.requires_grad for p in net.parameters()]
    assert [m.training for m in fresh.modules()] == [m.training for m in net.modules()]


def test_tied_weights_stay_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

    net = trained(Tied())
    fresh = twin(net, seed=0)
    assert fresh.head.weight is fresh.embed.weight
    assert fresh.head.weight is not net.head.weight
    assert fresh.head.weight.abs().max() < 3


PLAIN = {
    "parametrized weight norm": parametrizations.weight_norm,
    "weight norm": nn.utils.weight_norm,
    "pruning": lambda m: prune.l1_unstructured(m, "weight", 0.0),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", PLAIN.values(), ids=PLAIN)
def test_a_weight_behind_a_parametrization_is_drawn_as_without_it(wrap):
    net = trained(nn.Sequential(wrap(nn.Linear(4, 6))))
    net(X)  # leaves a weight with a history behind
    fresh = twin(net, seed=2)
    assert torch.allclose(fresh(X), twin(nn.Sequential(nn.Linear(4, 6)), seed=2)(X), atol=1e-6)
    assert fresh.state_dict().keys() == net.state_dict().keys()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", [parametrizations.spectral_norm, nn.utils.spectral_norm, parametrizations.orthogonal])
def test_constrained_weights_are_fresh_and_still_constrained(wrap):
    net = trained(nn.Sequential(wrap(nn.Linear(4, 6))))
    for _ in range(20):
        net(X)
    fresh = twin(net, seed=2)
    for _ in range(50):
        fresh(X)
    assert not torch.allclose(fresh[0].weight, net[0].weight, atol=0.1)
    assert torch.linalg.matrix_norm(fresh.eval()[0].weight.detach(), 2) == pytest.approx(1, abs=0.05)


class Symmetric(nn.Module):
    """A parametrization without a right inverse."""

    def forward(self, w):
        return w.triu() + w.triu(1).T


def test_a_parametrization_that_cannot_be_undone_gets_fresh_parameters():
    net = nn.Sequential(nn.Linear(4, 4))
    nn.utils.parametrize.register_parametrization(net[0], "weight", Symmetric())
    fresh = twin(trained(net, 100), seed=0)
    assert torch.equal(fresh[0].weight, fresh[0].weight.T)
    assert fresh[0].weight.abs().max() <= 0.5


class Own(nn.Module):
    """Parameters without `reset_parameters`, one that takes arguments, a history, a hook, odd shapes."""

    def __init__(self):
        super().__init__()
        self.w, self.weight, self.shift = (nn.Parameter(torch.full(s, 9.0)) for s in ((3, 4), (4,), (4,)))
        self.empty = nn.Parameter(torch.zeros(0, 3))
        self.table = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)
        self.last = (self.w * 2).sum()

    def reset_parameters(self, scale):
        raise AssertionError

    def forward(self, x):
        return (x * self.weight + self.shift) @ self.w.T


def test_parameters_without_a_rule_of_their_own_are_drawn_by_fan_in():
    net = Own()
    fresh = twin(net, seed=0)
    assert fresh.w.abs().max() <= 0.5
    assert fresh.w.std() > 0.1
    assert fresh.weight.tolist() == [1] * 4
    assert fresh.shift.tolist() == [0] * 4
    assert fresh.table.tolist() == [[1, 1], [1, 1]]
    assert net.w[0, 0].item() == 9


def test_attention_and_recurrent_layers_are_renewed():
    for net in (nn.MultiheadAttention(4, 2), nn.GRU(4, 3), nn.TransformerEncoderLayer(4, 2, 8), nn.LSTMCell(4, 2)):
        fresh = twin(trained(net, 50), seed=0)
        assert all(p.abs().max() < 3 for p in fresh.parameters())
        assert all(p.abs().max() > 30 for p in net.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_kept(dtype):
    fresh = twin(trained(mlp().to(dtype)), seed=0)
    assert {p.dtype for p in fresh.parameters()} == {dtype}
    assert fresh[0].weight.abs().max() < 1


class Collector:
    """What a hook of the user's belongs to; it cannot be copied."""

    def __init__(self):
        self.got = []

    def __deepcopy__(self, memo):
        raise RuntimeError

    def hear(self, *_args):
        self.got.append(1)


def test_the_users_hooks_stay_with_the_original():
    net, collector = mlp().eval(), Collector()
    for register in (net[0].register_forward_hook, net[0].register_forward_pre_hook):
        register(collector.hear)
    fresh = twin(net, seed=0)
    fresh(X)
    assert collector.got == []
    net(X)
    assert collector.got == [1, 1]


def test_a_model_that_cannot_be_copied_is_refused_in_one_sentence():
    net = mlp()
    net.lock = Collector()
    with pytest.raises(ModelError, match=r"cannot be copied, so there is no untrained twin \(RuntimeError\)"):
        twin(net, seed=0)


def test_it_works_under_inference_mode():
    with torch.inference_mode():
        fresh = twin(mlp(), seed=0)
    assert not fresh[0].weight.is_inference()


class Exported(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv1d(1, 3, 2), nn.BatchNorm1d(3), nn.ReLU()
        self.embed, self.head = nn.Embedding(5, 9), nn.Linear(9, 2)

    def forward(self, x):
        return self.head(self.act(self.norm(self.conv(x[:, None]))).flatten(1) + self.embed.weight[0])


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_an_exported_network_has_a_twin_and_layers_of_known_kind(tmp_path):
    net = trained(Exported(), 2.0).eval()
    net.norm.running_mean.fill_(3.0)
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(net, (X,), dynamic_shapes=({0: batch},)), tmp_path / "net.pt2")
    loaded = bare(load(str(tmp_path / "net.pt2")))
    places = plan(loaded, X, 5)
    assert [(t.name, t.kind, t.module) for t in places.taps] == [
        ("conv", "affine", "Conv1d"), ("norm", "norm", "BatchNorm1d"), ("act", "activation", "ReLU"),
        ("head", "affine", "Linear"),
    ]  # fmt: skip
    assert places.taps[2].saturation.low == pytest.approx(0, abs=1e-3)
    assert (places.output, places.head) == ("head", "head")
    fresh = twin(loaded, seed=0)
    assert torch.equal(loaded(X), net(X))
    values = dict(fresh.state_dict())
    assert values["conv.weight"].abs().max() < 1
    assert values["norm.running_mean"].abs().max() == 0
    assert not torch.allclose(fresh(X), net(X))
    assert torch.equal(fresh(X), twin(loaded, seed=0)(X))


class Refuses(nn.Linear):
    """Its own rule raises once it is built."""

    def reset_parameters(self):
        if hasattr(self, "built"):
            raise RuntimeError("no second time")
        super().reset_parameters()
        self.built = True


def test_a_rule_that_raises_is_told_with_its_layer():
    said = r"layer '1.0' cannot draw its weights again, so there is no untrained twin \(RuntimeError: no second time\)"
    with pytest.raises(ModelError, match=said):
        twin(nn.Sequential(nn.Linear(4, 4), nn.Sequential(Refuses(4, 2))), seed=0)


def test_a_rule_that_raises_costs_the_twin_and_not_the_study():
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    found = unbend.study(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Refuses(4, 2)), (x, (x[:, 0] > 0).long()))
    assert all("readout" in layer.results and not layer.twin for layer in found.layers)


class Numpy(nn.Module):
    """Draws from every generator there is."""

    def __init__(self, width=6):
        super().__init__()
        w = np.random.randn(width, 4) * random.uniform(0.9, 1.1)  # noqa: NPY002
        self.w, self.norm = nn.Parameter(torch.from_numpy(w).float()), nn.BatchNorm1d(width)
        self.drop = nn.Dropout(torch.rand(()).item())

    def forward(self, x):
        return self.drop(self.norm(x @ self.w.T))


def generators():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def test_a_factory_is_the_users_own_initialisation_under_the_seed():
    net = trained(Numpy()).eval().double()
    net.w.requires_grad_(requires_grad=False)
    before = generators()
    one, same, other = (twin(net, seed=s, untrained=Numpy) for s in (1, 1, 2))
    assert generators() == before
    assert torch.equal(one.w, same.w)
    assert not torch.equal(one.w, other.w)
    assert one.drop.p == same.drop.p != other.drop.p
    assert [m.training for m in one.modules()] == [m.training for m in net.modules()]
    assert {p.dtype for p in one.parameters()} == {torch.float64}
    assert (one.w.requires_grad, one.norm.weight.requires_grad) == (False, True)


def test_an_untrained_network_may_be_given_itself_and_stays_as_it_is():
    net, untrained = trained(mlp()).eval(), mlp()
    values = copy.deepcopy(untrained.state_dict())
    fresh = twin(net, seed=0, untrained=untrained)
    assert torch.equal(fresh[0].weight, untrained[0].weight)
    assert fresh[0].weight is not untrained[0].weight
    assert untrained.training
    assert not fresh.training
    calibrate(fresh, [X])
    assert all(torch.equal(values[k], v) for k, v in untrained.state_dict().items())


def raises():
    raise RuntimeError("no licence")


def test_a_factory_of_another_network_is_refused():
    net = Numpy()
    for untrained, said in (
        (lambda: net, "it gives the trained model itself"),
        (lambda: Numpy(7), r"with 'norm.bias' of shape \(6,\), got of shape \(7,\)"),
        (mlp, r"with '0.bias' no such parameter, got of shape"),
        (lambda: 3, "expected a torch.nn.Module, got int"),
        (raises, r"it raised RuntimeError \(no licence\)"),
    ):
        with pytest.raises(ModelError, match=said):
            twin(net, seed=0, untrained=untrained)


def test_batch_norms_take_their_statistics_from_the_data():
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 6), nn.BatchNorm1d(6, momentum=0.5)).eval()
    net[0].running_mean.fill_(9.0)
    batches = [torch.randn(16, 4, generator=torch.Generator().manual_seed(i)) * 3 + 5 for i in range(3)]
    before = torch.get_rng_state()
    calibrate(net, [*batches, X[:1]])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.allclose(net[0].running_mean, torch.stack([b.mean(0) for b in batches]).mean(0))
    assert torch.allclose(net[0].running_var, torch.stack([b.var(0) for b in batches]).mean(0))
    second = [net[2](torch.nn.functional.batch_norm(b, None, None, training=True)) for b in batches]
    assert torch.allclose(net[3].running_mean, torch.stack([h.mean(0) for h in second]).mean(0), atol=1e-6)
    assert (net[3].momentum, net.training, net[3].training) == (0.5, False, False)


class OwnNorm(nn.Module):
    """A batch norm by hand."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.full((4,), 7.0))

    def forward(self, x):
        if self.training:
            self.running_mean.lerp_(x.mean(0), 0.5)
        return x - self.running_mean


def test_batch_norms_by_hand_follow_their_own_rule():
    norm = OwnNorm().eval()
    fresh = twin(norm, seed=0)
    assert not fresh.running_mean.any()
    calibrate(fresh, [X] * 40)
    assert torch.allclose(fresh.running_mean, X.mean(0))
    assert norm.running_mean.tolist() == [7] * 4


def test_nothing_is_read_where_nothing_keeps_statistics():
    def batches():
        pytest.fail("read")
        yield

    calibrate(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2, track_running_stats=False)), batches())


def test_what_a_model_raises_while_it_is_calibrated_is_told():
    with pytest.raises(ModelError, match="it raised RuntimeError"):
        calibrate(mlp(), [X[:, :3]])
