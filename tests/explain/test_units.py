"""Units of whole networks: what was planted stands first, with the rows themselves."""

import json
import re
import sys
from importlib import import_module

import explained as nets
import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend import zoo
from unbend.capture import representations
from unbend.explain.units.examples import image_side
from unbend.report.units import unit_sentences, units_page


class OneWord(nn.Module):
    """Unit 3 answers to token 7 alone; the others to many."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 6), nn.Linear(6, 3)
        with torch.no_grad():
            self.embedding.weight[:, 3] = 0
            self.embedding.weight[7, 3] = 5

    def forward(self, x):
        return self.head(self.embedding(x).mean(1))


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def planted():
    """Of eight units 2 reads one pixel, 5 is a copy of 4, 6 tells class 1."""
    net = zoo.mlp([64, 8, 3], seed=0)
    with torch.no_grad():
        net[0].weight[2] = 0
        net[0].weight[2, 19] = -4.0
        net[0].weight[5], net[0].bias[5] = 2 * net[0].weight[4], 2 * net[0].bias[4]
        net[0].weight[6] = 0
        net[0].weight[6, 8:16] = 1.0
        net[0].weight[6, 27:59:8] = 1.0
    x, y = nets.images(600)
    return net, x.flatten(1) + 0.7 * torch.randn(600, 64), y


def test_planted_units_stand_first_and_are_told():
    net, x, y = planted()
    found = unbend.units(net, (x, y), layers=["0"])
    reasons, order = found.reasons["0"], found.order["0"].tolist()
    assert order[0] == 2
    assert reasons[2].words.startswith("the pixel in row 2, column 3 (r = -1.00)")
    assert set(order[1:3]) == {4, 5}
    assert "copy of unit 5" in reasons[4].words
    assert order[3] == 6
    assert "high for class 1" in reasons[6].words
    assert "1 of a column, 2 copies" in unit_sentences(found)[0]
    page = units_page(found, title="planted")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1].replace("<\\/", "</"))
    assert data["layers"][0]["order"][:4] == order[:4]  # the page opens with them
    assert data["layers"][0]["reason"][2] == reasons[2].words


def test_the_examples_are_the_rows_with_the_greatest_answers():
    net, x, y = planted()
    found = unbend.units(net, (x, y), layers=["0", "1"], batch_size=64)
    shown = found.examples
    assert shown.form == "image"
    for name in ("0", "1"):
        one = found.layers[name]
        h = representations(net, x, layers=[name])[name]
        for unit in range(8):
            ids = one.strongest.ids[unit]
            assert one.strongest.value[unit] == pytest.approx(h[ids, unit].numpy(), rel=1e-5)
            assert np.array_equal(shown.x[shown.at(ids)].reshape(8, -1), x[ids].numpy())
            assert np.array_equal(shown.y[shown.at(ids)], y[ids].numpy())


def test_the_unit_of_one_word_is_found_with_its_word_and_place():
    x, y = nets.words(400)
    names = [f"w{i}" for i in range(20)]
    found = unbend.units(OneWord(), (x, y), layers=["embedding"], words=names)
    assert found.order["embedding"][0] == 3
    reason = found.reasons["embedding"][3]
    assert reason.kind == "word"
    assert "\u201cw7\u201d" in reason.words
    strongest = found.layers["embedding"].strongest
    assert torch.all(x[strongest.ids[3], strongest.place[3]] == 7)


def test_the_place_in_a_map_is_where_the_channel_fired():
    net, (x, y) = zoo.small_cnn(side=8, n_classes=3, seed=0), nets.images(100)
    found = unbend.units(net, (x, y), layers=["0"])
    strongest = found.layers["0"].strongest
    maps = net[0](x).flatten(2)
    for channel in range(maps.shape[1]):
        ids, place = strongest.ids[channel], strongest.place[channel]
        assert maps[ids, channel, place].tolist() == pytest.approx(strongest.value[channel].tolist(), rel=1e-5)
    assert found.places["0"] == tuple(net[0](x).shape[2:])


def test_sums_of_shards_are_those_of_the_whole():
    net, x, y = planted()
    whole = unbend.units(net, ((x, y), (x, y)), layers=["0"]).states["0"]
    first, second = (unbend.units(net, ((x[part], y[part]), (x, y)), layers=["0"]).states["0"]
                     for part in (slice(300), slice(300, None)))  # fmt: skip
    both = first + second
    assert np.array_equal(both.n, whole.n)
    assert both.total == pytest.approx(whole.total)
    assert both.high.value == pytest.approx(whole.high.value)


def test_every_kind_of_network_has_cards_and_a_page():
    for build, samples in (
        (nets.Words, nets.words), (nets.Attention, nets.words), (nets.ConvolutionalHead, nets.images),
        (nets.Mapping, nets.rows),
    ):  # fmt: skip
        found = unbend.units(build(), samples(), batch_size=50)
        page = units_page(found, title="units <of>")
        data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1].replace("<\\/", "</"))
        assert [layer["name"] for layer in data["layers"]] == list(found.layers)
        assert "units &lt;of&gt;" in page
        assert found.examples.form == {nets.images: "image", nets.words: "tokens", nets.rows: "columns"}[samples]


def test_thousands_of_units_cost_the_page_their_numbers_only():
    x, y = nets.images(300)
    found = unbend.units(zoo.mlp([64, 4096, 3], seed=0), (x.flatten(1), y), layers=["1"])
    page = units_page(found, title="wide")
    assert len(page) < 6e6
    assert page.count('class="card"') == 0


@pytest.mark.parametrize(
    ("shape", "side"), [((1, 8, 8), (8, 8, 1)), ((3, 4, 5), (4, 5, 3)), ((28, 28), (28, 28, 1)), ((64,), (8, 8, 1)),
                        ((16,), None), ((30,), None), ((2, 8, 8), None)],
)  # fmt: skip
def test_what_is_an_image(shape, side):
    assert image_side(shape) == side


def test_the_command_tells_the_units_and_writes_the_page(tmp_path, monkeypatch, capsys):
    x, y = nets.words()
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    (tmp_path / "words.txt").write_text("\n".join(f"w{i}" for i in range(20)), encoding="utf-8")
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
        "class Mean(nn.Module):\n    def forward(self, x):\n        return x.mean(1)\n"
        "model = nn.Sequential(nn.Embedding(20, 6), Mean(), nn.Linear(6, 3))\n", encoding="utf-8")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    main = import_module("unbend.cli").main
    with pytest.raises(SystemExit) as left:
        main(["units", "net.py:model", "data.npz", "--words", "words.txt", "-o", "out.html"])
    assert not left.value.code
    assert "\u201cw" in capsys.readouterr().out
    assert '"w3"' in (tmp_path / "out.html").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["units", "net.py:model", "data.npz", "--words", "none.txt"])
    assert left.value.code == 2


def test_columns_are_called_by_their_names_in_tables_and_by_place_and_colour_in_images():
    torch.manual_seed(0)
    x, y = torch.randn(300, 4), torch.arange(300) % 3
    net = zoo.mlp([4, 6, 3], seed=0)
    with torch.no_grad():
        net[0].weight[3] = torch.tensor([0.0, 0.0, -2.0, 0.0])
    named = unbend.load.Data(x, y, column_names=("alcohol", "ash", "hue", "proline"))
    found = unbend.units(net, named, layers=["0"])
    assert found.reasons["0"][3].words == "column “hue” (r = -1.00)"
    data = json.loads(re.search(r'id="data">(.*?)</script>', units_page(found, title="t"))[1].replace("<\\/", "</"))
    (one,) = data["layers"]
    at, shown = one["high"]["at"][3][0], [data["columns"][i] for i in one["tuned"][3]]
    assert shown[0] == "hue"
    strongest = found.layers["0"].strongest.ids[3, 0]
    assert data["values"][at][one["tuned"][3][0]] == pytest.approx(float(x[strongest, 2]), rel=5e-3)
    images = nn.Sequential(nn.Flatten(), zoo.mlp([3 * 8 * 8, 6, 3], seed=0))
    with torch.no_grad():
        images[1][0].weight[2] = 0
        images[1][0].weight[2, 64 + 8 * 2 + 5] = 3.0
    found = unbend.units(images, (torch.rand(200, 3, 8, 8), y[:200]), layers=["1.0"])
    assert found.reasons["1.0"][2].words == "the green of the pixel in row 2, column 5 (r = 1.00)"


def test_a_unit_of_one_class_stands_before_those_that_mix_classes_and_copies_are_told_of_every_kind():
    torch.manual_seed(0)
    y = torch.arange(1000) % 10
    turn = torch.linalg.qr(torch.randn(10, 10))[0]
    x = (torch.nn.functional.one_hot(y, 10) + 0.1 * torch.randn(1000, 10)) @ turn
    net = nn.Sequential(nn.Linear(10, 12), nn.Linear(12, 10))
    with torch.no_grad():
        weight = torch.randn(12, 10).sign()  # mixes the classes, which explain nearly all of each unit
        weight[4] = torch.eye(10)[6] + 0.05 * torch.randn(10)
        weight[7] = torch.eye(10)[2] + 0.05 * torch.randn(10)
        weight[9] = 2 * weight[4]
        net[0].weight.copy_(weight @ turn)
    found = unbend.units(net, (x, y), layers=["0"])
    assert found.layers["0"].selectivity.min() > 0.85
    assert [one.kind if one else None for one in found.reasons["0"]].count("class") == 1
    assert found.order["0"][:3].tolist() == [4, 9, 7]
    assert found.reasons["0"][9].words.startswith("a copy of unit 4 (r = 1.000), and high for class 6, which explains ")
    told = unit_sentences(found)
    assert told[0] == "Units that stand out: 2 copies, 1 of a class."
    assert told[1].count("unit 9") == 1  # a pair is told once


def test_padding_that_first_comes_late_in_the_data_is_no_word():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    net = transformers.BertModel(config, add_pooling_layer=False).eval()
    x, y = nets.words(300)
    mask = torch.ones_like(x)
    mask[100:, 3:] = 0  # the first batches have none, and the model passes their mask by
    found = unbend.units(net, ({"input_ids": x, "attention_mask": mask}, y), layers=["encoder.layer.0"], batch_size=50)
    strongest = found.layers["encoder.layer.0"].strongest
    assert (strongest.ids >= 100).any()
    assert bool(mask[strongest.ids, strongest.place].all())
