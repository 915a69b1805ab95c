"""Surgery: a replay is exact, planted truths are found, and what is told is what was measured."""

import sys
from importlib import import_module

import explained as nets
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

import unbend
from unbend import zoo
from unbend._shares import percent
from unbend.capture import quiet, tapped
from unbend.errors import DataError, LayerError
from unbend.explain.defaults import OPERATIONS
from unbend.explain.setup import setup
from unbend.explain.surgery.cost import SurgeryCost, in_seconds
from unbend.explain.surgery.fit import fit_layers
from unbend.explain.surgery.replay import Replay, spans
from unbend.explain.surgery.runs import longest
from unbend.explain.surgery.words import is_essential, is_useless, sentences
from unbend.report.surgery import surgery_page
from unbend.study.progress import silent
from unbend.study.worth import Worth, points


class Functional(nn.Module):
    """Activations that only forward knows, one of them in place, and a module that is called twice."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head, self.act = (
            nn.Linear(4, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 3),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        h = F.relu(self.a(x))
        h = self.act(self.b(h))
        h = h + torch.relu_(self.act(self.b(h)) - 0.1)
        return self.head(h)


class Planted(nn.Module):
    """A block that adds nothing, one that everything goes through, and one that adds noise that the head ignores."""

    def __init__(self):
        super().__init__()
        self.useless, self.essential, self.ignored = (zoo.Residual(nn.Linear(4, 4)) for _ in range(3))
        self.head = nn.Linear(4, 3, bias=False)
        with torch.no_grad():
            for block in (self.useless, self.essential, self.ignored):
                block.block.weight.zero_()
                block.block.bias.zero_()
            self.essential.block.weight.copy_(
                torch.tensor([[-1.0, 1, 0, 0], [0, -1, 1, 0], [1, 0, -1, 0], [0, 0, 0, 0]])
            )
            self.ignored.block.weight[3] = 1.0
            self.head.weight.copy_(torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]))

    def forward(self, x):
        return self.head(self.ignored(self.essential(self.useless(x))))


BLOCKS = ["useless", "essential", "ignored"]


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def far_rows(n=400, seed=0):
    x, y = nets.rows(n, seed)
    return x + 3 * F.one_hot(y, 4), y


NETS = [
    (Functional, nets.rows), (nets.HeadFirst, nets.rows), (nets.Words, nets.words), (nets.Attention, nets.words),
    (nets.ConvolutionalHead, nets.images), (nets.Mapping, nets.rows),
    (lambda: zoo.small_cnn(side=8, n_classes=3, seed=0), nets.images), (Planted, nets.rows),
]  # fmt: skip


@pytest.mark.parametrize(("build", "samples"), NETS)
def test_a_replay_without_a_change_gives_the_output_to_the_last_bit(build, samples):
    net, (x, _) = build().eval(), samples(32)
    with quiet(net):
        with tapped(net, (), print):  # without torch's fast path, which rounds in another order
            wanted = net(x)
        wanted = wanted["logits"] if isinstance(wanted, dict) else wanted
        places = [s.place for s in spans(net, x, {"relu"}) if s.place[0] or s.place[1]]
        replay = Replay(net, x, places)
        assert torch.equal(replay.record(x), wanted)
        for place in places:
            assert torch.equal(replay.change(x, {place: lambda out, _given: out}), wanted), place
    assert "forward" not in vars(net)
    assert all("forward" not in vars(module) for module in net.modules())


@pytest.mark.parametrize(("build", "samples"), NETS)
def test_a_change_gives_what_a_hook_that_does_the_same_gives(build, samples):
    net, (x, _) = build().eval(), samples(32)
    change = lambda out, _given: 2 * out + 1
    with quiet(net):
        places = [s.place for s in spans(net, x) if s.place[0]]
        replay = Replay(net, x, places)
        replay.record(x)
        for path, _, number in places:
            count = iter(range(100))

            def hook(_module, _args, out, count=count, number=number):
                if next(count) != number or isinstance(out, tuple):
                    return (2 * out[0] + 1, *out[1:]) if isinstance(out, tuple) else None
                return 2 * out + 1

            handle = net.get_submodule(path).register_forward_hook(hook)
            wanted = net(x)
            handle.remove()
            wanted = wanted["logits"] if isinstance(wanted, dict) else wanted
            assert torch.allclose(replay.change(x, {(path, "", number): change}), wanted, atol=1e-5), path


def test_only_what_lies_behind_a_layer_runs_again():
    net, (x, _) = zoo.mlp([4, 16, 16, 3], seed=0), nets.rows(16)
    ran = []
    for name, module in net.named_children():
        module.register_forward_hook(lambda _m, _a, _o, name=name: ran.append(name))
    inner = [module.forward for module in net]
    calls = []
    for name, module, forward in zip("01234", net, inner, strict=True):
        module.forward = lambda h, name=name, forward=forward: (calls.append(name), forward(h))[1]
    with quiet(net):
        replay = Replay(net, x, [("2", "", 0)])
        replay.record(x)
        calls.clear()
        replay.change(x, {("2", "", 0): lambda out, _given: out})
    assert calls == ["3", "4"]
    assert replay.share(("2", "", 0)) == pytest.approx(2 / 5)


def test_the_useless_layer_is_found_and_the_essential_one_defended():
    found = unbend.surgery(Planted(), (far_rows(), far_rows(1000, seed=1)), layers=BLOCKS)
    assert found.accuracy > 0.99
    assert is_useless(found.cut("useless", "skip"))
    assert found.cut("useless", "skip").cost.difference == 0
    assert is_essential(found.cut("essential", "skip"))
    assert found.cut("essential", "skip").accuracy < 0.1
    assert is_useless(found.cut("ignored", "skip"))
    assert not is_useless(found.cut("useless", "mean"))  # the residual stream runs through it
    told = " ".join(sentences(found))
    assert "`useless`, `ignored` can be skipped" in told
    assert "Skipping these costs most: `essential` 100.0" in told


def test_a_useless_block_is_told_once_and_not_with_every_layer_in_it():
    net = Planted()
    with torch.no_grad():
        net.useless.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        net.useless.block[2].weight.zero_()
        net.useless.block[2].bias.zero_()
    data = (far_rows(), far_rows(1000, seed=1))
    found = unbend.surgery(net, data)
    assert is_useless(found.cut("useless.block.1", "mean"))
    told = " ".join(sentences(found))
    assert "`useless`, `ignored` can be skipped" in told
    assert "useless.block" not in told.partition("can be skipped")[0].rpartition("one matrix")[2]
    study = found.into(unbend.study(net, data, twin=False, trials=False))
    assert [one.layer for one in study.findings if one.rule == "unused_layer"] == ["useless", "ignored"]


def test_an_affine_network_is_one_matrix():
    found = unbend.surgery(Planted(), far_rows(), layers=BLOCKS, operations=["affine"])
    assert all(found.affine_r2[name] == pytest.approx(1, abs=1e-5) for name in BLOCKS)
    (run,) = longest(found.runs)
    assert run.layers == tuple(BLOCKS)
    assert run.cost.difference == 0
    assert "can be replaced by one matrix" in " ".join(sentences(found))


def test_a_layer_that_bends_for_good_reason_is_no_matrix():
    data = zoo.data("circles", n=600, seed=0)
    net = zoo.mlp([2, 32, 2], seed=0)
    zoo.train(net, data.x_train, data.y_train, zoo.Recipe(200, rate=0.02))
    found = unbend.surgery(net, ((data.x_train, data.y_train), (data.x_test, data.y_test)))
    assert found.accuracy > 0.95
    assert found.cut("1", "affine").cost.low > 0.2
    assert found.cut("1", "skip").cost.low > 0.2
    assert not found.runs


def test_erasing_leaves_a_network_with_a_linear_rest_at_the_base_rate_and_the_control_does_not():
    x, y = far_rows(900)
    found = unbend.surgery(Planted(), ((x, y), (x, y)), layers=BLOCKS, operations=["erase", "control"])
    for erasure in found.erasures:
        cut, control = found.cut(erasure.layer, "erase"), found.cut(erasure.layer, "control")
        assert erasure.rank == 2
        assert erasure.gap_left < 1e-5 < erasure.gap
        assert cut.loss > np.log(3) - 1e-3  # no read-out beats the constant, in the loss, on these rows
        assert control.accuracy > cut.accuracy
        assert erasure.leak.before > 0.95
        assert erasure.leak.after < 0.6
    assert "class means are equal" in " ".join(sentences(found))


def test_a_logistic_probe_of_an_erased_layer_is_at_the_base_rate_on_its_rows_and_the_leak_is_that_of_others():
    x, y = nets.rows(600)
    y = torch.where(torch.arange(600) % 5 == 0, 0, y)  # classes of unlike size
    net = zoo.mlp([4, 16, 3], seed=0)
    zoo.train(net, x, y, zoo.Recipe(10, 32, rate=0.01))
    with setup(net, ((x, y), (x, y)), layers=["1"]) as made:
        tap = next(tap for tap in made.work.plan.taps if tap.name == "1")
        eraser = fit_layers(made, [tap], silent)["1"].eraser
    with torch.no_grad():
        h = net[:2](x).double()
    before = LogisticRegression(max_iter=2000).fit(h.numpy(), y).score(h.numpy(), y)
    after = LogisticRegression(max_iter=5000, tol=1e-9, C=1e6).fit(eraser(h).numpy(), y).score(eraser(h).numpy(), y)
    base = float(torch.bincount(y).max()) / 600
    assert before > base + 0.2
    assert after == pytest.approx(base, abs=0.005)
    found = unbend.surgery(net, ((x, y), nets.rows(600, seed=1)), layers=["1"], operations=["erase"])
    leak = found.erasures[0].leak
    assert leak.before > leak.after
    assert f"in at most {percent(leak.after)} of" in " ".join(sentences(found))


def test_a_network_that_uses_more_than_can_be_read_linearly_survives_erasure():
    data = zoo.data("circles", n=900, seed=0)
    net = zoo.mlp([2, 32, 2], seed=0)
    zoo.train(net, data.x_train, data.y_train, zoo.Recipe(300, rate=0.02))
    parts = ((data.x_train, data.y_train), (data.x_test, data.y_test))
    found = unbend.surgery(nn.Sequential(nn.Linear(2, 2), *net), parts, operations=["erase"], layers=["0"])
    trained = unbend.surgery(net, parts, operations=["mean", "erase"], layers=["0"])
    assert found.erasures[0].gap_left < 1e-5
    assert trained.cut("0", "erase").accuracy > trained.base_rate + 0.15
    assert "uses more there than what can be read linearly" in " ".join(sentences(trained))


class Beside(nn.Module):
    """A layer from which everything can be read, and which the output passes by."""

    def __init__(self):
        super().__init__()
        self.body, self.aside, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        h = self.body(x)
        return self.head(h + 1e-6 * self.aside(h))


def test_a_layer_that_is_not_needed_is_not_said_to_be_used_for_more_than_can_be_read():
    torch.manual_seed(0)
    x, y = far_rows()
    net = Beside()
    zoo.train(net, x, y, zoo.Recipe(100, rate=0.02))
    found = unbend.surgery(net, ((x, y), (x, y)))
    assert found.cut("aside", "erase").accuracy == found.accuracy
    said = " ".join(sentences(found))
    assert "uses more there" not in said
    assert "`aside` can be put at the mean" in said


def test_a_layer_in_which_any_direction_counts_is_not_said_to_be_used_for_the_classes():
    x, y = far_rows()
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), nn.Linear(2, 3))
    torch.manual_seed(0)
    zoo.train(net, x, y, zoo.Recipe(300, rate=0.02))
    found = unbend.surgery(net, ((x, y), (x, y)), layers=["0", "2"], operations=["erase", "control"])
    assert found.erasures[1].rank == 2
    assert found.cut("2", "control").accuracy < found.base_rate + 0.1
    said = " ".join(sentences(found))
    assert "the base rate in `0`, as many random directions do not: there it uses just that." in said
    assert "the base rate in `2`, but so do as many random directions" in said


def test_units_nobody_reads_are_not_needed_and_the_most_important_go_last():
    net = zoo.mlp([4, 16, 3], seed=0)
    x, y = far_rows()
    zoo.train(net, x, y, zoo.Recipe(100, rate=0.02))
    with torch.no_grad():
        net[2].weight[:, 8:] = 0  # nobody reads units 8 to 15
    zoo.train(net, x, y, zoo.Recipe(1, rate=1e-6))
    with torch.no_grad():
        net[2].weight[:, 8:] = 0
    found = unbend.surgery(net, ((x, y), (x, y)), layers=["1"], operations=["skip"], units=True)
    (curve,) = found.units
    assert set(np.argsort(curve.importance)[:8]) == set(range(8, 16))
    assert np.all(curve.importance[8:] == 0)
    assert curve.needed <= 8
    assert curve.by_importance[0] == curve.at_random[0] == pytest.approx(found.accuracy)
    assert curve.kept.tolist() == [16, 14, 12, 8, 4, 2, 1, 0]
    assert curve.alone.tolist() == np.argsort(-curve.importance, kind="stable")[:8].tolist()
    with torch.no_grad():
        h = net[:2](x)
        for unit, cost in zip(curve.alone, curve.costs, strict=True):
            without = h.clone()
            without[:, unit] = h[:, unit].mean()
            accuracy = float((net[2](without).argmax(1) == y).double().mean())
            assert cost.difference == pytest.approx(found.accuracy - accuracy, abs=1e-9)


class Place(nn.Module):
    """The class is where a map is bright; its mean over positions is the same for every class."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(12, 12, 1), nn.Linear(12 * 9, 3)
        with torch.no_grad():
            self.body.weight.copy_(torch.eye(12)[..., None, None])
            self.body.bias.zero_()
            self.head.bias.zero_()
            self.head.weight.zero_()
            for label in range(3):
                self.head.weight[label, label] = 1.0

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


def test_what_single_positions_hold_is_not_called_more_than_can_be_read_linearly():
    y = torch.arange(300) % 3
    x = 0.3 * torch.randn(300, 12, 3, 3)
    x[torch.arange(300), 0, 0, y] += 3.0
    data = ((x, y), (x, y))
    found = unbend.surgery(Place(), data, layers=["body"], operations=["mean", "erase", "control"])
    assert found.accuracy > 0.95
    assert found.erasures[0].reading == "mean"
    said = " ".join(sentences(found))
    assert "linear read-out of the mean over positions of `body`" in said
    assert "it uses what single positions hold, or more" in said
    assert "uses more there" not in said
    assert "(in layers with positions: on the mean over positions)" in said
    whole = unbend.surgery(Place(), data, layers=["body"], operations=["mean", "erase", "control"], reduce="flatten")
    assert whole.cut("body", "erase").accuracy < 0.5  # the head is linear in all positions
    assert "there it uses just that" in " ".join(sentences(whole))


def test_resampled_units_keep_their_spread_and_lose_what_they_say():
    x, y = far_rows(1000)
    found = unbend.surgery(Planted(), ((x, y), (x, y)), layers=["essential"], operations=["resample"], units="resample")
    cut = found.cut("essential", "resample")
    assert cut.accuracy == pytest.approx(found.base_rate, abs=0.06)  # another row's class, three times in ten by chance
    (curve,) = found.units
    assert curve.by_importance[0] == found.accuracy
    assert curve.by_importance[-1] == pytest.approx(cut.accuracy, abs=0.06)
    assert curve.needed < curve.n_units
    assert "the others as they are for another row" in " ".join(sentences(found))
    assert "Units are as they are for another row" in surgery_page(found, title="t")
    with pytest.raises(DataError, match="'mean' or 'resample'"):
        unbend.surgery(Planted(), (x, y), layers=["essential"], operations=["skip"], units="zero")


def test_every_operation_on_every_kind_of_network_leaves_it_as_it_was():
    for build, samples in NETS:
        net, data = build().train(), samples()
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        found = unbend.surgery(net, data, rows=40, units=True)
        assert found.n == 40
        assert {cut.operation for cut in found.cuts} <= set(OPERATIONS)
        assert len(found.cuts) + len(found.impossible) == len(found.layers) * len(OPERATIONS)
        assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
        assert net.training
        assert all(bool((p.grad == 1).all()) for p in net.parameters())


def test_what_cannot_be_done_is_refused_in_a_sentence():
    x, y = nets.rows()
    net = zoo.mlp([4, 16, 3], seed=0)
    with pytest.raises(DataError, match="no operation named 'cut'"):
        unbend.surgery(net, (x, y), operations=["cut"])
    with pytest.raises(LayerError, match="no layer named '9'"):
        unbend.surgery(net, (x, y), layers=["9"])
    with pytest.raises(DataError, match="stands before the output"):
        unbend.surgery(net, (x, y), layers=["2"])


def test_the_command_tells_the_findings_and_writes_the_page(folder, run):
    told = run("surgery", "net.py:model", "data.npz", "--units", "-o", "out.html")
    assert "held-out rows the network is right in" in told
    page = (folder / "out.html").read_text(encoding="utf-8")
    assert "How many units each layer needs" in page
    assert page.count("<svg") == 3


def test_names_in_the_page_are_escaped():
    net = nn.Sequential()
    net.add_module("a<b", nn.Linear(4, 8))
    net.add_module("act", nn.ReLU())
    net.add_module("head", nn.Linear(8, 3))
    page = surgery_page(unbend.surgery(net, nets.rows()), title="<net>")
    assert "<net>" not in page
    assert "a<b" not in page


def found_in(study, rule):
    return {finding.layer: finding for finding in study.findings if finding.rule == rule}


def test_a_study_says_what_can_be_left_out_and_what_cannot_as_notes():
    x, y = far_rows()
    net = Planted()
    before = unbend.study(net, ((x, y), (x, y)), layers=BLOCKS, twin=False)
    after = unbend.surgery(net, ((x, y), (x, y)), layers=BLOCKS).into(before)
    assert not found_in(before, "unused_layer")
    assert set(found_in(after, "unused_layer")) == {"useless", "ignored"}
    assert "at a cost of 0.0 (-" in found_in(after, "unused_layer")["useless"].title
    assert set(found_in(after, "essential_layer")) == {"essential"}
    assert {f.severity for rule in ("unused_layer", "essential_layer") for f in found_in(after, rule).values()} == {
        "note"
    }
    assert [f for f in after.findings if f.severity in ("problem", "warning")] == [
        f for f in before.findings if f.severity in ("problem", "warning")
    ]
    assert before.result(Worth) is None


def test_a_study_says_which_layers_one_matrix_replaces():
    x, y = nets.rows(600)
    net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    zoo.train(net, x, y, zoo.Recipe(10, 32, rate=0.01))
    data = ((x, y), (x, y))
    study = unbend.surgery(net, data).into(unbend.study(net, data, twin=False))
    told = next(iter(found_in(study, "replaceable").values()))
    assert told.layer == "0"
    assert told.title.startswith("Layers 0, 1, 2")
    cost = next(one for one in study.result(Worth).costs if len(one.layers) > 1)
    assert told.title.endswith(f"can be replaced by one matrix at a cost of {points(cost.cost)}.")


def test_nothing_is_told_of_a_network_that_knows_nothing():
    x, y = nets.rows()
    net = zoo.mlp([4, 8, 8, 3], seed=0)
    study = unbend.surgery(net, (x, y)).into(unbend.study(net, (x, y), twin=False))
    assert study.result(Worth) is not None
    assert not {"replaceable", "unused_layer", "essential_layer"} & {f.rule for f in study.findings}


def test_what_layers_are_worth_is_kept_in_files_and_shown(tmp_path):
    x, y = far_rows()
    study = unbend.surgery(Planted(), ((x, y), (x, y)), layers=BLOCKS, operations=["skip"]).into(
        unbend.study(Planted(), ((x, y), (x, y)), layers=BLOCKS, twin=False)
    )
    unbend.save(study, tmp_path / "study.unbend")
    again = unbend.open(tmp_path / "study.unbend")
    one, other = again.result(Worth).costs[0], study.result(Worth).costs[0]
    assert (one.layers, one.way) == (other.layers, other.way)
    assert points(one.cost) == points(other.cost)
    assert again.findings == study.findings
    assert "What it costs to leave out layers" in unbend.report(study)
    with pytest.raises(LayerError, match="none of the layers"):
        unbend.surgery(zoo.mlp([4, 8, 3], seed=0), (x, y)).into(study)


def test_a_budget_leaves_a_fair_sample_of_the_rows():
    x, y = far_rows(600)
    order = y.argsort()  # sorted by class: the first rows alone would be of one
    data = ((x, y), (x[order], y[order]))
    whole = unbend.surgery(Planted(), data, layers=BLOCKS, operations=["skip"])
    short = unbend.surgery(Planted(), data, layers=BLOCKS, operations=["skip"], budget=0.0, batch_size=60)
    assert (whole.n, short.n) == (600, 60)
    assert short.base_rate == pytest.approx(1 / 3)
    assert short.accuracy == pytest.approx(whole.accuracy, abs=0.05)
    unlimited = unbend.surgery(Planted(), data, layers=BLOCKS, operations=["skip"], budget=1e6)
    assert [cut.accuracy for cut in unlimited.cuts] == [cut.accuracy for cut in whole.cuts]


def test_what_it_takes_is_said_before_it_begins_and_kept():
    told = []
    x, y = far_rows(60)
    found = unbend.surgery(
        Planted(), ((x, y), (x, y)), layers=BLOCKS, operations=["skip"], progress=lambda *said: told.append(said[0])
    )
    words = (
        f"then {len(BLOCKS)} operations on {len(BLOCKS)} layers take {found.n_passes:.1f} forward passes over 60 held"
    )
    assert told[0].startswith("Surgery reads 60 training rows once; ")
    assert words in told[0]
    assert told[0].endswith(f"about {in_seconds(found.seconds)}.")
    cost = SurgeryCost(3, 6, 4.0, 600, None, 75.4, 20.0)
    assert cost.sentence.endswith("about 75 s; after 20 s fewer rows do.")


def test_the_report_command_does_surgery_where_it_is_asked_for(tmp_path, monkeypatch, capsys):
    x, y = nets.rows(2500)
    net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    zoo.train(net, x, y, zoo.Recipe(3, 32, rate=0.01))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    np.savez(tmp_path / "numbers.npz", x=x.numpy(), y=x[:, 0].numpy())
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def model(): return nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    main = import_module("unbend.cli").main
    common = ["report", "net.py:model"]
    rest = ["--weights", "net.pt", "--no-twin", "--json", "--surgery"]
    with pytest.raises(SystemExit) as left:
        main([*common, "data.npz", *rest])
    assert not left.value.code
    assert "can be replaced by one matrix at a cost of" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main([*common, "numbers.npz", *rest, "--classes", "0"])
    assert not left.value.code
    assert "Surgery judges layers by the classes of rows" in (tmp_path / "report.html").read_text(encoding="utf-8")
