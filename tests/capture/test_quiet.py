"""Which models are looked into, and that looking changes nothing."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend.capture import bare, kept_random, plan, quiet, representations
from unbend.errors import ModelError

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def test_wrappers_are_looked_through():
    net = nn.Linear(2, 2)
    assert bare(net) is net
    assert bare(nn.DataParallel(net)) is net
    assert bare(torch.compile(net, backend="eager")) is net
    assert bare(torch.compile(nn.DataParallel(net), backend="eager")) is net


@pytest.mark.filterwarnings("ignore")
def test_a_distributed_wrapper_is_looked_through(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        net = nn.Linear(2, 2)
        assert bare(nn.parallel.DistributedDataParallel(net)) is net
    finally:
        torch.distributed.destroy_process_group()


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(4, 2)))


def traced():
    return torch.jit.trace(nn.Linear(4, 2), X)


def quantized():
    net = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    return torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear, r"expected a torch\.nn\.Module, got the class Linear"),
        (lambda: nn.Linear(2, 2).state_dict(), r"got OrderedDict\. Pass the module itself"),
        (lambda: None, r"got NoneType"),
        (scripted, r"TorchScript modules do not run Python hooks"),
        (traced, r"TorchScript modules do not run Python hooks"),
        (quantized, r"0 is quantized \(Linear\)"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), r"0\.weight is not initialised yet \(a lazy layer\)"),
        (lambda: nn.Sequential(nn.Linear(2, 2, device="meta")), r"0\.weight is on the meta device"),
    ],
)
def test_what_cannot_be_looked_into_is_refused_in_one_sentence(make, words):
    with pytest.raises(ModelError, match=words):
        bare(make())


def test_a_refused_lazy_layer_is_still_lazy():
    net = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ModelError):
        representations(net, X)
    assert net[0].has_uninitialized_params()


# Modes


def test_the_model_runs_in_evaluation_mode_without_gradients_and_is_put_back():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.BatchNorm1d(4))
    net[2].eval()
    with quiet(net):
        assert not any(m.training for m in net.modules())
        assert not torch.is_grad_enabled()
    assert [m.training for m in net.modules()] == [True, True, True, False]
    with torch.no_grad(), quiet(net, grad=True, training=True):
        assert all(m.training for m in net.modules())
        assert net(X).requires_grad
    assert [m.training for m in net.modules()] == [True, True, True, False]


class Merges(nn.Module):
    """As LoRA layers do: `eval()` merges weights, `train()` takes them apart."""

    def __init__(self):
        super().__init__()
        self.a, self.merged = nn.Linear(4, 2), 0

    def train(self, mode=True):  # noqa: FBT002
        self.merged += 1
        return super().train(mode)

    def forward(self, x):
        return self.a(x)


def test_a_modules_own_train_is_not_called():
    net = nn.Sequential(Merges())
    representations(net, X)
    assert net[0].merged == 0


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_it_works_and_comes_back_in_every_gradient_mode(context):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    expected = net(X).detach()
    with context():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        rows = representations(net, X)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert torch.equal(rows["2"], expected)
    assert not any(r.is_inference() or r.requires_grad for r in rows.values())
    assert rows["0"].min() < 0
    rows["0"].add_(1)


def test_gradients_flow_through_what_was_in_place():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    with quiet(net, grad=True):
        assert not net[1].inplace
        net(X).sum().backward()
    assert net[1].inplace


# Random generators


class Noisy(nn.Module):
    """Draws from every generator, in evaluation too."""

    def forward(self, x):
        return x + torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002


def states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


def test_every_random_generator_is_put_back():
    net = nn.Sequential(nn.Linear(4, 3), Noisy())
    before = states()
    representations(net, X)
    assert states()[::2] == before[::2]  # beartype draws from Python's generator when it checks a list
    before = states()
    with pytest.raises(ZeroDivisionError), kept_random(net):  # noqa: PT012
        torch.manual_seed(0)
        random.random()
        raise ZeroDivisionError
    assert states() == before


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.drop, self.b = nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 2)

    def forward(self, x):
        return self.b(self.drop(torch.relu(self.norm(self.a(x)))))


@pytest.mark.parametrize("looks", [1, 3])
def test_training_with_dropout_and_batch_norm_is_bit_identical_with_looks_in_between(looks):
    def trained(look):
        torch.manual_seed(3)
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for step in range(8):
            if look and step % looks == 0:
                representations(net, X)
                plan(net, X, 8)
            optimizer.zero_grad()
            net(X).square().mean().backward()
            optimizer.step()
        return net.state_dict()

    one, other = trained(look=False), trained(look=True)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_study_in_between_changes_no_weight_and_no_later_step():
    import unbend

    def trained(look):
        torch.manual_seed(3)
        net = Net()
        data = torch.utils.data.TensorDataset(X.repeat(10, 1), torch.arange(80) % 2)
        loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for epoch in range(2):
            for x, y in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
            if look and epoch == 0:
                unbend.study(net, (X.repeat(10, 1), torch.arange(80) % 2), loss=nn.functional.cross_entropy)
        return net.state_dict()

    one, other = trained(look=False), trained(look=True)
    assert all(torch.equal(one[key], other[key]) for key in one)


class Packed(torch.Tensor):
    """As quantising libraries do it: a tensor that says a shape and keeps its numbers elsewhere."""

    @staticmethod
    def __new__(cls, data):
        return torch.Tensor._make_wrapper_subclass(cls, data.shape, dtype=data.dtype)

    def __init__(self, data):
        self.inner = data

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].inner)
        raise NotImplementedError(func)


class Named(torch.Tensor):
    """A subclass that keeps its numbers where every tensor does."""


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(-10, 10, dtype=torch.int8).reshape(5, 4), requires_grad=False)
        self.scale = nn.Parameter(torch.full((5, 1), 0.1))

    def forward(self, x):
        return x @ (self.weight * self.scale).T


def with_weight(weight):
    net = nn.Linear(4, 5)
    net.weight = nn.Parameter(weight(net.weight.detach()), requires_grad=False)
    return net


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_are_refused_by_name():
    with pytest.raises(ModelError, match=r"^model: weight is a Packed of .*, whose numbers are packed\. Pass the"):
        bare(with_weight(Packed))
    net = nn.Linear(4, 5)
    net.register_buffer("table", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8))
    with pytest.raises(ModelError, match=r"^model: table is torch.qint8, whose numbers are packed\."):
        bare(net)
    with pytest.raises(ModelError, match=r"is quantized \(Linear\)"):
        bare(torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 5)), {nn.Linear}))


@pytest.mark.parametrize("make", [Whole, lambda: with_weight(lambda w: w.as_subclass(Named))])
def test_integer_and_named_weights_are_studied(make):
    from unbend.study.study import study

    torch.manual_seed(0)
    x, y = torch.randn(60, 4), torch.arange(60) % 5
    model = nn.Sequential(make())
    found = study(model, (x, y), twin=False, share=0.0)
    assert found.about.fingerprint
    assert found["0"].results["moments"].mean == pytest.approx(model(x).detach().double().mean(0).numpy(), rel=1e-5)


class Remembering(nn.Module):
    """Keeps everything a forward may keep: a tensor, a counter, a list, a buffer, a cache made on the way."""

    def __init__(self):
        super().__init__()
        self.linear, self.state, self.calls, self.seen, self.cache = nn.Linear(3, 3), None, 0, [], {}
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x):
        state = torch.zeros_like(x) if self.state is None or len(self.state) != len(x) else self.state
        self.state = self.linear(x + state).detach()
        self.calls += 1
        self.seen.append(len(x))
        self.cache[len(x)] = x
        self.mean.mul_(0.5).add_(x.mean(0))
        self.late = x
        return self.state + self.mean


def test_what_forward_keeps_from_one_batch_to_the_next_is_put_back():
    torch.manual_seed(0)
    net, x = Remembering(), torch.randn(4, 3)
    net(x)
    del net.late
    before = (net.state.clone(), net.calls, list(net.seen), dict(net.cache), net.mean.clone())
    with quiet(net):
        net(x + 1)
        net(x + 2)
    assert torch.equal(net.state, before[0])
    assert (net.calls, net.seen, list(net.cache)) == (before[1], before[2], list(before[3]))
    assert torch.equal(net.mean, before[4])
    assert not hasattr(net, "late")


def test_every_pass_of_a_study_begins_in_the_state_the_caller_left():
    torch.manual_seed(0)
    net, x = Remembering(), torch.randn(60, 3)
    y = (x[:, 0] > 0).long()
    twice = [unbend.study(net, (x, y), twin=False, measures=["moments"], batch_size=20, n_classes=2) for _ in range(2)]
    assert net.calls == 0
    assert net.state is None
    means = [study["linear"].results["moments"].mean for study in twice]
    np.testing.assert_array_equal(*means)
    mine = unbend.representations(net, x)["linear"]
    torch.testing.assert_close(mine, net.linear(x).detach())
