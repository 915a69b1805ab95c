"""A skorch net, watched by a callback: `python examples/skorch_net.py`."""

import torch
from skorch import NeuralNetClassifier
from torch import nn

from unbend import load
from unbend.integrations.skorch import watch_callback


def main(epochs: int = 10):
    digits = load.data("digits")
    torch.manual_seed(0)
    callback = watch_callback(every=10, budget=None, file="run.unbend")
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam, lr=3e-3, max_epochs=epochs, batch_size=128, callbacks=[callback], verbose=0,
    )  # fmt: skip
    net.fit(digits.x.numpy(), digits.y.numpy())

    print("held-out read-out of layer 1:", callback.watch_.history.layer("1", "readout").round(2))
    return net.module_, callback.watch_


if __name__ == "__main__":
    main()
