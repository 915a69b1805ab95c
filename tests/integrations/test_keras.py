"""A Keras model on the torch backend, watched while it is fitted."""

import os

import numpy as np
import pytest
from tests.integrations.test_trainers import rows

pytestmark = pytest.mark.filterwarnings("ignore")
"""Keras warns of its own."""


def test_keras_fit():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError:
        pytest.skip("keras is not installed (extra keras)")
    if keras.backend.backend() != "torch":
        pytest.skip(f"keras runs on {keras.backend.backend()} here")
    from unbend.integrations.keras import watch_callback

    def fit(callbacks):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([
            keras.layers.Input((20,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(16),
            keras.layers.Activation("tanh"), keras.layers.Dense(3),
        ])  # fmt: skip
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss)
        x, y = rows()
        model.fit(x.numpy(), y.numpy(), batch_size=32, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
        return model

    callback = watch_callback(every=1, budget=None)
    one, other = fit([]), fit([callback])
    assert all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    h = callback.watch.history
    assert h.steps.tolist()[-1] == 12
    assert len(h.snapshots) >= 11
    assert (h.value("gradient")[1:] > 0).all()
    moved = np.stack([h.layer(layer.name, "update") for layer in h.about.layers])
    assert np.nanmax(moved) > 0
    np.testing.assert_allclose(h.value("learning_rate"), 1e-2, rtol=1e-6)
    assert np.isfinite(h.value("loss")).all()
