"""Convolutional networks, in one, two and three dimensions."""

import torch
from tests.architectures.entry import Entry, Net, normal, residual
from torch import nn
from torch.nn import functional as F

MAPS, LINES = {"*": "ncpp"}, {"*": "ncp"}
IMAGES = normal(3, 8, 8)


def headed(*body: nn.Module, width: int) -> nn.Sequential:
    """A body, the mean over positions, a read-out."""
    return nn.Sequential(nn.Sequential(*body), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))


BODY = {"*": "ncpp", "3": "nc"}


def block(a: int, b: int, **settings) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, **settings), nn.BatchNorm2d(b), nn.ReLU())


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.three, self.five = (nn.Conv2d(3, w, k, padding=k // 2) for w, k in ((2, 1), (3, 3), (4, 5)))

    def forward(self, x):
        return F.relu(torch.cat([self.one(x), self.three(x), self.five(x)], 1))


class Squeeze(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Linear(width, 2), nn.Linear(2, width)

    def forward(self, x):
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.deep = block(3, 4), block(4, 8)
        self.up, self.merge, self.head = nn.ConvTranspose2d(8, 4, 2, 2), block(8, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        wide = self.down(x)
        deep = self.deep(F.max_pool2d(wide, 2))
        return self.head(self.merge(torch.cat([wide, self.up(deep)], 1)))


class Causal(nn.Module):
    def __init__(self, a, b, dilation):
        super().__init__()
        self.crop, self.conv = 2 * dilation, nn.Conv1d(a, b, 3, padding=2 * dilation, dilation=dilation)

    def forward(self, x):
        return F.relu(self.conv(x)[:, :, : -self.crop])


class Shuffle(nn.Module):
    def forward(self, x):
        return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


class ChannelNorm(nn.Module):
    """A norm over channels, written by hand for maps."""

    def __init__(self, width):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.rand(width, 1, 1)), nn.Parameter(torch.rand(width, 1, 1))

    def forward(self, x):
        centred = x - x.mean(1, keepdim=True)
        return self.gain * centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt() + self.shift


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 2 * i, 2, 3, padding=1) for i in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, torch.relu(layer(x))], 1)
        return x


class Nhwc(nn.Module):
    """Works with the channels last."""

    def __init__(self):
        super().__init__()
        self.stem, self.up, self.down = nn.Conv2d(3, 4, 3), nn.Linear(4, 6), nn.Linear(6, 4)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x):
        h = self.norm(self.stem(x).permute(0, 2, 3, 1))
        return self.head((h + self.down(F.gelu(self.up(h)))).mean((1, 2)))


class OwnChannel(nn.Module):
    """Takes [n, h, w] and adds the axis of channels itself."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.conv(x.unsqueeze(1))).amax((2, 3)))


def gated(s, x):
    return s.head(F.glu(s.conv(x), 1).mean((2, 3)))


def coordinates(s, x):
    grid = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")).expand(len(x), 2, 8, 8)
    return s.conv(torch.cat([x, grid], 1))


def spatial(s, x):
    seen = torch.stack([x.mean(1), x.amax(1)], 1)
    return s.body(x * torch.sigmoid(s.look(seen)))


ENTRIES = [
    Entry(name="plain convolutional", inputs=IMAGES, axes={"[01]": "ncpp", "4": "nc"},
          build=lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))),
    Entry(name="convolutional in one dimension", inputs=normal(2, 12), axes={"[012]": "ncp"},
          build=lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.GELU(), nn.AdaptiveAvgPool1d(1),
                                      nn.Flatten(), nn.Linear(4, 2))),
    Entry(name="convolutional in three dimensions", inputs=normal(1, 5, 6, 6), axes={"[01]": "ncppp"},
          build=lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.SiLU(), nn.AdaptiveMaxPool3d(1), nn.Flatten(),
                                      nn.Linear(4, 2))),
    Entry(name="deep plain (VGG)", inputs=IMAGES, axes=BODY,
          build=lambda: headed(block(3, 4), block(4, 4), nn.MaxPool2d(2), block(4, 6), width=6)),
    Entry(name="residual", inputs=IMAGES, axes=BODY,
          build=lambda: headed(block(3, 4), residual(*block(4, 4), nn.Conv2d(4, 4, 3, padding=1)), nn.ReLU(), width=4)),
    Entry(name="pre-activation residual", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 1), residual(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1)), width=4)),
    Entry(name="bottleneck residual", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 8, 1), residual(*block(8, 2), nn.Conv2d(2, 8, 1)), width=8)),
    Entry(name="dense", inputs=IMAGES, axes=BODY, build=lambda: headed(Dense(), nn.BatchNorm2d(9), width=9)),
    Entry(name="depthwise separable", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 6, 1), nn.ReLU6(), width=6)),
    Entry(name="inverted bottleneck", inputs=IMAGES, axes=BODY,
          build=lambda: headed(residual(nn.Conv2d(3, 9, 1), nn.Hardswish(), nn.Conv2d(9, 9, 3, padding=1, groups=9),
                                        nn.Hardswish(), nn.Conv2d(9, 3, 1)), width=3)),
    Entry(name="shuffled groups", inputs=normal(4, 8, 8), axes=BODY,
          build=lambda: headed(nn.Conv2d(4, 6, 1, groups=2), Shuffle(), nn.Conv2d(6, 4, 3, groups=2), nn.ReLU(),
                               width=4)),
    Entry(name="dilated", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 3, dilation=2), nn.LeakyReLU(), nn.Conv2d(4, 4, 2, dilation=3), width=4)),
    Entry(name="inception", inputs=IMAGES, axes=BODY, build=lambda: headed(Inception(), width=9)),
    Entry(name="squeeze and excite", inputs=IMAGES, axes={**BODY, "*.down": "nc", "*.up": "nc", "*:relu": "nc",
                                                          "*:sigmoid": "nc"},
          build=lambda: headed(nn.Conv2d(3, 4, 3), Squeeze(4), width=4)),
    Entry(name="spatial attention", inputs=IMAGES, axes=MAPS,
          build=lambda: Net(spatial, look=nn.Conv2d(2, 1, 3, padding=1), body=nn.Conv2d(3, 4, 3))),
    Entry(name="U-Net", inputs=IMAGES, axes=MAPS, build=UNet),
    Entry(name="fully convolutional", inputs=IMAGES, axes=MAPS,
          build=lambda: nn.Sequential(block(3, 4), nn.Dropout2d(), nn.Conv2d(4, 2, 1))),
    Entry(name="pixel shuffle", inputs=IMAGES, axes=MAPS,
          build=lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.PixelShuffle(2), nn.Conv2d(2, 3, 1))),
    Entry(name="convolutional mixer", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 2, 2), nn.GELU(), residual(nn.Conv2d(4, 4, 3, padding=1, groups=4),
                                                                        nn.GELU()), nn.Conv2d(4, 4, 1), width=4)),
    Entry(name="group norm", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Mish(), width=4)),
    Entry(name="instance norm", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ELU(), width=4)),
    Entry(name="layer norm over whole maps", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 3), nn.LayerNorm([4, 6, 6]), nn.ReLU(), width=4)),
    Entry(name="channel norm by hand", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 3), ChannelNorm(4), nn.ReLU(), width=4)),
    Entry(name="channels last", inputs=IMAGES, axes={"*": "nppc", "stem": "ncpp", "head": "nc"}, build=Nhwc),
    Entry(name="channel axis added in forward", inputs=normal(8, 8), axes={"*": "ncpp", "head": "nc"},
          build=OwnChannel),
    Entry(name="gated linear unit over channels", inputs=IMAGES, axes={"conv": "ncpp"},
          build=lambda: Net(gated, conv=nn.Conv2d(3, 8, 3), head=nn.Linear(4, 2))),
    Entry(name="coordinates as channels", inputs=IMAGES, axes={"*": "ncpp"},
          build=lambda: Net(coordinates, conv=nn.Conv2d(5, 4, 3))),
    Entry(name="activations in place", inputs=IMAGES, axes=BODY,
          build=lambda: headed(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3),
                               nn.LeakyReLU(inplace=True), width=4)),
    Entry(name="temporal convolutional, cropped to be causal", inputs=normal(2, 10), axes={"*": "ncp", "head": "nc"},
          build=lambda: Net(lambda s, x: s.head(s.second(s.first(x))[:, :, -1]), first=Causal(2, 4, 1),
                            second=Causal(4, 4, 2), head=nn.Linear(4, 2))),
]  # fmt: skip
