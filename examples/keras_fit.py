"""A Keras model on the torch backend, watched while it is fitted: `python examples/keras_fit.py`."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras

from unbend import load
from unbend.integrations.keras import watch_callback
from unbend.load.keras import from_keras


def main(epochs: int = 10):
    digits = load.data("digits")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.layers.Input((64,)), keras.layers.Dense(32, activation="relu", name="hidden"),
        keras.layers.Dense(10, name="scores"),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss)
    callback = watch_callback(every=10, file="run.unbend")
    model.fit(digits.x.numpy(), digits.y.numpy(), batch_size=128, epochs=epochs, verbose=0, callbacks=[callback])

    print("gradient:", callback.watch.history.value("gradient").round(3))
    print(from_keras(model))  # what `unbend.study(model, (x, y))` and `unbend report model.keras data` look at
    return model, callback.watch


if __name__ == "__main__":
    main()
