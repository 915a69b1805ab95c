"""A Keras model on the torch backend, watched while it is fitted."""

import os

import numpy as np
import pytest
from tests.integrations.test_trainers import rows

import unbend

pytestmark = pytest.mark.filterwarnings("ignore")
"""Keras warns of its own."""


@pytest.fixture
def keras():
    """Keras on torch."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError:
        pytest.skip("keras is not installed (extra keras)")
    if keras.backend.backend() != "torch":
        pytest.skip(f"keras runs on {keras.backend.backend()} here")
    return keras


def test_keras_fit(keras):
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
    assert h.steps.tolist() == list(range(1, 13))
    assert (h.value("gradient") > 0).all()
    assert [layer.module for layer in h.about.layers] == ["Dense", "Dense", "Dense"]
    assert [layer.name for layer in h.about.layers] == [layer.name for layer in other.layers if layer.weights]
    assert (np.stack([h.layer(layer.name, "update") for layer in h.about.layers]) > 0).all()
    assert h.about.notes[0].startswith("Keras calls its layers past torch's hooks")
    np.testing.assert_allclose(h.value("learning_rate"), 1e-2, rtol=1e-6)
    assert np.isfinite(h.value("loss")).all()


def models(keras):
    """Models of every kind, some of which are built by `fit` only."""
    layers = keras.layers

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.scores = layers.Dense(16, activation="relu", name="half"), layers.Dense(3, name="scores")
            self.shift = self.add_weight(shape=(3,), name="shift")

        def call(self, x):
            return self.scores(self.hidden(x)) + self.shift

    def functional():
        given = layers.Input((20,))
        inner = keras.Sequential([layers.Dense(16, activation="relu", name="a"), layers.Dense(8, name="b")], name="in")
        return keras.Model(given, layers.Dense(3, name="scores")(inner(given)))

    return {
        "unbuilt": (lambda: keras.Sequential([layers.Dense(16, name="first"), layers.Dense(3, name="second")]),
                    ["first", "second"]),
        "subclassed": (Subclassed, ["", "half_", "scores"]),
        "nested": (functional, ["in.a", "in.b", "scores"]),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["unbuilt", "subclassed", "nested"])
def test_a_keras_model_of_any_kind_is_watched_layer_by_layer(keras, kind, tmp_path):
    from unbend.integrations.keras import watch_callback

    make, names = models(keras)[kind]
    x, y = (part.numpy() for part in rows())

    def fit(callbacks):
        keras.utils.set_random_seed(3)
        model = make()
        model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, batch_size=64, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
        return model.get_weights()

    callback = watch_callback(every=1, budget=None, file=tmp_path / "run.unbend")
    assert all((a == b).all() for a, b in zip(fit([]), fit([callback]), strict=True))
    kept = unbend.open_history(tmp_path / "run.unbend")
    assert kept.steps.tolist() == [1, 2, 3]
    assert [layer.name for layer in kept.about.layers] == names
    assert all((kept.layer(name, "gradient") > 0).all() for name in names)


def test_keras_optimisers_that_add_batches_up_or_scale_the_loss_tell_their_own_steps_and_gradients(keras):
    from unbend.integrations.keras import watch_callback

    def fit(optimiser):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.layers.Input((20,)), keras.layers.Dense(3)])
        model.compile(optimizer=optimiser, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        callback = watch_callback(every=1, budget=None)
        x, y = rows()
        model.fit(x.numpy(), y.numpy(), batch_size=32, epochs=1, verbose=0, shuffle=False, callbacks=[callback])
        return callback.watch.history

    plain = fit(keras.optimizers.SGD(0.0))
    added = fit(keras.optimizers.SGD(0.0, gradient_accumulation_steps=2))
    scaled = fit(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0)))
    assert added.steps.tolist() == [1, 2, 3]
    np.testing.assert_allclose(added.value("gradient"), plain.value("gradient")[1::2], rtol=1e-5)
    assert scaled.steps.tolist() == plain.steps.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(scaled.value("gradient"), plain.value("gradient"), rtol=1e-3)
    np.testing.assert_allclose(scaled.value("clipped"), 1, rtol=1e-6)
