"""Which layers are looked at, how they are read, and what the reader is told about it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unbend.capture import plan
from unbend.capture.choose import row_width
from unbend.errors import LayerError, ShapeError

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def names(places):
    return [tap.name for tap in places.taps]


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


def resnet(blocks):
    stem = [nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, nn.Sequential(*map(Residual, [4] * blocks)), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 3)).eval()  # fmt: skip


def encoder(blocks, norm=None):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, blocks, norm, enable_nested_tensor=False).eval()


# The default choice


def test_a_small_network_is_shown_whole():
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3), nn.Softmax(1))
    places = plan(net, X, 8)
    assert names(places) == ["0", "1", "2", "4", "output"]
    assert (places.output, places.head) == ("output", "4")
    assert [t.fed_by for t in places.taps] == [None, "0", "1", "2", None]
    assert places.notes == ()


def test_a_block_that_ends_in_a_shown_layer_is_not_shown_twice():
    places = plan(resnet(1), torch.randn(8, 1, 8, 8), 8)
    assert names(places) == ["0", "1", "2.0.conv1", "2.0.bn1", "2.0.relu", "2.0.conv2", "2.0.bn2", "2.0.relu#2", "5"]
    fed = {t.name: t.fed_by for t in places.taps}
    assert fed["2.0.relu"] == "2.0.bn1"
    assert fed["2.0.relu#2"] is None  # what it takes is the sum, written over the output of bn2
    assert [t.view.layout for t in places.taps] == ["maps"] * 8 + ["features"]


@pytest.mark.parametrize(
    ("net", "x", "shown", "words"),
    [
        (resnet(25), torch.randn(8, 1, 8, 8), [f"2.{i}" for i in range(25)] + ["5"], "blocks"),
        (encoder(24), torch.randn(8, 5, 8), [f"layers.{i}" for i in range(24)], "blocks"),
        (nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(4, 4), nn.ReLU())]), X,
         [str(i) for i in range(1, 40, 2)], "activations, attention and blocks"),
        (nn.Sequential(*[m for _ in range(60) for m in (nn.Linear(4, 4), nn.ReLU())], nn.Linear(4, 2)), X,
         [str(i) for i in range(1, 120, 4)] + ["120"], "every 2nd activation, attention or block"),
        (resnet(40), torch.randn(8, 1, 8, 8), [f"2.{i}" for i in range(0, 40, 2)] + ["5"], "every 2nd block"),
        (nn.Sequential(*[nn.Linear(4, 4) for _ in range(100)]), X, [str(i) for i in range(0, 100, 4)] + ["99"],
         "every 4th layer"),
        (nn.Sequential(*[nn.Linear(4, 4) for _ in range(673)]), X, [str(i) for i in range(0, 673, 22)] + ["672"],
         "every 22nd layer"),
    ],
    ids=["resnet 100", "transformer 24", "mlp 40", "mlp 121", "resnet 160", "linear 100", "linear 673"],
)  # fmt: skip
def test_of_a_deep_network_some_layers_are_shown_and_the_rest_named(net, x, shown, words):
    torch.manual_seed(0)  # where every unit of a last ReLU is on, what stands before it is the output too
    for module in net.modules():
        getattr(module, "reset_parameters", int)()
    places = plan(net, x, 8)
    got = [name.removesuffix(".norm2") for name in names(places)]
    assert got == shown
    assert len(places.taps) <= 34
    assert places.taps[-1].name == places.output
    assert any(f"({words})" in note and "Name layers to see others, such as layers=['" in note for note in places.notes)


def test_the_head_is_what_the_output_is_made_of():
    def head(end):
        return plan(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), *end), X, 8).head

    for end in ([], [nn.Softmax(1)], [nn.LogSoftmax(1)], [nn.Sigmoid()], [nn.Identity()]):
        assert head(end) == "2"
    assert head([nn.ReLU()]) is None
    assert head([nn.ReLU(inplace=True)]) is None
    assert head([nn.LayerNorm(3)]) is None
    assert plan(nn.Sequential(nn.Linear(4, 6), nn.ReLU()), X, 8).head is None


# Names


def test_layers_are_chosen_by_path_and_glob_containers_too():
    net = resnet(2)
    x = torch.randn(8, 1, 8, 8)
    assert names(plan(net, x, 8, layers=["2.*.conv1", "5"])) == ["2.0.conv1", "2.1.conv1", "5"]
    assert names(plan(net, x, 8, layers=["2", "3"])) == ["2", "3"]
    assert names(plan(net, x, 8, layers=["2.0.relu#2"])) == ["2.0.relu#2"]
    chosen = plan(net, x, 8, layers=["1"])
    assert (chosen.output, chosen.head) == (None, None)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (["9"], r"no layer named '9'\. It has: 0, 1, 2"), (["2.0.relo"], r"Did you mean '2\.0\.relu'"),
        (["x*"], r"no layer named 'x\*'"), ("0", r"expected a list of names, got the string '0'"),
    ],
)  # fmt: skip
def test_names_that_fit_nothing_are_refused_with_the_nearest(layers, words):
    with pytest.raises(LayerError, match=words):
        plan(resnet(1), torch.randn(8, 1, 8, 8), 8, layers=layers)


def test_modules_that_are_never_called_are_named_and_refused_by_name():
    net = encoder(1)
    places = plan(net, torch.randn(8, 5, 8), 8)
    assert "Never called as modules, so nothing is shown of them: layers.0.self_attn.out_proj." in places.notes
    with pytest.raises(LayerError, match=r"'layers\.0\.self_attn\.out_proj' was never called"):
        plan(net, torch.randn(8, 5, 8), 8, layers=["layers.0.self_attn.out_proj"])


class Clashes(nn.Module):
    """Modules named as other things are."""

    def __init__(self):
        super().__init__()
        self.input, self.relu, self.output = nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)

    def forward(self, x):
        return self.output(F.relu(self.relu(self.input(x)))) * 2


def test_no_two_taps_have_one_name():
    places = plan(Clashes(), X, 8)
    assert names(places) == ["model.input", "relu", "model.relu", "output", "model.output"]
    assert places.output == "model.output"
    assert names(plan(Clashes(), X, 8, layers=["input", "output"])) == ["model.input", "output"]


# Rules and folds


def test_rules_by_glob_the_last_that_fits_wins():
    net = encoder(2)
    x = torch.randn(8, 5, 8)
    places = plan(net, x, 8, reduce={"*": "max", "layers.1.*": "cls", "layers.1.linear1": "flatten"})
    rules = {t.name: t.view.rule for t in places.taps}
    assert rules["layers.0.linear1"] == "max"
    assert rules["layers.1.norm2"] == "cls"
    assert rules["layers.1.linear1"] == "flatten"
    assert row_width(next(t for t in places.taps if t.name == "layers.1.linear1")) == 5 * 16
    maps = plan(resnet(1), torch.randn(8, 1, 8, 8), 8, reduce="cls")
    assert {t.view.rule for t in maps.taps} == {"mean", "none"}


@pytest.mark.parametrize(
    ("reduce", "words"),
    [
        ({"*": "median"}, r"no rule 'median' for '\*'\. The rules are mean, flatten, cls, last, max"),
        ({"*": "none"}, "no rule 'none'"), ({"2.0.reluu": "max"}, r"no tapped layer fits '2\.0\.reluu'\. Did you mean"),
        ({"0": "cls"}, r"'cls' does not suit '0', whose output is read as maps\. Use mean, max or flatten"),
        ({"5": "max"}, r"'max' does not suit '5', whose output is read as features"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_are_refused(reduce, words):
    from jaxtyping import TypeCheckError

    with pytest.raises((LayerError, TypeCheckError), match=words if "median" not in str(reduce) else "(?s)median"):
        plan(resnet(1), torch.randn(8, 1, 8, 8), 8, reduce=reduce)


def test_wide_rows_are_sketched_and_many_wide_layers_further():
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 1600, 3))
    places = plan(net, torch.randn(8, 1, 40, 40), 8, reduce="flatten")
    assert [t.view.sketch for t in places.taps] == [4096, 4096, 0]
    assert any("2 layers are wider than 4096 and sketched to 4096" in note and "0, 1" in note for note in places.notes)
    deep = nn.Sequential(*[m for _ in range(30) for m in (nn.Conv2d(1 if _ == 0 else 3, 3, 1),)])
    widths = {t.view.sketch for t in plan(deep, torch.randn(8, 1, 40, 40), 8, reduce="flatten").taps}
    assert widths == {2048}
    assert 30 * 8 * 2048**2 <= 2 << 30 < 30 * 8 * 4096**2


# Samples


class Odd(nn.Module):
    """Outputs without an axis of samples, or with one that is easily mistaken."""

    def __init__(self):
        super().__init__()
        self.position, self.table, self.gram, self.body = nn.Embedding(8, 5), nn.Linear(5, 6), Gram(), nn.Linear(4, 5)
        self.flat, self.scores = nn.Linear(5, 2), nn.Linear(4, 8)

    def forward(self, x):
        where = self.table(self.position(torch.arange(8))[None])
        h = self.body(x)[:, None] + where[..., :5]
        self.gram(h[:, 0])
        self.flat(h.flatten(0, 1))
        return self.scores(x) + h.sum((1, 2))[:, None]


class Gram(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(5))

    def forward(self, h):
        return (h * self.w) @ h.T


def test_layers_without_an_axis_of_samples_are_left_out_and_named_even_where_numbers_agree():
    places = plan(Odd(), X, 8)  # eight samples, eight positions
    assert names(places) == ["body", "scores", "output"]
    note = next(note for note in places.notes if note.startswith("Could not be read"))
    assert "position (its shape (8, 5) has no axis for the 8 samples)" in note
    assert "table (its shape (1, 8, 6)" in note
    assert "gram (its shape (8, 8) compares the 8 samples with each other)" in note
    assert "flat (its shape (64, 2)" in note
    with pytest.raises(LayerError, match=r"'gram' cannot be read: its shape \(8, 8\) compares"):
        plan(Odd(), X, 8, layers=["gram"])


def test_samples_fed_as_time_are_noticed():
    net = nn.LSTM(4, 3, batch_first=False)
    model = nn.Sequential(net, Pick())
    note = next(n for n in plan(model, torch.randn(8, 5, 4), 8).notes if "batch_first=False" in n)
    assert "samples see each other: 0." in note
    model[0] = nn.LSTM(4, 3, batch_first=True)
    assert not any("batch_first" in n for n in plan(model, torch.randn(8, 5, 4), 8).notes)


class Pick(nn.Module):
    def forward(self, out):
        return out[0][:, -1]


class OneSize(nn.Module):
    """Runs at one batch size only."""

    def __init__(self):
        super().__init__()
        self.a, self.rnn = nn.Linear(4, 4), nn.GRU(4, 3)

    def forward(self, x):
        if len(x) != 8:
            raise ValueError
        return self.rnn(self.a(x).transpose(0, 1))[0].transpose(0, 1)


@pytest.mark.parametrize("t", [5, 8])
def test_a_model_for_one_batch_size_is_read_as_its_modules_say(t):
    taps = plan(OneSize(), torch.randn(8, t, 4), 8).taps
    assert {tap.name: tap.time_first for tap in taps} == {"a": False, "rnn": True, "output": False}


# Refusals


@pytest.mark.parametrize(
    ("net", "x", "words"),
    [
        (nn.Sequential(nn.Linear(5, 2)), X, r"Expected 5 features in the last axis \(layer '0'\), got inputs \(8, 4\)"),
        (nn.Conv2d(3, 2, 1), torch.ones(8, 2, 4, 4), r"Expected 4 axes with 3 channels .*got inputs \(8, 2, 4, 4\)"),
        (nn.Linear(4, 2), {"y": X}, r"It says: .*unexpected keyword.* The inputs are a dict: \['y'\] \(8, 4\)\.$"),
        (nn.Embedding(3, 2), X, r"It says: .*\. The inputs are \(8, 4\)\.$"),
    ],
)
def test_data_the_model_does_not_take_name_both_shapes(net, x, words):
    with pytest.raises(ShapeError, match=words):
        plan(net, x, 8)
