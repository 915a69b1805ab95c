"""Two small networks for images.

In: sizes. Out: a plain `nn.Sequential`. This module must not know data or training.
"""

from torch import nn

from unbend.errors import ShapeError
from unbend.zoo.activations import activation as as_activation
from unbend.zoo.networks import Bend, mlp
from unbend.zoo.randomness import seeded


def lenet_300_100(*, d: int = 784, n_classes: int = 10, seed: int | None = None) -> nn.Sequential:
    """LeNet-300-100: a ReLU perceptron with 300 and 100 hidden units; 266,610 weights for 28 x 28 images.

    Its first module flattens images to rows.

    Args:
        d: pixels of an image.
        n_classes: outputs.
        seed: of the initial weights; None draws from torch's global generator.

    Source:
        LeCun et al. (1998); the network of Frankle & Carbin (2019).
    """
    return nn.Sequential(nn.Flatten(), *mlp([d, 300, 100, n_classes], seed=seed))


def small_cnn(
    *,
    side: int = 28,
    n_channels: int = 1,
    n_classes: int = 10,
    activation: Bend = "relu",
    seed: int | None = None,
) -> nn.Sequential:
    """Two convolutions of 16 and 32 channels with max pooling, then 64 units.

    104,938 weights for 28 x 28 images.

    Args:
        side: height and width of an image, a multiple of 4.
        n_channels: 1 for grey, 3 for colour.
        n_classes: outputs.
        activation: after every layer but the last.
        seed: of the initial weights; None draws from torch's global generator.

    Raises:
        ShapeError: a side that is no multiple of 4.
    """
    if side < 4 or side % 4:
        message = f"side: expected a multiple of 4, as the image is halved twice, got {side}."
        raise ShapeError(message)
    bend = as_activation(activation)
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(n_channels, 16, 3, padding=1),
            bend.module(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            bend.module(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, 64),
            bend.module(),
            nn.Linear(64, n_classes),
        )
