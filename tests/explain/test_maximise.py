"""Feature maximisation: planted templates are found, noise is called noise, and a batch is its targets one by one."""

from importlib import import_module

import explained as nets
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import unbend
from unbend import zoo
from unbend.capture import quiet
from unbend.errors import DataError, LayerError
from unbend.explain.defaults import FOR_IMAGES
from unbend.explain.maximise.maximise import Ascent
from unbend.explain.maximise.noise import shift
from unbend.explain.maximise.parameters import Images, parametrisation
from unbend.explain.maximise.targets import Answering, targets
from unbend.explain.setup import setup
from unbend.plot.maximise import maximise as draw
from unbend.report.maximise import maximise_page, maximise_sentences


def bars(n=300):
    """Images of twelve by twelve pixels with a broad bar at one of three heights, blurred."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = 0.15 * torch.rand(n, 1, 12, 12, generator=generator)
    for i, label in enumerate(y.tolist()):
        x[i, 0, 4 * label : 4 * label + 4] += 0.8 * torch.rand(1, generator=generator)
    return shift((x + x.roll(1, -1) + x.roll(-1, -1)) / 3, 1, 1, 1), y


def reading(*templates):
    """A net whose first units are the products with some templates."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(templates[0].numel(), len(templates)), nn.Linear(len(templates), 3))
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([t.flatten() for t in templates]))
        net[1].bias.zero_()
    return net


def bar(of):
    x = torch.full((1, 12, 12), -0.5)
    x[0, 4 * of : 4 * of + 4] = 1.0
    return x


CHECKER = torch.tensor([[(-1.0) ** (i + j) for j in range(12)] for i in range(12)])[None]


@pytest.mark.parametrize("how", FOR_IMAGES)
def test_a_planted_template_is_found(how):
    found = unbend.maximise(reading(bar(0), bar(2)), bars(), "1", how=Ascent(how, 80))
    for target, of in enumerate((0, 2)):
        made = found.x[target, ..., 0].ravel()
        assert np.corrcoef(made, bar(of).numpy().ravel())[0, 1] > (0.5 if how == "maco" else 0.8)
        best = found.examples.y[found.examples.at(found.real_ids[target])]
        assert np.all(best == of)
    assert not found.is_noise.any()
    assert "None is adversarial noise" in maximise_sentences(found)[1]


def test_a_checkerboard_that_no_image_holds_is_called_noise_and_a_bar_is_not():
    found = unbend.maximise(reading(CHECKER, bar(1)), bars(), "1", how=Ascent("pixels", 80, jitter=0))
    assert found.is_noise.tolist() == [True, False]
    assert found.excess[0] > 2 > found.excess[1]
    assert found.unlike[0] > found.usual
    told = maximise_sentences(found)
    assert "1 of 2 are adversarial noise" in told[1]
    assert "`unit 0`" in told[1]
    page = maximise_page(found, title="<p>")
    assert page.count('class="noise"') == 1
    assert "&lt;p&gt;" in page


def test_a_batch_is_its_targets_one_by_one_and_the_seed_decides():
    x, y = nets.images()
    net, how = zoo.small_cnn(side=8, n_classes=3, seed=0), Ascent(steps=12)
    ways = {"units": range(6), "how": how, "seed": 3}
    whole = unbend.maximise(net, (x, y), "3", **ways)
    parts = unbend.maximise(net, (x, y), "3", **ways, batch_size=4)
    assert whole.inputs == pytest.approx(parts.inputs, abs=1e-5)
    alone = unbend.maximise(net, (x, y), "3", units=[4], how=how, seed=3)
    assert alone.inputs[0] == pytest.approx(whole.inputs[4], abs=1e-5)
    assert alone.answer[0] == pytest.approx(whole.answer[4], rel=1e-4)
    again = unbend.maximise(net, (x, y), "3", **ways)
    assert np.array_equal(again.inputs, whole.inputs)
    other = unbend.maximise(net, (x, y), "3", **{**ways, "seed": 4})
    assert not np.array_equal(other.inputs, whole.inputs)


class Viewed(nn.Module):
    """A convolution whose map is flattened, by `view`, which refuses channels side by side, or as it lies in memory."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 3)

    def forward(self, x):
        h = self.conv(x)
        if self.how == "memory":
            return self.head(h.as_strided((len(h), 4 * 36), (4 * 36, 1)))
        return self.head(h.view(len(h), -1) if self.how == "view" else h.flatten(1))


@pytest.mark.parametrize("how", ["flatten", "view", "memory"])
def test_images_reach_convolutions_channels_last_only_where_the_answers_stay(how):
    torch.manual_seed(0)
    net = Viewed(how).eval()
    with setup(net, nets.images(), layers=["head"], rows=60) as made:
        asked = targets(made, "head", None, (), is_greatest=False)
        with quiet(made.model), Answering(made, asked.tap).running() as answering:
            seen = []
            handle = net.conv.register_forward_pre_hook(lambda _module, args: seen.append(args[0].stride()))
            x = made.subject.train.inputs[:8]
            answers = answering(x)
            handle.remove()
    assert (seen[0] == (64, 1, 8, 1)) == (how == "flatten")
    assert torch.allclose(answers[:, 0], net(x), atol=1e-6)


def test_answers_and_real_rows_are_those_of_the_network_itself():
    x, y = nets.images()
    net = zoo.small_cnn(side=8, n_classes=3, seed=0).eval()
    for positions, read in (("mean", lambda h: h.mean((2, 3))), ("greatest", lambda h: h.amax((2, 3)))):
        found = unbend.maximise(net, ((x, y), (x, y)), "0", units=[2, 5], positions=positions, how=Ascent(steps=20))
        with torch.no_grad():
            real, own = read(net[0](x))[:, [2, 5]], read(net[0](torch.from_numpy(found.inputs)))[:, [2, 5]]
        assert found.answer == pytest.approx(own.diagonal().numpy(), rel=1e-4)
        assert found.mean == pytest.approx(real.mean(0).numpy(), rel=1e-4, abs=1e-6)
        assert found.real_answer[:, 0] == pytest.approx(real.amax(0).numpy(), rel=1e-5)
        assert np.array_equal(found.real_ids[:, 0], real.argmax(0).numpy())
        assert np.all(found.answer > found.mean)


def test_images_of_the_phases_keep_the_magnitude_of_the_data_and_every_image_its_range():
    x, _ = bars(60)
    images, generator = Images.of(x), torch.Generator().manual_seed(1)
    wanted = torch.fft.fft2(images.colours(images.log_odds), norm="ortho").abs().mean(0)
    wanted[:, 0, 0] = 0
    _, numbers = parametrisation("maco", x)
    made = numbers.inputs(5 * numbers.start(generator)[None])
    share = (made - images.low) / (images.high - images.low)
    odds = (share.double().logit() - images.mean) / images.colour[0, 0]
    assert torch.fft.fft2(odds[0], norm="ortho").abs().numpy() == pytest.approx(wanted.numpy(), abs=2e-3)
    for name in FOR_IMAGES:
        _, numbers = parametrisation(name, x)
        far = numbers.inputs(numbers.keep(30 * numbers.start(generator)[None]))
        assert x.min() <= far.min()
        assert far.max() <= x.max()


def test_rows_are_found_again_in_every_parametrisation():
    x, _ = bars(40)
    for name in ("frequency", "pixels"):
        _, numbers = parametrisation(name, x)
        inner = Images.of(x)
        again = numbers.inputs(numbers.of(x))
        assert inner.odds_of(again).numpy() == pytest.approx(inner.odds_of(x).numpy(), abs=2e-3)
    rows = nets.rows(60)[0]
    _, numbers = parametrisation("whitened", rows)
    assert numbers.inputs(numbers.of(rows)).numpy() == pytest.approx(rows.numpy(), abs=1e-4)
    _, numbers = parametrisation("columns", rows)
    inside = (rows.amin(0) + 0.1 * (rows.amax(0) - rows.amin(0)), rows.amax(0) - 0.1 * (rows.amax(0) - rows.amin(0)))
    assert numbers.inputs(numbers.of(rows)).clamp(*inside).numpy() == pytest.approx(
        rows.clamp(*inside).numpy(), abs=1e-4
    )


def test_colours_are_made_independent():
    generator = torch.Generator().manual_seed(0)
    grey = torch.rand(50, 1, 8, 8, generator=generator)
    x = (grey + 0.1 * torch.rand(50, 3, 8, 8, generator=generator)).clamp(0, 1)
    flat = (images := Images.of(x)).colours(images.log_odds).movedim(1, -1).flatten(0, 2)
    assert (flat.T @ flat / len(flat)).numpy() == pytest.approx(np.eye(3), abs=1e-4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    found = unbend.maximise(net, (x, torch.arange(50) % 3), how=Ascent(steps=5))
    assert found.x.shape == (3, 8, 8, 3)
    assert "data:image/png" in maximise_page(found, title="colours")


def test_plain_rows_stay_among_the_data_unless_every_column_moves_by_itself():
    x, y = nets.rows()
    x = torch.cat([x, x[:, :1] + 0.01 * torch.randn(len(x), 1, generator=torch.Generator().manual_seed(2))], 1)
    net = nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 3))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0, 1, 0, 0, 0], [1.0, 0, 0, 0, -1]]))  # a column; what hardly varies
    usual = unbend.maximise(net, (x, y), "0", how=Ascent(steps=120))
    assert usual.form == "columns"
    assert np.all(usual.unlike <= usual.usual * 1.001)
    assert np.abs((usual.x[0] - usual.row_mean) / usual.row_spread).argmax() == 1
    raw = unbend.maximise(net, (x, y), "0", how=Ascent("columns", 120))
    assert raw.is_noise.tolist() == [False, True]
    assert raw.unlike[1] > 2 * raw.usual
    page = maximise_page(raw, title="rows")
    assert "column 4" in page


def test_classes_are_those_before_a_softmax_and_one_score_is_high_and_low():
    x, y = nets.rows()
    net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))
    with torch.no_grad():
        net[0].weight.copy_(3 * torch.eye(4)[:3])
    found = unbend.maximise(net, (x, y))
    assert found.layer == "0"
    assert found.names == ("class 0", "class 1", "class 2")
    assert [int((row - found.row_mean)[:3].argmax()) for row in found.x] == [0, 1, 2]
    score = nn.Sequential(nn.Linear(4, 1))
    with torch.no_grad():
        score[0].weight.copy_(torch.tensor([[1.0, 0, 0, 0]]))
    one = unbend.maximise(score, (x, (y == 0).long()))
    assert one.names == ("class 0", "class 1")
    assert one.x[0, 0] < one.row_mean[0] - one.row_spread[0]
    assert one.x[1, 0] > one.row_mean[0] + one.row_spread[0]


def test_a_direction_is_maximised_in_its_own_steps():
    x, y = nets.rows()
    net = zoo.mlp([4, 8, 3], seed=0)
    zoo.train(net, x, y, zoo.Recipe(5, 32, rate=0.01))
    way = unbend.study(net, (x, y), twin=False).direction("0", 1)
    found = unbend.maximise(net, (x, y), directions=way)
    assert found.layer == "0"
    assert found.units.tolist() == [-1]
    h = net[0](torch.from_numpy(found.inputs)).detach().double()
    assert found.answer[0] == pytest.approx(float(way.project(h)[0]), rel=1e-3)
    assert found.answer[0] > found.real_answer[0, 0]
    assert np.all(found.examples.y[found.examples.at(found.real_ids[0])] == 1)


@pytest.mark.parametrize("how", FOR_IMAGES)
def test_a_unit_that_is_off_at_grey_is_climbed_from_its_strongest_row(how):
    x, y = bars()
    net = reading(bar(0), bar(1))
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor([0.0, -12.0]))
    off = nn.Sequential(net[0], net[1], nn.ReLU(), net[2])
    found = unbend.maximise(off, (x, y), "2", how=Ascent(how, 100))
    assert found.spread[1] > 0
    assert np.all(found.answer > found.mean)
    with torch.no_grad():
        net[1].bias[1] = -1e4
    dead = unbend.maximise(off, (x, y), "2", how=Ascent(steps=3))
    assert "Constant over the training rows: `unit 1`" in maximise_sentences(dead)[-1]


def test_the_model_stays_as_it_is_and_nothing_is_left_on_it():
    x, y = nets.images()
    net = zoo.small_cnn(side=8, n_classes=3, seed=0).train()
    before = [p.detach().clone() for p in net.parameters()]
    state = torch.random.get_rng_state()
    unbend.maximise(net, (x, y), "1", units=[0], how=Ascent(steps=2))
    assert all(torch.equal(p, old) and p.grad is None for p, old in zip(net.parameters(), before, strict=True))
    assert net.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_the_picture_shows_the_input_and_the_real_rows():
    found = unbend.maximise(reading(bar(0)), bars(), "1", how=Ascent(steps=4))
    ax = Figure().add_subplot()
    draw(ax, found, 0)
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (25, 24 + 1 + 4 * 13)
    every = np.concatenate([found.x, found.examples.x[found.examples.at(found.real_ids[0])]])
    wanted = 1 - (found.x[0, ..., 0] - every.min()) / (every.max() - every.min())
    assert shown[:24:2, :24:2] == pytest.approx(wanted)


def test_what_cannot_be_maximised_is_refused():
    x, y = nets.rows()
    net = zoo.mlp([4, 8, 3], seed=0)
    with pytest.raises(DataError, match="no gradient leads to them"):
        unbend.maximise(nets.Words(), nets.words())
    with pytest.raises(LayerError, match="expected numbers from 0 to 7"):
        unbend.maximise(net, (x, y), "0", units=[8])
    with pytest.raises(DataError, match="from 0 to 2, the classes"):
        unbend.maximise(net, (x, y), units=[3])
    with pytest.raises(LayerError):
        unbend.maximise(net, (x, y), "nowhere")
    with pytest.raises(DataError, match="is for images"):
        unbend.maximise(net, (x, y), how=Ascent("maco"))
    with pytest.raises(DataError, match="expected one of"):
        unbend.maximise(net, (x, y), how=Ascent("magic"))
    with pytest.raises(DataError, match="'mean' or 'greatest'"):
        unbend.maximise(net, (x, y), positions="sum")


def test_the_command_takes_directions_that_were_saved(folder, run, capsys):
    run("steer", "1", "net.py:model", "data.npz", "--save", "way.safetensors", "-o", "steer.html")
    words = ["maximise", "net.py:model", "data.npz", "--directions", "way.safetensors", "--steps", "5"]
    told = run(*words, "-l", "1")
    assert told.startswith("The input to which direction to 1 of 1 answers most")
    with pytest.raises(SystemExit) as left:
        import_module("unbend.cli").main(words)
    assert left.value.code == 2
    assert "Say which with --layer: 0, 1" in capsys.readouterr().err


def test_the_command_writes_the_page(folder, run):
    told = run("maximise", "net.py:model", "data.npz", "-l", "1", "-u", "3", "--steps", "9", "-o", "out.html")
    assert "1 targets" not in told
    assert told.startswith("The input to which unit 3 of 1 answers most, made by gradient ascent")
    assert "unit 3" in (folder / "out.html").read_text(encoding="utf-8")
