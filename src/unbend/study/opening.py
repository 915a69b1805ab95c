"""What stands first where a person names no network: classes that no line parts, and the layer in which one does.

In: a network whose last hidden layer has two units, and its training rows. Out: an `Opening`: both planes, and a proof
for each. Must not know how it is shown.
"""

from typing import Any

from unbend._typing import Array, Float64, Int64
from unbend.errors import DataError
from unbend.numerics import separable
from unbend.numerics.result import result


@result
class Opening:
    """The same rows in the plane of the input, where the classes overlap, and in that of the last hidden layer.

    Attributes:
        network: what the network is called.
        data: what the data are called.
        inputs: the rows [n, 2].
        hidden: what the two units of the last hidden layer put out for them [n, 2].
        labels: their classes, 0 or 1 [n].
        before: the proof that no line parts the classes among the inputs.
        after: the proof that one does in the hidden layer.
        held_out: accuracy of the network on rows it has not seen.
    """

    network: str
    data: str
    inputs: Float64[Array, "n 2"]
    hidden: Float64[Array, "n 2"]
    labels: Int64[Array, "n"]
    before: separable.Overlap
    after: separable.Separation
    held_out: float


def opening(model: Any, data: Any, *, network: str, name: str) -> Opening:
    """Both planes of a network's rows with their proofs.

    Args:
        model: an `nn.Sequential` of two inputs, its last hidden layer of two units.
        data: its training and its held-out rows, as the zoo gives them.
        network: what to call the network.
        name: what to call the data.

    Raises:
        DataError: the classes do not overlap in the input, or are not separable in the hidden layer.
    """
    import torch

    x, y = data.train
    with torch.no_grad():
        hidden = model[:-1](x)
        right = model(data.x_test).argmax(1) == data.y_test
    before, after = separable.separate(x, y), separable.separate(hidden, y)
    if not (isinstance(before, separable.Overlap) and isinstance(after, separable.Separation)):
        raise DataError(
            f"opening: expected an overlap that a layer undoes, got {before} and {after}. Take another seed."
        )
    return Opening(
        network=network, data=name, inputs=x.double().numpy(), hidden=hidden.double().numpy(), labels=y.numpy(),
        before=before, after=after, held_out=float(right.double().mean()),
    )  # fmt: skip
