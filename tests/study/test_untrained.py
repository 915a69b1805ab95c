"""The untrained twin of a study: the caller's or the factory's own, its batch norms, or a note on why there is none."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unbend import load, study
from unbend.errors import ModelError
from unbend.study.initialisation import initialisation

X = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def blank():
    """A network that puts out nothing but zeros: reads at chance."""
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    for p in net.parameters():
        nn.init.zeros_(p)
    return net


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


@pytest.mark.parametrize("untrained", [blank, blank()], ids=["factory", "module"])
def test_the_twin_is_what_the_caller_gives(untrained):
    found = study(net(), (X, Y), untrained=untrained)
    drawn = study(net(), (X, Y))
    assert len({layer.twin["readout"].held_out for layer in found.layers[1:]}) == 1
    assert drawn.layers[1].twin["readout"].held_out > found.layers[1].twin["readout"].held_out + 0.2
    assert sum("the network that was given for it" in note for note in found.about.notes) == 1
    assert not any("twin" in note for note in drawn.about.notes)


def test_another_network_is_refused_before_the_passes():
    phases = []
    with pytest.raises(ModelError, match=r"untrained: .* '0.bias' of shape \(6,\), got of shape \(7,\)"):
        study(net(), (X, Y), untrained=lambda: nn.Sequential(nn.Linear(4, 7)), progress=lambda *p: phases.append(p[0]))
    assert "Training rows" not in phases


class Once(nn.Linear):
    """Its own rule raises once it is built."""

    def reset_parameters(self):
        if hasattr(self, "built"):
            raise RuntimeError("no second time")
        super().reset_parameters()
        self.built = True


def test_a_model_that_cannot_be_drawn_again_costs_the_twin_and_leaves_a_note():
    found = study(nn.Sequential(nn.Linear(4, 4), Once(4, 2)), (X, Y))
    assert all("readout" in layer.results and not layer.twin for layer in found.layers)
    said = "Layer '1' cannot draw its weights again, so there is no untrained twin (RuntimeError: no second time)."
    assert said in found.about.notes


class Stages(nn.Module):
    """Raises where its batch norm starts to collect statistics."""

    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.norm.num_batches_tracked += 9

    def forward(self, x):
        if self.norm.training and not self.norm.num_batches_tracked:
            raise RuntimeError("frozen for good")
        return self.head(self.norm(x))


def test_a_model_that_cannot_be_calibrated_costs_the_twin_and_leaves_a_note():
    found = study(Stages(), (X, Y))
    assert not any(layer.twin for layer in found.layers)
    assert sum("frozen for good" in note for note in found.about.notes) == 1


@pytest.mark.parametrize("order", [slice(None), torch.argsort(Y, stable=True)], ids=["mixed", "sorted by class"])
def test_batch_norms_of_the_twin_know_the_data_whatever_its_order(order):
    x = X + 50 * Y[:, None]
    seen = []

    class Shown(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, x):
            seen.append(self.norm.running_var.clone())
            return self.head(self.norm(x))

    study(Shown(), (x[order], Y[order]), batch_size=40)
    of_the_twin = [var for var in seen if not torch.equal(var, torch.ones(4))]
    assert any(var.tolist() == pytest.approx(x.var(0).tolist(), rel=0.1) for var in of_the_twin)


class Two(nn.Linear):
    """Puts out zeros, and something beside them."""

    def forward(self, x):
        return 0 * x, x + super().forward(x)


def test_the_part_of_the_output_that_is_studied_is_that_of_the_twin_too():
    found = study(Two(4, 4), (X, Y), output=1)
    zeros = study(Two(4, 4), (X, Y), output=0)
    assert [layer.name for layer in found.layers] == ["input", "output"]
    assert found.layers[-1].twin["readout"].held_out > zeros.layers[-1].twin["readout"].held_out + 0.2


CODE = """
import torch
from torch import nn
class Fresh(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
        nn.init.constant_(self[2].weight, 0.125)
def seeded():
    torch.manual_seed(3)
    return Fresh()
def loaded():
    net, gone = Fresh(), nn.Sequential(*Fresh())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net[0].weight.data = torch.randn(6, 4)
    return net
def trained():
    net = Fresh()
    net(torch.ones(3, 4)).sum().backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    return net
net = Fresh()
def same():
    return net
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    return f"{tmp_path}/net.py:"


def test_a_factory_on_the_command_line_is_called_again_under_the_seed(code):
    found = load.model(f"{code}Fresh")
    before = torch.get_rng_state()
    fresh = initialisation(f"{code}Fresh", found, seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    expected = load.model(f"{code}Fresh")
    assert all(torch.equal(v, expected.state_dict()[k]) for k, v in fresh.state_dict().items())
    assert fresh[2].weight.unique().tolist() == [0.125]


@pytest.mark.parametrize("name", ["seeded", "loaded", "trained", "net", "same"])
def test_what_loads_or_trains_or_is_no_factory_is_no_initialisation(code, name):
    assert initialisation(f"{code}{name}", load.model(f"{code}{name}"), seed=0) is None


def test_the_users_optimizers_step_as_before(code):
    initialisation(f"{code}trained", load.model(f"{code}trained"), seed=0)
    one = net()
    F.cross_entropy(one(X), Y).backward()
    before = one[0].weight.clone()
    torch.optim.SGD(one.parameters(), 0.1).step()
    assert not torch.equal(before, one[0].weight)


class Handle(nn.Linear):
    """Holds what cannot be copied, such as a handle of a library."""

    def __deepcopy__(self, memo):
        raise ValueError("a handle cannot be copied")


class Stubborn(torch.Tensor):
    def __deepcopy__(self, memo):
        raise RuntimeError("no copy of this")


def packed():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    net[2].weight = nn.Parameter(torch.randn(2, 8).as_subclass(Stubborn))
    return net


@pytest.mark.parametrize("how", [{}, {"twin": False, "loss": "cross_entropy"}])
@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: nn.Sequential(Handle(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)), "a handle"),
        (packed, "no copy"),
    ],
)
def test_a_network_that_cannot_be_copied_costs_the_twin_and_the_examination(build, said, how):
    torch.manual_seed(0)
    x = torch.randn(200, 4)
    found = study(build(), (x, (x[:, 0] > 0).long()), **how)
    told = [note for note in found.about.notes if note.startswith("It cannot be copied") and said in note]
    assert len(told) == (1 if how else 2)
    assert found.layers[1].results["readout"].held_out > 0.5
    assert not found.layers[1].twin


def test_a_network_that_holds_a_tensor_with_a_history_is_examined():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)
            self.scale = self.a.weight.sum() * 0 + 1

        def forward(self, x):
            return self.b(self.a(x).relu() * self.scale.detach())

    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    found = study(Net(), (x, (x[:, 0] > 0).long()), loss="cross_entropy", twin=False, trials=False)
    assert "examination" in found.across


def test_what_stands_before_the_first_weight_is_read_once_for_all_further_draws():
    layers = study(net(), (X, Y), trials=False).layers
    first, *others = layers[0].draws
    assert len(others) >= 3
    assert all(other is first for other in others)
    own = layers[0].twin["readout"]
    assert (first.held_out, first.train, first.ridge) == (own.held_out, own.train, own.ridge)
    assert len({id(draw) for draw in layers[1].draws}) == len(layers[1].draws)
