"""A trained CNN on a plane through three real images, and MTCNN's pretrained P-Net with its odd PReLU slopes."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unbend.capture.lower import lower
from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.cells.certificate import certify

FASHION = Path("/usr/share/datasets/fashion-mnist")


def trained_cnn(x, y, *, steps, size):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, stride=size), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.LazyLinear(24), nn.ReLU(), nn.Linear(24, 10),
    )  # fmt: skip
    model(x[:2])
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(steps):
        rows = torch.arange(step * 64, step * 64 + 64) % len(x)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model.eval()


def assert_right(model, x, shape, window):
    images = [image.numpy().astype(np.float64) for image in x]
    whole = Plane.through(*images)
    middle = whole.corners.mean(axis=0)  # the window lies round the three images' mean
    plane = Plane(whole.origin, whole.u, whole.v, window * (whole.corners - middle))
    net = lower(model, shape)
    found = cells(net, plane)
    assert found.is_complete
    assert len(found.vertices) - len(found.edges) + found.n_faces == 1
    assert found.areas().sum() == pytest.approx(plane.area, rel=1e-12)
    points = np.random.default_rng(0).uniform(*plane.corners[[0, 2]], (300, 2))
    with torch.no_grad():
        want = model.double()(torch.from_numpy(plane.lift(points)).reshape(-1, *shape)).flatten(1).numpy()
    face = found.locate(points)
    weight, bias = found.affine(face)
    told = np.einsum("nkd,nd->nk", weight, points) + bias
    assert np.abs(told - want).max() < 1e-9 * (1 + np.abs(want).max())
    here, there = found.network.bits(points), found.bits(face)
    tied = found.network.ties(points, 1e-12)  # equal patches of an image: candidates equal but for rounding
    assert tied.mean() < 0.2
    assert (found.network.states(here | tied) == found.network.states(there | tied)).all()
    return found


def test_a_digits_cnn_on_a_plane_through_three_images():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
    model = trained_cnn(x, torch.tensor(y), steps=60, size=1)
    found = assert_right(model, x[:3], (1, 8, 8), 0.08)
    assert found.n_faces > 50
    edge = boundary(found)
    assert edge.class_areas.sum() == pytest.approx(found.plane.area, rel=1e-9)


@pytest.mark.fashion
@pytest.mark.skipif(not FASHION.exists(), reason="needs the Debian package dataset-fashion-mnist")
def test_a_fashion_cnn_on_a_plane_through_three_images():
    def read(name, skip):
        return np.frombuffer(gzip.decompress((FASHION / name).read_bytes()), np.uint8, offset=skip)

    x = torch.tensor(read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[:2000] / 255.0, dtype=torch.float32)
    y = torch.tensor(read("t10k-labels-idx1-ubyte.gz", 8)[:2000].astype(np.int64))
    model = trained_cnn(x, y, steps=30, size=2)
    found = assert_right(model, x[:3], (1, 28, 28), 0.1)
    assert found.n_faces > 50


class PNet(nn.Module):
    """MTCNN's first stage, without its softmax."""

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 10, 3), nn.PReLU(10), nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x):
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return torch.cat([self.conv4_2(x), self.conv4_1(x)], 1)


def test_the_pretrained_pnet_with_negative_slopes():
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        package = distribution("facenet-pytorch")
    except PackageNotFoundError:
        pytest.skip("needs pip install --no-deps facenet-pytorch")
    model = PNet()
    weights = package.locate_file("facenet_pytorch/data/pnet.pt")
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    slopes = torch.cat([model.prelu1.weight, model.prelu2.weight, model.prelu3.weight])
    assert slopes.min() < 0
    x = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    found = assert_right(model, x, (3, 12, 12), 0.02)
    assert found.n_faces > 50
    assert certify(found, rational=False).n_witnessed > 0.99 * found.n_faces
