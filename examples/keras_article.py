"""The network of articles for beginners, in Keras, with its lines and planes: `python examples/keras_article.py`.

Two tanh units and a sigmoid tell a diagonal strip from its sides: Adam, batches of 10, 100 epochs. Each hidden unit
is 0 on a line of the input plane. In the plane of the two units the classes can be parted by one line, that of the
output; taken back to the input it is the decision boundary, which runs beside the two lines and not on them. Whether
a line parts the classes is decided and proved, before the units and behind them.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from matplotlib.figure import Figure

import unbend
from unbend import zoo
from unbend.load.keras import from_keras

COLOURS = ("#0072b2", "#d55e00")


def main(epochs: int = 100, rate: float = 0.001):
    data = zoo.strip(200, held_out=0.0, seed=0)
    x, y = data.x_train.numpy(), data.y_train.numpy()

    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.layers.Input((2,)),
        keras.layers.Dense(2, activation="tanh", name="hidden"),
        keras.layers.Dense(1, activation="sigmoid", name="output"),
    ])  # fmt: skip
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=10, epochs=epochs, verbose=0)
    print(f"accuracy after {epochs} epochs at the rate {rate}: {model.evaluate(x, y, verbose=0)[1]:.1%}")

    net = from_keras(model)  # hidden, hidden_tanh, output, output_sigmoid: modules of torch
    with torch.no_grad():
        a = net.hidden_tanh(net.hidden(data.x_train)).numpy()
    print("in the input plane:", type(unbend.separate(x, y)).__name__)
    print("in the plane of the units:", type(unbend.separate(a, y)).__name__)
    draw(net, x, a, y).savefig(f"article_{rate}.png", dpi=150)
    return model, net


def draw(net, x, a, y):
    """The input plane with the units' lines and the boundary, and the plane of the units with the output's line."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set(xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), xlabel="x1", ylabel="x2", title="input: a line for each hidden unit")
    right.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xlabel="a1", ylabel="a2", title="hidden: the line of the output")
    for label, colour in enumerate(COLOURS):
        left.plot(*x[y == label].T, "os"[label], color=colour, markersize=3)
        right.plot(*a[y == label].T, "os"[label], color=colour, markersize=3)
    for axes, layer, style in ((left, net.hidden, "--"), (right, net.output, "-")):
        for w, b in zip(layer.weight.detach().numpy(), layer.bias.detach().numpy(), strict=True):
            axes.axline(-b * w / (w @ w), slope=-w[0] / w[1], color="black", linestyle=style)  # w · x + b = 0
    grid = np.linspace(-2.8, 2.8, 200, dtype=np.float32)
    plane = torch.from_numpy(np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2))
    with torch.no_grad():
        left.contour(grid, grid, net(plane).reshape(200, 200).numpy(), levels=[0.5], colors="black")
    return figure


if __name__ == "__main__":
    main()  # Keras's own rate, as it is told: it does not get there
    main(rate=0.01)
