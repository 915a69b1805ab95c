"""What explains reads items, outputs and labels as a study does: parts by name, any labels, any kind of numbers."""

import sys
from dataclasses import MISSING, fields
from importlib import import_module
from inspect import signature

import explained as nets
import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend import zoo
from unbend.errors import DataError, ShapeError
from unbend.explain.groups import groups_of
from unbend.plot.maximise import column_name
from unbend.report.maps import maps_page
from unbend.report.saliency import saliency_page
from unbend.report.units import units_page
from unbend.study.settings import ReadAs, Settings

N = 90
FEW = {
    "bottleneck": {"epochs": 1},
    "maximise": {"how": import_module("unbend.explain.maximise.maximise").Ascent(steps=4)},
    "maps": {"methods": ["pca"], "rows": 60},
    "saliency": {"methods": ["gradient"], "n_draws": 1},
    "surgery": {"operations": ["skip", "erase"]},
}
"""What keeps each function short."""
CLASSLESS = ("maps", "maximise", "saliency", "shape", "units")


def explain(name, model, data, **more):
    words = (1,) if name == "steer" else ()
    return getattr(unbend, name)(model, data, *words, **FEW.get(name, {}), **more)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


class Items(torch.utils.data.Dataset):
    """Items of several parts, of which two could be the label."""

    def __init__(self):
        self.x, self.y = nets.rows(N)

    def __len__(self):
        return N

    def __getitem__(self, i):
        return {"features": self.x[i], "label": int(i % 2), "target": int(self.y[i])}


class TwoHeads(nn.Module):
    """The scores beside something else of the same form."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.other = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 5)

    def forward(self, x):
        h = self.body(x).relu()
        return {"aside": self.other(h), "scores": self.head(h)}


def test_columns_of_a_table_are_called_by_their_names_wherever_columns_are_meant(tmp_path):
    x, y = nets.rows(N)
    names = ("age", "weight <kg>", "height", "pulse")
    table = "\n".join(["age,weight <kg>,height,pulse,ill", *(",".join(map(str, [*row, int(label)])) for row, label in
                                                              zip(x.tolist(), y.tolist(), strict=True))])  # fmt: skip
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    data = unbend.load.data(str(tmp_path / "table.csv"), label="ill")
    assert data.column_names == names
    net = zoo.mlp([4, 8, 3], seed=0)
    with torch.no_grad():
        net[0].weight[0] = torch.tensor([0.0, 2.0, 0.0, 0.0])
    cards = explain("units", net, data, layers=["0"])
    assert cards.reasons["0"][0].words == "column “weight <kg>” (r = 1.00)"
    assert "column “weight <kg>” (r = 1.00), column" in units_page(cards, title="t").replace("\\u003c", "<")
    found = explain("saliency", net, data)
    assert found.column_names == names
    assert "<td>weight &lt;kg&gt;</td>" in saliency_page(found, title="t")
    made = explain("maximise", net, data, layer="0", units=[0])
    assert sorted(column_name(made, j) for j in range(4)) == sorted(names)
    bare = explain("units", net, (x, y), layers=["0"])
    assert bare.reasons["0"][0].words == "column 1 (r = 1.00)"
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x.numpy(), columns=names)
    assert explain("saliency", net, (frame, y)).column_names == names


def test_settings_have_the_defaults_of_a_study():
    said = signature(unbend.study).parameters
    for field in fields(Settings):
        assert field.default is not MISSING
        assert said[field.name].default == field.default, field.name
    assert set(ReadAs.__annotations__) <= set(said)


@pytest.mark.parametrize("name", ["bottleneck", "steer", "surgery", *CLASSLESS])
def test_parts_of_items_are_named_as_for_a_study(name):
    net = zoo.mlp([4, 8, 3], seed=0)
    with pytest.raises(DataError, match="could be the label"):
        explain(name, net, Items())
    found = explain(name, net, Items(), inputs="features", target="target")
    if name == "steer":
        assert {one.direction.name for one in found} == {"1"}
    elif name != "shape":  # which tells of classes with topology=True alone
        named = found.plane if name == "bottleneck" else found
        assert (named.output_names if name == "saliency" else named.class_names) == ("0", "1", "2")


def test_surgery_judges_the_labels_that_are_named():
    net = zoo.mlp([4, 8, 3], seed=0)
    x, y = nets.rows(N)
    zoo.train(net, x, y, zoo.Recipe(40, rate=0.02))
    own = unbend.surgery(net, Items(), inputs="features", target="target", operations=["mean"])
    other = unbend.surgery(net, Items(), inputs="features", target="label", operations=["mean"])
    assert own.accuracy > 0.9 > other.accuracy


@pytest.mark.parametrize("name", ["bottleneck", "steer", "surgery", *CLASSLESS])
def test_the_part_of_the_output_that_is_named_is_explained_and_the_model_is_whole_again(name):
    net = TwoHeads()
    explain(name, net, nets.rows(N), output="scores")
    assert set(net(nets.rows(N)[0])) == {"aside", "scores"}
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, torch.float64) for name in ("bottleneck", "steer", "surgery", *CLASSLESS)]
    + [("maximise", torch.bfloat16), ("saliency", torch.float16), ("bottleneck", torch.float16)],
)
def test_models_of_other_numbers_are_explained(name, dtype):
    net = zoo.mlp([4, 8, 3], seed=0).to(dtype)
    x, y = nets.rows(N)
    explain(name, net, (x.to(dtype), y))
    assert next(net.parameters()).dtype == dtype


class Training(nn.Module):
    """What a layer keeps and drops in training mode, in which the network is given."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.mark.parametrize("name", ["bottleneck", "steer", "surgery", *CLASSLESS])
def test_a_network_in_training_mode_is_looked_at_in_evaluation_mode_and_stays_as_it_is(name):
    net, (x, y) = Training(), nets.rows(N)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    found = explain(name, net, ((x, y), (x, y)))
    assert all(module.training for module in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    with torch.no_grad():
        right = float((net.eval()(x).argmax(1) == y).float().mean())
    if name == "bottleneck":
        assert [found.plane.plain_held_out, found.plane.plain_train] == pytest.approx([right, right])
    if name == "surgery":
        assert found.accuracy == pytest.approx(right)


@pytest.mark.parametrize("name", CLASSLESS)
@pytest.mark.parametrize("labels", ["numbers", "yes/no", "none"])
def test_what_needs_no_classes_takes_any_labels(name, labels):
    x, y = nets.rows(N)
    data = {"numbers": (x, x[:, :1] * 2), "yes/no": (x, torch.stack([y > 0, y > 1], 1).float()), "none": x}[labels]
    found = explain(name, zoo.mlp([4, 8, 1 if labels == "numbers" else 2], seed=0), data)
    if name == "saliency":
        assert len(found.output_names) == (1 if labels == "numbers" else 2)
        assert found.output_names[0] == ("label 0" if labels == "yes/no" else "output 0")


@pytest.mark.parametrize("name", ["bottleneck", "steer", "surgery"])
def test_what_judges_by_classes_says_so_of_other_labels(name):
    x, _ = nets.rows(N)
    with pytest.raises(DataError, match="got numbers to predict"):
        explain(name, zoo.mlp([4, 8, 1], seed=0), (x, x[:, :1] * 2))


def test_maps_are_coloured_by_the_yes_no_label_that_is_named_and_the_page_lets_one_choose(tmp_path):
    x, y = nets.rows(N)
    marks = torch.stack([y > 0, y > 1], 1)
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=marks.float().numpy(), label_names=np.array(["ill", "<old>"]))
    data, net = unbend.load.data(str(tmp_path / "data.npz")), zoo.mlp([4, 8, 2], seed=0)
    first, other = explain("maps", net, data), explain("maps", net, data, by="<old>")
    assert (first.by, first.class_names) == ("ill", ("not ill", "ill"))
    assert (other.by, other.class_names) == ("<old>", ("not <old>", "<old>"))
    assert np.array_equal(first.ids, other.ids)
    assert np.array_equal(other.marks, marks.numpy()[other.ids])
    assert np.array_equal(other.y, other.marks[:, 1])
    page = maps_page(other, title="Maps")
    assert '<option value="1" selected>&lt;old&gt;</option>' in page
    assert "kNN of &lt;old&gt;" in page
    assert '"classes":["not ill","ill"],"group":{"$":' in page
    study = unbend.study(net, data, twin=False, trials=False, measures=("planes",))
    assert np.array_equal(unbend.maps(study, methods=["pca"], rows=60, by="<old>").y, other.y)
    with pytest.raises(DataError, match=r"no label named 'old'\. There are: ill, <old>"):
        explain("maps", net, data, by="old")
    with pytest.raises(DataError, match="do not have several yes/no labels"):
        explain("maps", zoo.mlp([4, 8, 3], seed=0), (x, y), by="ill")


def test_groups_are_classes_or_one_label_or_fifths():
    assert groups_of(np.array([2, 0]), ("a", "b", "c"))[0].tolist() == [2, 0]
    found, names = groups_of(np.array([[1.0, 0], [0, 1]]), (), ("even", "prime"))
    assert (found.tolist(), names) == ([1, 0], ("not even", "even"))
    found, names = groups_of(np.array([[1.0, 0], [0, 1]]), (), ("even", "prime"), by=1)
    assert (found.tolist(), names) == ([0, 1], ("not prime", "prime"))
    found, names = groups_of(np.arange(10.0)[:, None], ())
    assert found.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert names[0] == "least fifth"


def test_the_score_of_two_classes_is_that_of_the_second():
    x, y = nets.rows(N)
    found = unbend.saliency(zoo.mlp([4, 8, 1], seed=0), (x, (y > 0).long()), methods=["gradient"], n_draws=1)
    assert found.output_names == ("1",)


NET = """
import torch
from unbend import zoo

model = zoo.mlp([4, 8, 3], seed=0)


class Items(torch.utils.data.Dataset):
    def __len__(self):
        return 90

    def __getitem__(self, i):
        x = torch.randn(4, generator=torch.Generator().manual_seed(i))
        return {"features": x, "label": i % 2, "target": i % 3}
"""


@pytest.fixture
def items(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())


def test_commands_take_the_parts_that_are_named_and_ask_where_none_are(items, run, capsys):
    with pytest.raises(SystemExit) as left:
        import_module("unbend.cli").main(["units", "net.py:model", "net.py:Items"])
    assert left.value.code == 2
    assert "--target" in capsys.readouterr().err
    named = ("net.py:model", "net.py:Items", "--inputs", "features", "--target", "target")
    assert "held-out rows the network is right" in run("surgery", *named, "--operation", "mean")
    assert "Surgery" not in run("report", *named, "--surgery", "--no-trials", "--no-twin")


@pytest.mark.parametrize("part", [{"target": 7}, {"inputs": 7}, {"groups": 7}, {"target": -3}])
def test_a_part_that_items_do_not_have_is_refused_in_a_sentence(part):
    x, y = nets.rows(N)
    with pytest.raises(DataError, match=r"items have no part -?[37]\. They have: 2 parts"):
        unbend.units(zoo.mlp([4, 8, 3], seed=0), torch.utils.data.TensorDataset(x, y), **part)


def test_a_model_that_does_not_take_the_data_is_told_in_a_sentence():
    with pytest.raises(ShapeError, match="it does not take the data"):
        unbend.units(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 3)), nets.rows(N))
