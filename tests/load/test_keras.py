"""Keras models on the torch backend: the numbers are Keras's, the layers have their names and torch's weights."""

import copy
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend.cli.main import main
from unbend.errors import LoadError, UnsupportedError
from unbend.load.keras import from_keras, is_keras
from unbend.load.keras.layers import LAYERS

pytestmark = pytest.mark.filterwarnings("ignore")
"""Keras warns of its own, and takes seconds to load: in one worker."""


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = pytest.importorskip("keras", reason="keras is not installed (extra keras)")
    if found.backend.backend() != "torch":
        pytest.skip(f"keras runs on {found.backend.backend()} here")
    return found


def filled(keras, inputs, outputs):
    """A model whose every weight counts: no bias is 0, no norm leaves things as they are."""
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "seed" not in weight.path:
            is_variance = "variance" in weight.path
            weight.assign(rng.uniform(0.2, 1, weight.shape) if is_variance else 0.4 * rng.standard_normal(weight.shape))
    return model


def images(keras):
    """Every layer of maps: strides that leave a rest, padding on one side, branches that meet again."""
    L = keras.layers
    x = L.Input((9, 8, 3))
    h = L.Conv2D(6, 3, padding="same", strides=2, activation="relu", name="conv")(x)
    h = L.BatchNormalization(name="norm")(h)
    other = L.Conv2D(6, (1, 2), padding="same", use_bias=False)(
        L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(h)
    )
    h = L.MaxPooling2D(3, 2, padding="same")(L.Add(name="plus")([h, other]))
    h = L.Concatenate()([L.AveragePooling2D(2, 1)(h), L.LayerNormalization()(L.AveragePooling2D(2, 1)(h))])
    h = L.SpatialDropout2D(0.3)(L.Dense(5, activation="softmax", name="mix")(h))
    parts = [L.Flatten(name="flat")(h), L.GlobalAveragePooling2D()(h), L.GlobalMaxPooling2D()(h)]
    return filled(keras, x, L.Dense(3, activation="softmax", name="out")(L.Concatenate()(parts)))


def words(keras):
    """Every layer of sequences."""
    L = keras.layers
    x = L.Input((12,))
    h = L.Conv1D(8, 3, padding="causal", activation="gelu", name="conv")(L.Embedding(20, 6, name="embed")(x))
    h = L.MaxPooling1D(2)(L.BatchNormalization()(h))
    h = L.GRU(5, return_sequences=True)(L.LSTM(7, return_sequences=True, name="memory")(h))
    h = L.Concatenate()([L.SimpleRNN(4)(L.Dropout(0.1)(h)), L.GlobalMaxPooling1D()(h), L.GlobalAveragePooling1D()(h)])
    return filled(keras, x, L.Dense(2)(h))


def attending(keras):
    """Attention of a sequence to itself and to another, both ways of time, and units in their own scale."""
    L = keras.layers
    x = L.Input((6, 8), name="x")
    scale = L.Normalization(mean=np.linspace(-1, 1, 8), variance=np.linspace(0.5, 2, 8), name="scale")
    h = L.MultiHeadAttention(2, 4, name="heads")(scale(x), x)
    h = L.Bidirectional(L.LSTM(3, return_sequences=True), name="ways")(L.Add()([h, x]))
    other = L.Bidirectional(L.GRU(8, return_sequences=True), merge_mode="ave")(h)
    h = L.MultiHeadAttention(2, 3, use_bias=False)(query=h, value=other, key=L.Dense(5)(x))
    parts = [L.Bidirectional(L.SimpleRNN(4), merge_mode=mode)(h) for mode in ("concat", "sum", "mul")]
    return filled(keras, x, L.Dense(2)(L.Concatenate()(parts)))


def growing(keras):
    """Transposed convolutions of every padding."""
    L = keras.layers
    x = L.Input((4, 5, 3))
    h = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="up")(L.Normalization(
        mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0])(x))  # fmt: skip
    h = L.Conv2DTranspose(3, (4, 2), strides=2, use_bias=False)(L.Conv2DTranspose(2, 4, strides=2, padding="same")(h))
    h = L.Conv1DTranspose(2, 3, strides=2, padding="same")(L.Reshape((-1, 3))(h))
    return filled(keras, x, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


def shared(keras):
    """A layer that is called twice, an operator, a model in the model, two outputs."""
    L = keras.layers
    x = L.Input((12,), name="x")
    twice = L.Dense(12, activation="tanh", name="twice")
    h = L.Conv2D(2, 2)(L.Reshape((2, 3, 2))(twice(twice(L.Rescaling(0.5, 1)(x))) + x))
    inner = keras.Sequential([L.Input((4,)), L.Dense(3, name="own"), L.LeakyReLU(), L.ReLU(6.0)], name="inner")
    out = inner(L.Reshape((-1,))(h))
    return filled(keras, x, [out, L.Maximum()([out, L.ELU()(L.Subtract()([out, L.Dense(3)(x)]))])])


def rows(build):
    g = torch.Generator().manual_seed(1)
    return {
        images: torch.rand(7, 9, 8, 3, generator=g), words: torch.randint(20, (7, 12), generator=g),
        shared: torch.randn(7, 12, generator=g), attending: torch.randn(7, 6, 8, generator=g),
        growing: torch.rand(7, 4, 5, 3, generator=g),
    }[build]  # fmt: skip


@pytest.mark.parametrize("build", [images, words, shared, attending, growing])
def test_outputs_are_those_of_keras_to_rounding_and_of_copies_too(keras, build):
    model, x = build(keras), rows(build)
    found = from_keras(model)
    with torch.no_grad():
        wanted, got = model(x, training=False), found(x)
        again = pickle.loads(pickle.dumps(copy.deepcopy(found)))(x)
    for its, mine, copied in zip(
        *((v if isinstance(v, (list, tuple)) else [v]) for v in (wanted, got, again)), strict=True
    ):
        torch.testing.assert_close(mine, its.detach(), rtol=1e-5, atol=1e-6)
        assert torch.equal(mine, copied)
        assert mine.std() > 0.01


def test_layers_have_the_names_of_keras_and_torchs_weights(keras):
    model = images(keras)
    found = from_keras(model)
    names = [name for name, _ in found.named_children()]
    own = ["conv", "conv_relu", "norm", "mix", "mix_softmax", "flat", "out", "out_softmax"]
    assert [name for name in names if name in own] == own
    assert set(names) <= {layer.name for layer in model.layers} | {"conv_relu", "mix_softmax", "out_softmax"}
    assert torch.equal(found.out.weight, model.get_layer("out").kernel.value.detach().T)
    assert torch.equal(found.conv.weight, model.get_layer("conv").kernel.value.detach().permute(3, 2, 0, 1))
    assert isinstance(from_keras(words(keras)).memory, nn.LSTM)
    parts = [type(part) for part in from_keras(shared(keras)).inner.children()]
    assert parts == [nn.Linear, nn.LeakyReLU, nn.ReLU6]
    assert is_keras(model)
    assert not is_keras(found)


def test_a_study_names_keras_layers_and_counts_channels(keras):
    L = keras.layers
    x = L.Input((9, 8, 3))
    h = L.BatchNormalization(name="norm")(L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv")(x))
    model = filled(keras, x, L.Dense(2, name="out")(L.GlobalAveragePooling2D()(h)))
    study = unbend.study(model, (torch.rand(60, 9, 8, 3), torch.arange(60) % 2), twin=False)
    kinds = {layer.name: (layer.kind, layer.shape) for layer in study.layers}
    assert kinds["conv"] == ("affine", (6, 5, 4))
    assert kinds["conv_relu"] == ("activation", (6, 5, 4))
    assert kinds["norm"] == ("norm", (6, 5, 4))
    assert kinds["out"] == ("affine", (2,))


def test_a_file_is_reported_from_the_command_line(keras, tmp_path, capsys):
    L = keras.layers
    x = L.Input((4, 4, 1))
    model = filled(keras, x, L.Dense(2, name="head")(L.Flatten()(L.Conv2D(3, 2, activation="relu", name="conv")(x))))
    place, data = tmp_path / "net.keras", np.random.default_rng(0).random((40, 4, 4, 1), np.float32)
    model.save(place)
    with torch.no_grad():
        torch.testing.assert_close(unbend.load.model(str(place))(torch.from_numpy(data)), model(data).detach())
    np.savez(tmp_path / "data.npz", x=data, y=np.arange(40) % 2)
    with pytest.raises(SystemExit, match="0"):
        main(["report", str(place), str(tmp_path / "data.npz"), "-o", str(tmp_path / "page.html")])
    assert "conv_relu" in capsys.readouterr().out
    assert "conv_relu" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_what_is_not_translated_is_refused_in_words(keras, monkeypatch):
    L = keras.layers
    x = L.Input((4, 3))
    with pytest.raises(UnsupportedError, match=r"layer 'heads' \(MultiHeadAttention\) has heads that are not together"):
        from_keras(keras.Model(x, L.MultiHeadAttention(2, 3, name="heads")(x, x)))
    with pytest.raises(UnsupportedError, match="has a mask"):
        from_keras(keras.Model(x, L.MultiHeadAttention(3, 1)(x, x, use_causal_mask=True)))
    with pytest.raises(UnsupportedError, match="layer 'dots' is a Attention, which unbend does not"):
        from_keras(keras.Model(x, L.Attention(name="dots")([x, x])))
    with pytest.raises(UnsupportedError, match="strides wider than its window"):
        from_keras(keras.Model(x, L.Conv1DTranspose(2, 2, strides=3)(x)))
    with pytest.raises(UnsupportedError, match="goes backwards"):
        from_keras(keras.Model(x, L.LSTM(5, go_backwards=True)(x)))
    with pytest.raises(UnsupportedError, match="has the recurrent_activation 'relu'"):
        from_keras(keras.Model(x, L.GRU(5, recurrent_activation="relu")(x)))
    with pytest.raises(UnsupportedError, match="is not built yet"):
        from_keras(keras.Sequential([L.Dense(3)]))

    class Dense(L.Layer):
        def call(self, x):
            return x * 3

    with pytest.raises(UnsupportedError, match="is a Dense, which"):
        from_keras(keras.Model(x, Dense()(x)))
    monkeypatch.setitem(LAYERS, "ReLU", LAYERS["ELU"])
    monkeypatch.setattr(L.ReLU, "alpha", 1.0, raising=False)
    with pytest.raises(UnsupportedError, match="outputs differ"):
        from_keras(keras.Model(x, L.ReLU()(x)))


def test_a_file_runs_nothing_of_its_own(keras, tmp_path):
    L = keras.layers
    x = L.Input((4,))

    def save(name, outputs):
        keras.Model(x, outputs).save(tmp_path / name)
        return str(tmp_path / name)

    with pytest.raises(LoadError, match=r"holds code of its own \(Lambda\)"):
        unbend.load.model(save("lambda.keras", L.Lambda(lambda v: v * 2)(x)))
    with pytest.raises(UnsupportedError, match="holds a layer UnitNormalization"):
        unbend.load.model(save("other.keras", L.UnitNormalization()(x)))
    place = save("plain.keras", L.Dense(2, activation="relu")(x))
    for home, kind in (("os", "system"), ("builtins", "eval"), ("keras.utils", "get_file"), ("", "anything")):
        with zipfile.ZipFile(place) as old, zipfile.ZipFile(tmp_path / "evil.keras", "w") as new:
            for name in old.namelist():
                config = json.loads(old.read(name)) if name == "config.json" else None
                if config is not None:
                    its = config["config"]["layers"][1]["config"]
                    its["activation"] = {"module": home, "class_name": kind, "config": "x", "registered_name": None}
                new.writestr(name, old.read(name) if config is None else json.dumps(config))
        with pytest.raises(LoadError, match=rf"holds code of its own \({kind}\)"):
            unbend.load.model(str(tmp_path / "evil.keras"))
    (tmp_path / "bad.keras").write_bytes(b"nothing")
    with pytest.raises(LoadError, match=r"is not a \.keras file"):
        unbend.load.model(str(tmp_path / "bad.keras"))
    (tmp_path / "old.h5").write_bytes(b"nothing")
    with pytest.raises(LoadError, match="Keras's old format"):
        unbend.load.model(str(tmp_path / "old.h5"))


def test_another_backend_gets_a_sentence(keras, monkeypatch, tmp_path):
    model = shared(keras)
    model.save(tmp_path / "net.keras")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UnsupportedError, match="the backend is jax"):
        unbend.study(model, (torch.randn(20, 12), torch.arange(20) % 2))
    with pytest.raises(UnsupportedError, match="Keras runs on jax here"):
        unbend.load.model(str(tmp_path / "net.keras"))
