"""Saliency: what must fail the check of random weights fails it, what should pass does, and sums add up."""

import sys

import explained as nets
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

import unbend
from unbend import zoo
from unbend.errors import DataError, MissingExtraError
from unbend.explain import saliency as module
from unbend.report.saliency import saliency_page, saliency_sentences

pytest.importorskip("captum")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def trained():
    x, y = nets.images(600)
    net = zoo.small_cnn(side=8, n_classes=3, seed=0)
    zoo.train(net, x, y, zoo.Recipe(8, 64, rate=0.005))
    return net, x, y


def edges(forward, entry, target, baseline):
    """A method that never asks the network: it cannot know what was learned."""
    return (entry - entry.roll(1, -1)).abs().detach()


def test_gradients_of_a_trained_net_pass_and_an_edge_detector_fails(trained):
    net, x, y = trained
    found = unbend.saliency(net, ((x, y), (x, y)), methods={**module.METHODS, "edges": edges})
    assert found.passes == {"gradient": True, "integrated gradients": True, "SmoothGrad": True, "edges": False}
    assert np.all(found.similarity["edges"] == pytest.approx(1))
    told = " ".join(saliency_sentences(found))
    assert "`edges` fails the check" in told
    assert "`gradient` passes" in told
    assert saliency_page(found, title="<t>").count("data:image/png") == 1


def test_the_gradient_is_that_of_autograd_and_integrated_gradients_add_up(trained):
    net, x, y = trained
    found = unbend.saliency(net, ((x, y), (x, y)), rows=[0, 5], n_draws=1, methods=["gradient", "integrated gradients"])
    held = x[found.ids - (1 << 40)].clone().requires_grad_()
    net.eval()
    net(held).gather(1, torch.from_numpy(found.target)[:, None]).sum().backward()
    assert found.maps["gradient"] == pytest.approx(held.grad.abs()[:, 0].numpy(), rel=1e-4)
    assert np.all(found.gap < 0.05)
    assert np.array_equal(found.x[..., 0], held.detach()[:, 0].numpy())


def test_a_linear_net_has_its_weights_for_a_gradient():
    net = nn.Linear(4, 3)
    found = unbend.saliency(net, nets.rows(), rows=4, n_draws=1)
    assert found.maps["gradient"] == pytest.approx(net.weight.detach().abs().numpy()[found.target], rel=1e-5)
    assert found.maps["SmoothGrad"] == pytest.approx(found.maps["gradient"], rel=1e-4)
    wanted = (net.weight.detach().numpy()[found.target]) * found.x
    assert found.maps["integrated gradients"] == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_the_word_that_decides_is_found_in_a_text():
    x, y = nets.words(600)
    net = nets.Words()
    zoo.train(net, x, y, zoo.Recipe(15, 64, rate=0.005))
    found = unbend.saliency(net, ((x, y), (x, y)), rows=9)
    assert found.form == "tokens"
    told = found.maps["integrated gradients"].argmax(1)
    assert np.mean(found.x[np.arange(9), told] < 3) > 0.8  # tokens 0, 1, 2 tell the class
    page = saliency_page(found, title="texts", words=lambda token: f"w{token}<")
    assert "w0&lt;" in page


def test_the_same_seed_gives_the_same_maps_and_nothing_is_left_behind(trained):
    net, x, y = trained
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    state, before = torch.random.get_rng_state(), [p.grad.clone() for p in net.parameters()]
    a, b = (unbend.saliency(net, ((x, y), (x, y)), rows=2, n_draws=1, seed=3) for _ in range(2))
    assert all(np.array_equal(a.maps[name], b.maps[name]) for name in a.maps)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(p.grad, grad) for p, grad in zip(net.parameters(), before, strict=True))
    assert not any(m._forward_hooks for m in net.modules())


class Sentences(nn.Module):
    """Scores of a pretrained kind of model, whose embedding of words stands deep inside a block."""

    def __init__(self):
        super().__init__()
        from transformers import BertConfig, BertModel

        small = BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                           intermediate_size=16, max_position_embeddings=8)  # fmt: skip
        self.head, self.body = nn.Linear(16, 3), BertModel(small)

    def forward(self, input_ids, attention_mask):
        h = self.body(input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(h)
        return self.head((h * mask).sum(1) / mask.sum(1))


def test_words_are_explained_where_their_embedding_is_no_layer_of_its_own():
    pytest.importorskip("transformers")
    x, y = nets.words(60)
    padded = torch.cat([x, torch.zeros_like(x[:, :3])], 1)
    mask = torch.arange(8).lt(5).long().expand(60, 8)
    found = unbend.saliency(
        Sentences().eval(), ({"input_ids": padded, "attention_mask": mask}, y), methods=["gradient"], n_draws=1
    )
    assert found.form == "tokens"
    assert found.counts.tolist() == 6 * [5 * [True] + 3 * [False]]
    assert found.maps["gradient"][:, :5].min() > 0
    assert not found.maps["gradient"][:, 5:].any()
    pairs = zip(found.maps["gradient"], found.random_maps["gradient"], strict=True)
    plain = [spearmanr(a[:5], b[:5])[0] for a, b in pairs]
    np.testing.assert_allclose(found.similarity["gradient"][:, 0], plain)
    assert saliency_page(found, title="t").count("<span") == 2 * 6 * 5


def test_one_row_of_each_class_comes_first():
    y = np.array([0, 0, 2, 1, 2, 0])
    assert y[module._rows(y, 3)].tolist() == [0, 1, 2]


def test_what_cannot_be_explained_is_refused(trained, monkeypatch):
    net, x, y = trained
    with pytest.raises(DataError, match="no method named 'magic'"):
        unbend.saliency(net, (x, y), methods=["magic"])
    with pytest.raises(DataError, match="places from 0"):
        unbend.saliency(net, (x, y), rows=[10_000])
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(MissingExtraError, match=r"unbend\[saliency\]"):
        unbend.saliency(net, (x, y))


def test_the_command_says_what_passes_and_writes_the_page(folder, run):
    told = run("saliency", "net.py:model", "data.npz", "-n", "2", "--method", "gradient", "-o", "out.html")
    assert "gradient" in told
    assert "data:image/png" in (folder / "out.html").read_text(encoding="utf-8")


class Mixed(nn.Module):
    """Words and numbers, each with a branch of its own."""

    def __init__(self):
        super().__init__()
        self.words, self.numbers, self.head = nn.Embedding(20, 8), nn.Linear(3, 8), nn.Linear(16, 3)

    def forward(self, tokens, numbers):
        return self.head(torch.cat([self.words(tokens).mean(1), self.numbers(numbers)], 1))


class Pair(nn.Module):
    """Two tables of numbers."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, left, right):
        return self.left(left) + self.right(right)


def test_of_several_inputs_the_one_that_is_explained_is_named_and_the_others_stay():
    torch.manual_seed(0)
    y = torch.arange(60) % 3
    ways = {"rows": 3, "n_draws": 1, "methods": ["gradient", "integrated gradients"]}
    tokens = torch.randint(0, 20, (60, 5))
    found = unbend.saliency(Mixed(), ({"tokens": tokens, "numbers": torch.randn(60, 3)}, y), **ways)
    assert (found.form, found.part, found.kept) == ("tokens", "tokens", ("numbers",))
    assert found.maps["gradient"].shape == (3, 5)
    assert found.gap.max() < 1e-4, "linear in the embeddings"
    told = saliency_sentences(found)
    assert "It is asked of `tokens` alone, with `numbers` as given." in told[0]
    assert told[-1].endswith("within 0.01 %.")
    assert "The bluer a word" in saliency_page(found, title="Saliency")
    both = unbend.saliency(Pair(), ((torch.randn(60, 4), torch.randn(60, 2)), y), **ways)
    assert (both.form, both.part, both.kept) == ("columns", "input 0", ("input 1",))
    alone = unbend.saliency(zoo.mlp([4, 8, 3], seed=0), (torch.randn(60, 4), y), **ways)
    assert (alone.part, alone.kept) == ("", ())
    assert "alone, with" not in saliency_sentences(alone)[0]
