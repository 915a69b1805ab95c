"""Models and data of unusual forms: what is told of them is true of them, or a sentence says what is missing."""

import explained as nets
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import unbend
from unbend import zoo
from unbend.errors import DataError, LayerError, ModelError
from unbend.explain.bottleneck.words import sentences as told_of_plane
from unbend.explain.maximise.maximise import Ascent
from unbend.explain.surgery.fit import even_step
from unbend.explain.surgery.words import sentences
from unbend.explain.units.examples import names_of, speaker
from unbend.numerics.separable import JointOverlap
from unbend.report.saliency import saliency_page
from unbend.report.units import units_page

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require:UserWarning")


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


class Flat(nn.Module):
    """One number a row, without an axis of its own."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x).squeeze(-1)


class Forked(nn.Module):
    """A layer that two others read, one of which leads to the output: as a module, a product, or another head."""

    def __init__(self, way):
        super().__init__()
        self.a, self.b, self.c, self.way = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3), way

    def forward(self, x):
        h = self.a(x)
        aside = self.b(h)
        if self.way == "module":
            return self.c(h)
        if self.way == "product":
            return F.linear(h, self.c.weight) + 0 * aside[:, :3]
        return self.c(h), aside


def two(n=240):
    x, y = nets.rows(n)
    return x, (y == 1).long()


@pytest.mark.parametrize("name", ["surgery", "steer", "saliency", "bottleneck"])
def test_an_output_of_one_number_a_row_is_explained_as_a_column_of_one(name):
    body = zoo.mlp([4, 8, 1], seed=0)
    words = {"steer": (1,)}.get(name, ())
    more = {"bottleneck": {"epochs": 2}, "saliency": {"n_draws": 1, "methods": ["gradient"]}}.get(name, {})
    if name == "saliency":
        pytest.importorskip("captum")
    flat, row = (getattr(unbend, name)(net, two(), *words, **more) for net in (Flat(body), body))
    if name == "surgery":
        assert [cut.accuracy for cut in flat.cuts] == [cut.accuracy for cut in row.cuts]
        assert flat.loss == row.loss
    elif name == "steer":
        assert [one.called.tolist() for one in flat] == [one.called.tolist() for one in row]
    elif name == "saliency":
        np.testing.assert_allclose(flat.maps["gradient"], row.maps["gradient"], atol=1e-7)
    else:
        assert flat.plane.plain_held_out == row.plane.plain_held_out
        np.testing.assert_allclose(flat.plane.points, row.plane.points, atol=1e-5)


@pytest.mark.parametrize("name", ["surgery", "steer", "bottleneck"])
@pytest.mark.parametrize(
    ("net", "told"),
    [(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 6), nn.Unflatten(1, (2, 3))), r"shape \(2, 3\)"),
     (nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)), "each of 3 classes, got 2"),
     (nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1)), "each of 3 classes, got 1")],
    ids=["positions", "two", "one"],
)  # fmt: skip
def test_what_judges_by_classes_refuses_outputs_that_name_none(name, net, told):
    words = (1,) if name == "steer" else ()
    with pytest.raises(ModelError, match=told):
        getattr(unbend, name)(net, nets.rows(60), *words, n_classes=3)


@pytest.mark.parametrize("way", ["module", "product", "head"])
def test_layers_that_something_else_reads_are_no_run(way):
    output = 0 if way == "head" else None
    found = unbend.surgery(Forked(way), nets.rows(), layers=["a", "b"], operations=["affine"], output=output)
    assert {cut.layer for cut in found.cuts} == {"a", "b"}
    assert found.runs == ()


@pytest.mark.parametrize(("n", "positions"), [(16384, 64), (65536, 256), (12800, 100), (9216, 36), (256, 1)])
def test_an_affine_map_is_fitted_to_every_position_of_a_row_as_often(n, positions):
    counts = np.bincount(np.arange(0, n, even_step(n, positions)) % positions, minlength=positions)
    assert counts.max() - counts.min() <= 1
    assert -(-n // even_step(n, positions)) <= 4096


def test_how_much_of_a_matrix_a_convolution_is_counts_all_of_its_columns():
    x, y = torch.randn(256, 1, 8, 8), torch.arange(256) % 3
    x[..., ::4] *= 3  # every fourth column is what the others are not
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 3))
    found = unbend.surgery(net, ((x, y), (x, y)), layers=["0"], operations=["affine"])
    with torch.no_grad():
        out = net[0](x).movedim(1, -1).reshape(-1, 4).double().numpy()
    rows = np.column_stack([x.reshape(-1).numpy(), np.ones(x.numel())])
    left = out - rows @ np.linalg.lstsq(rows, out, rcond=None)[0]
    assert found.affine_r2["0"] == pytest.approx(1 - (left**2).sum() / ((out - out.mean(0)) ** 2).sum(), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_numbers_are_explained_by_every_method(dtype):
    pytest.importorskip("captum")
    x, y = nets.images(90)
    net = zoo.small_cnn(side=8, n_classes=3, seed=0).to(dtype)
    made = unbend.maximise(net, (x, y), how=Ascent(steps=4))
    assert np.isfinite(made.x).all()
    assert made.parametrisation == "frequency"
    found = unbend.saliency(net, (x, y), n_draws=1, rows=2)
    assert set(found.maps) == {"gradient", "integrated gradients", "SmoothGrad"}
    assert found.gap.max() < 0.2
    ids, y = nets.words(90)
    texts = unbend.saliency(nets.Words().to(dtype), (ids, y), n_draws=1, rows=2)
    assert all(np.isfinite(values).all() for values in texts.maps.values())


def test_a_class_without_training_rows_leaves_the_others_their_directions():
    x, y = nets.rows()
    kept = y != 2
    data = ((x[kept], y[kept]), (x, y))
    found = unbend.steer(zoo.mlp([4, 8, 3], seed=0), data, 1, n_classes=3)
    assert [one.direction.layer for one in found] == ["0", "1"]
    net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    nn.init.zeros_(net[0].weight)
    with pytest.raises(LayerError, match="nothing leads there"):
        unbend.steer(net, (x, y), 1)


@pytest.mark.parametrize(
    ("shape", "form"),
    [((12, 3), "columns"), ((2, 16), "columns"), ((20, 8), "columns"), ((1, 30), "columns"), ((9, 9, 3), "image"),
     ((9, 9, 1), "image"), ((2, 9, 9), "columns"), ((4, 40, 40), "none")],
)  # fmt: skip
def test_series_are_columns_with_places_and_images_may_have_their_channels_last(shape, form):
    pytest.importorskip("captum")
    x, y = torch.rand(60, *shape), torch.arange(60) % 2
    numbers = int(np.prod(shape))
    place = np.unravel_index(numbers - 3, shape)
    x[(slice(None), *place)] += 3 * y
    net = nn.Sequential(nn.Flatten(), nn.Linear(numbers, 2, bias=False))
    with torch.no_grad():
        net[1].weight.zero_()[1, numbers - 3] = 1.0
    cards = unbend.units(net, (x, y), layers=["1"])
    assert cards.examples.form == form
    if form == "image":
        row, column, colour = place
        word = f"the pixel in row {row}, column {column}"
        word = f"the {('red', 'green', 'blue')[colour]} of {word}" if shape[2] == 3 else word
        at = int(cards.examples.ids[0])
        assert cards.examples.x[0] == pytest.approx(x[at].numpy())
    else:
        word = f"column \u201c[{','.join(map(str, place))}]\u201d"
    told = cards.reasons["1"][1]
    if form == "none":  # so wide an input is kept as sums of its columns, which are none of its columns
        assert (cards.layers["1"].column[1], told.kind) == (-1, "class")
    else:
        assert told.words.startswith(word)
    found = unbend.saliency(net, (x, y), methods=["gradient"], n_draws=1, rows=[0])
    greatest = np.unravel_index(found.maps["gradient"][0].argmax(), found.maps["gradient"][0].shape)
    assert greatest == (place[:2] if form == "image" else (numbers - 3,))
    assert "saliency" in saliency_page(found, title="saliency")
    made = unbend.maximise(net, (x, y), units=[1], how=Ascent(steps=8))
    assert made.inputs.shape == (1, *shape)
    assert made.parametrisation == ("frequency" if form == "image" else "whitened")


@pytest.mark.parametrize(("stems", "form"), [(("age", "pulse"), "columns"), (("pixel",), "image"), ((), "image")])
def test_a_table_of_a_square_number_of_named_columns_is_no_image(stems, form):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("captum")
    x, y = torch.randn(60, 49), torch.arange(60) % 2
    names = [f"{stems[i % len(stems)]} {i}" for i in range(49)] if stems else None
    given = x if names is None else pandas.DataFrame(x.numpy(), columns=names)
    net = zoo.mlp([49, 4, 2], seed=0)
    assert unbend.units(net, (given, y), layers=["0"]).examples.form == form
    found = unbend.saliency(net, (given, y), methods=["gradient"], n_draws=1, rows=2)
    assert (found.form, found.maps["gradient"].shape[1:]) == (form, (49,) if form == "columns" else (7, 7))
    assert unbend.maximise(net, (given, y), how=Ascent(steps=2)).form == form


def test_a_vocabulary_that_lacks_a_word_of_the_data_is_refused_in_a_sentence():
    ids, y = nets.words(90)
    model, few = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(40, 3)), [f"w{i}" for i in range(5)]
    with pytest.raises(DataError, match=r"the vocabulary has the 5 from 0 to 4"):
        unbend.maps(model, (ids, y), methods=["pca"], words=few)
    for token in (-1, 5):  # a list would give its last word for -1
        with pytest.raises(DataError, match=f"token {token}"):
            speaker(few)(token)
    assert speaker(str)(7) == "7"


@pytest.mark.parametrize(
    ("y", "told"),
    [(np.array([[0.0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 0, 0]] * 20), ("label 1, label 2", "no label")),
     (np.array([[0.25], [3.0]] * 40), ("label 0.25", "label 3")),
     (np.array([[0.25, 2.0], [3.0, 4.5]] * 40), ("labels 0.25, 2", "labels 3, 4.5"))],
)  # fmt: skip
def test_examples_of_rows_without_classes_have_all_of_their_labels(y, told):
    cards = unbend.units(zoo.mlp([4, 8, y.shape[1]], seed=0), (torch.randn(80, 4), y), layers=["0"])
    for i, number in enumerate(cards.examples.ids):
        assert cards.examples.label(i) == (
            "label 0, label 2" if y.shape[1] == 3 and number % 4 == 2 else told[number % 2]
        )
    assert f'"{told[0]}"' in units_page(cards, title="labels")


def test_categories_beside_numbers_are_not_called_texts():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 4), nn.Linear(8, 3)

        def forward(self, numbers, kind):
            return self.head(torch.cat([numbers, self.embedding(kind)], 1))

    x, y = nets.rows(60)
    with pytest.raises(DataError, match=r"expected one tensor of numbers .* got 2"):
        unbend.maximise(Beside(), ((x, torch.randint(0, 5, (60,))), y))
    with pytest.raises(DataError, match="token numbers"):
        unbend.maximise(nets.Words(), nets.words(60))


def test_names_of_columns_hold_only_for_as_many_columns():
    assert names_of(torch.zeros(2, 2), ("a", "b")) == ("a", "b")
    assert names_of(torch.zeros(2, 3), ("a", "b")) == ()


def test_a_row_that_stands_against_several_classes_is_counted_once():
    x, y = nets.rows(120)
    plane = unbend.bottleneck(zoo.mlp([4, 16, 3], seed=0), (x, y), epochs=1).plane
    assert isinstance(plane.verdict, JointOverlap)
    told = told_of_plane(plane)[0]
    assert f"Not separable: {len(np.unique(plane.verdict.rows))} of" in told
    named = told.partition("(rows ")[2].partition(" of")[0].removesuffix(", …").split(", ")
    assert len(set(named)) == len(named)


def test_of_few_rows_surgery_tells_no_more_than_they_can():
    x, y = two(12)
    alone = ((x, y), (x[:1], y[:1]))
    told = sentences(unbend.surgery(zoo.mlp([4, 8, 2], seed=0), alone))
    assert told[0].startswith("On 1 held-out row ")
    assert "about the base rate" in told[1]
    assert not any("can be replaced" in said or "needed" in said for said in told)
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    x, y = two(200)
    zoo.train(net, x, y, zoo.Recipe(60, rate=0.02))
    few = " ".join(sentences(unbend.surgery(net, ((x, y), (x[:20], y[:20])), operations=["affine"])))
    assert "which 20 rows cannot tell from nothing or from much" in few
    assert "can be replaced" not in few
