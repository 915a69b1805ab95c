"""The face finder P-Net (Zhang et al. 2016): the picture that its answer "a face" climbs to, from no face at all.

pip install unbend && pip install --no-deps facenet-pytorch
python examples/pretrained/pnet_faces.py    writes pnet.png and pnet.html
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

import unbend
from unbend import load
from unbend.explain.maximise.maximise import Ascent, Maximisation
from unbend.plot.maximise import maximise as draw_one
from unbend.report.maximise import maximise_page, maximise_sentences

SIDE = 12
"""Pixels of the window that P-Net judges."""


class PNet(nn.Module):
    """P-Net with the weights of the package `facenet-pytorch`, which itself would load torchvision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 10, 3), nn.PReLU(10), nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        place = find_spec("facenet_pytorch")
        assert place is not None and place.submodule_search_locations is not None, (
            "pip install --no-deps facenet-pytorch"
        )
        weights = torch.load(Path(place.submodule_search_locations[0]) / "data" / "pnet.pt")
        self.load_state_dict({name: value for name, value in weights.items() if not name.startswith("conv4_2")})

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).amax((2, 3))


def patches(n: int) -> tuple[Tensor, Tensor]:
    """Windows of scikit-learn's two photographs, a temple and a flower, as P-Net takes them; which of the two."""
    draw = torch.Generator().manual_seed(0)
    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1).float() for photo in load_sample_images().images]
    windows = []
    for i in range(n):
        photo = nn.functional.avg_pool2d(photos[i % 2], 4)
        top, left = (int(torch.randint(0, size - SIDE, (1,), generator=draw)) for size in photo.shape[1:])
        windows.append(photo[:, top : top + SIDE, left : left + SIDE])
    return (torch.stack(windows) - 127.5) / 128, torch.arange(n) % 2


def draw(found: Maximisation) -> Figure:
    """What "no face" and "a face" climb to, beside the windows that they answer to most."""
    figure = Figure((7, 4), layout="constrained")
    for target, (ax, name) in enumerate(zip(figure.subplots(2, 1), ("no face", "a face"), strict=True)):
        draw_one(ax, found, target)
        ax.set_title(f'"{name}": made, and the windows of the photographs it answers to most', loc="left", fontsize=9)
    return figure


def main(n: int = 1200, steps: int = 256) -> Maximisation:
    net = PNet().eval()
    slopes = torch.cat([p.flatten() for name, p in net.named_parameters() if name.startswith("prelu")])
    print(f"{(slopes < 0).sum()} of {len(slopes)} slopes of its activations are negative: these units fold.")
    data = load.Data(*patches(n), None, ("temple", "flower"), "windows of two photographs")
    found = unbend.maximise(net, data, "conv4_1", how=Ascent(steps=steps))
    draw(found).savefig("pnet.png", dpi=150)
    Path("pnet.html").write_text(maximise_page(found, title="What P-Net takes for a face"), encoding="utf-8")
    print("\n".join(maximise_sentences(found)))
    return found


if __name__ == "__main__":
    main()
