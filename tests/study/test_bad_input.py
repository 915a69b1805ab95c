"""Every bad input of a study ends in one clear sentence."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from unbend.errors import DataError, LayerError, ModelError, ShapeError
from unbend.load import Data
from unbend.study.progress import Progress
from unbend.study.study import study

torch.set_num_threads(1)
N = 60


def rows(n=N, d=4, k=3):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(n) % k


def net(d=4, k=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(d, 6), nn.ReLU(), nn.Linear(6, k))


def refused(error, words, *args, **settings):
    with pytest.raises(error, match=words) as caught:
        study(*args, twin=False, **settings)
    sentence = str(caught.value)
    assert sentence.endswith((".", "?", ")"))
    assert "\n" not in sentence
    assert len(sentence) < 400


FORMS = pytest.mark.parametrize("form", ["pair", "dataset", "loader", "data"])


def made(form, x, y):
    data = TensorDataset(x, torch.as_tensor(y)) if form in {"dataset", "loader"} else None
    return {"pair": (x, y), "dataset": data, "loader": data and DataLoader(data, batch_size=16, shuffle=True),
            "data": Data(x, torch.as_tensor(y))}[form]  # fmt: skip


@FORMS
def test_labels_beyond_the_outputs(form):
    x, _ = rows()
    y = torch.arange(N) % 6
    refused(
        DataError, r"^y: expected class indices in \[0, 3\), .* puts out 3 numbers .* got 5", net(), made(form, x, y)
    )


def test_an_encoder_with_fewer_numbers_than_classes_is_studied_when_that_is_said():
    x, _ = rows()
    found = study(net(k=2), (x, torch.arange(N) % 5), n_classes=5, twin=False)
    assert found.about.class_names == ("0", "1", "2", "3", "4")
    assert "head" not in found.across


def test_labels_beyond_the_given_number_of_classes():
    x, y = rows()
    refused(DataError, r"\[0, 2\)", net(), (x, y), n_classes=2)


@FORMS
def test_negative_labels(form):
    x, y = rows()
    refused(DataError, r"negative|from -1", net(), made(form, x, y - 1))


@FORMS
def test_float_labels_where_the_model_puts_out_classes(form):
    x, y = rows()
    refused(DataError, r"puts out 3 numbers\. Give class indices as integers", net(), made(form, x, y + 0.5))


def test_float_labels_are_targets_when_that_is_said():
    x, _ = rows()
    assert study(net(), (x, x[:, 0].double()), n_classes=0, twin=False).about.task == "regression"


def test_what_is_no_data_set_is_refused():
    refused(DataError, "such as", net(), 5)
    refused(DataError, "loss: there are no labels", net(), rows()[0], loss="cross_entropy")


def test_words_of_a_loader_are_classes():
    x, y = rows()
    data = list(zip(x, [f"class {i}" for i in y], strict=True))
    assert study(net(), DataLoader(Pairs(data), batch_size=8), twin=False).about.class_names == (
        "class 0", "class 1", "class 2",
    )  # fmt: skip


class Pairs(torch.utils.data.Dataset):
    def __init__(self, pairs):
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


def test_labels_for_every_token():
    x, _ = rows()
    refused((DataError, ShapeError), "label", net(), TensorDataset(x, torch.zeros(N, 7, dtype=torch.long)))


@FORMS
def test_no_rows(form):
    x, y = rows()
    refused(DataError, "is empty|there are no rows", net(), made(form, x[:0], y[:0]))


def test_no_held_out_rows():
    x, y = rows()
    refused(DataError, "held_out: there are no rows", net(), (x, y), held_out=TensorDataset(x[:0], y[:0]))


@FORMS
def test_one_row(form):
    x, y = rows()
    refused(DataError, "1 row is too few", net(), made(form, x[:1], y[:1]))


def test_one_training_row_beside_a_test_part():
    x, y = rows()
    refused(DataError, "1 row is too few", net(), (x[:1], y[:1]), held_out=(x, y))


@FORMS
def test_one_class_only(form):
    x, _ = rows()
    refused(DataError, "the same label", net(), made(form, x, np.full(N, 1)))


def test_one_class_only_in_a_stream():
    refused(DataError, "the same label", net(), DataLoader(Stream(*rows(k=1)), batch_size=8))


@FORMS
def test_holes_name_their_row(form):
    x, y = rows()
    x[np.flatnonzero(np.arange(N) == 37), 2] = torch.nan
    refused(DataError, r"row 37", net(), made(form, x, y))


def test_missing_targets():
    x, _ = rows()
    y = x[:, 0].double()
    y[3] = torch.nan
    refused(DataError, "row 3", net(k=1), (x, y))
    refused(DataError, "finite targets", net(k=1), TensorDataset(x, y))


def test_unknown_layers_are_told_with_the_nearest():
    refused(LayerError, r"no layer .*'9'", net(), rows(), layers=["9"])
    refused(LayerError, r"Did you mean '1'", net(), rows(), layers=["1_"])


@FORMS
def test_shapes_that_do_not_fit_are_both_named(form):
    refused(ShapeError, r"4 features .*got inputs \(\d+, 7\)", net(), made(form, *rows(d=7)))


class Failing(nn.Module):
    def __init__(self, error, at):
        super().__init__()
        self.layer, self.error, self.at, self.calls = nn.Linear(4, 3), error, at, 0

    def forward(self, x):
        self.calls += 1
        if self.calls >= self.at:
            raise self.error
        return self.layer(x)


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), KeyError("boom"), RuntimeError("no memory")])
def test_a_model_that_raises_half_way_is_told_in_its_own_words_with_the_line(error):
    words = rf"it raised {type(error).__name__}: '?{error.args[0]}'? \(test_bad_input.py, line \d+\)"
    with pytest.raises(ModelError, match=words) as caught:
        study(Failing(error, at=2), rows(), twin=False, batch_size=16)
    assert caught.value.__cause__ is error


def test_a_model_that_cannot_divide_is_told_at_once():
    refused(ModelError, r"it raised ZeroDivisionError: x \(test_bad_input", Failing(ZeroDivisionError("x"), 1), rows())


def test_rows_that_change_their_shape_half_way_are_refused():
    x, y = rows()
    batches = [(x[:30], y[:30]), (x[30:, :3], y[30:])]

    class Uneven(IterableDataset):
        def __iter__(self):
            return iter(batches)

    words = "layer 'input': its rows have 4 numbers in one batch and 3 in another"
    refused(ShapeError, words, net(), DataLoader(Uneven(), batch_size=None))


def test_an_error_of_a_measure_is_no_error_of_the_model(monkeypatch):
    def wrong(*_args, **_kwargs):
        raise ValueError("a defect of ours")

    monkeypatch.setattr("unbend.numerics.streaming.layer.LayerSums.add", wrong)
    with pytest.raises(ValueError, match="a defect of ours") as caught:
        study(net(), rows(), twin=False)
    assert not isinstance(caught.value, ModelError)


def test_duplicate_class_names():
    x, y = rows()
    refused(DataError, "'cat' stands for more than one class", net(), Data(x, y, class_names=("cat", "dog", "cat")))


def test_a_layer_named_twice_is_shown_once():
    found = study(net(), rows(), layers=["1", "1", "*"], twin=False)
    assert [layer.name for layer in found.layers] == ["input", "0", "1", "2", "output"]


class Returns(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.inner, self.how = net(), how

    def forward(self, x):
        return self.how(self.inner(x))


@pytest.mark.parametrize(
    ("how", "key"),
    [(lambda h: {"aux": h.sum(), "logits": h}, r"dict.*logits"), (lambda h: (h, h.detach()), r"tuple.*\[0\]")],
)
def test_the_key_of_a_compound_output_is_told(how, key):
    found = study(Returns(how), rows(), twin=False)
    assert any(re.search(key, note) for note in found.about.notes)
    assert found.across["head"].layer == "inner.1"


def test_an_output_without_a_tensor():
    refused(ModelError, "without a tensor", Returns(lambda _h: "nothing"), rows())


@pytest.mark.parametrize(
    "settings",
    [{"batch_size": 0}, {"share": 1.0}, {"share": -0.1}, {"rows": 1}, {"n_classes": -1}, {"measures": ["x"]}],
)
def test_settings_out_of_range(settings):
    refused(DataError, next(iter(settings)), net(), rows(), **settings)


def test_unknown_settings():
    with pytest.raises(TypeError, match="unexpected keyword argument 'layer'"):
        study(net(), rows(), layer="1")


class Stream(IterableDataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __iter__(self):
        return zip(self.x, self.y, strict=True)


class Once(Stream):
    def __init__(self, x, y):
        super().__init__(x, y)
        self.only = zip(x, y, strict=True)

    def __iter__(self):
        return self.only


def test_a_stream_that_can_be_read_only_once():
    refused(DataError, "starts afresh", net(), DataLoader(Once(*rows()), batch_size=16))


def test_progress_is_a_protocol_that_can_be_checked():
    assert isinstance(lambda phase, done, total: None, Progress)
    assert not isinstance("no", Progress)
