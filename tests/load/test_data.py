"""One line of text to `Data`: which reader, and what the user's own code may give."""

import numpy as np
import pytest
import torch

from unbend.errors import DataError, LoadError
from unbend.load import data

CODE = """
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from unbend.load import Data

x = torch.arange(12.0).reshape(6, 2)
y = torch.tensor([0, 1, 0, 1, 0, 1])
pair = (x, y)
as_list = [x.tolist(), ["a", "b"] * 3]
tokens = {"input_ids": torch.ones(6, 3, dtype=torch.long), "labels": y}
unlabelled = {"input_ids": x}
named = (tokens["input_ids"], y)
alone = x
number = 7
three = (x, y, x)
empty = TensorDataset(x[:0], y[:0])
whole = Data(x, y, None, ("no", "yes"))
told = Data(x, y, None, (), "mine", "my disk", list("aabbcc"), ("height", "width"))
wrong = Data(x, y[:5])
both_parts = Data(x, y, Data(x[:2], y[:2]), ("no", "yes"))
bad = (x, y[:5])
nan = (x / 0, y)


class Squares(Dataset):
    classes = ["even", "odd"]

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.tensor([float(i), i**2]), i % 2


class Stream(IterableDataset):
    def __iter__(self):
        yield x[0], y[0]


squares = Squares()
loader = DataLoader(squares, batch_size=2)
stream = Stream()
mixed = Data(squares, None, Data(x, y))
two_sets = (squares, TensorDataset(x, y))
two_loaders = (loader, DataLoader(TensorDataset(x, y)))


def build():
    return pair


def wide(width):
    return pair
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    return lambda name: data(f"{tmp_path / 'mine.py'}:{name}")


@pytest.mark.parametrize("name", ["pair", "build"])
def test_a_pair_or_a_function_of_one(code, name):
    got = code(name)
    assert got.x.tolist() == np.arange(12.0).reshape(6, 2).tolist()
    assert got.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert got.name == name
    assert got.source.endswith(f"mine.py:{name}")


def test_lists_and_words(code):
    got = code("as_list")
    assert tuple(got.x.shape) == (6, 2)
    assert got.class_names == ("a", "b")


def test_a_dict_of_tensors_gives_its_labels(code):
    got = code("tokens")
    assert list(got.x) == ["input_ids"]
    assert got.y.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("name", ["squares", "Squares", "loader"])
def test_sets_and_loaders_stay_as_they_are(code, name):
    got = code(name)
    assert got.y is None
    assert got.class_names == ("even", "odd")
    first = next(iter(got.x))
    assert torch.equal(first[0].reshape(-1)[:2], torch.tensor([0.0, 0]))


def test_a_stream_without_length_is_taken(code):
    assert next(iter(code("stream").x))[1] == 0


@pytest.mark.parametrize(("name", "n"), [("two_sets", 6), ("two_loaders", 6)])
def test_two_sets_are_train_and_test(code, name, n):
    got = code(name)
    assert len(got.held_out.x) == n
    assert got.class_names == ("even", "odd")


def test_data_is_kept_and_gets_a_name_where_it_has_none(code):
    assert (code("whole").name, code("whole").class_names) == ("whole", ("no", "yes"))
    assert (code("told").name, code("told").source) == ("mine", "my disk")
    assert (code("told").groups, code("told").column_names) == (list("aabbcc"), ("height", "width"))


def test_data_of_two_parts_and_of_sets(code):
    parts = code("both_parts")
    assert (len(parts.held_out.x), parts.held_out.class_names) == (2, ("no", "yes"))
    mixed = code("mixed")
    assert (type(mixed.x).__name__, mixed.held_out.y.tolist()) == ("Squares", [0, 1, 0, 1, 0, 1])


def test_installed_packages_work_too():
    iris = data("sklearn.datasets:load_iris")
    assert iris.class_names == ("setosa", "versicolor", "virginica")
    assert iris.x.dtype == torch.float64
    assert data("sklearn.datasets:load_diabetes").y.dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("alone", DataError, "got Tensor alone, without labels."),
        (
            "number",
            DataError,
            "expected Data, a Dataset, a DataLoader, a pair (x, y), a dict of tensors, or a function",
        ),
        ("number", DataError, "got int."),
        ("three", DataError, "got a tuple of 3."),
        ("unlabelled", DataError, "expected a dict of inputs with 'labels' among them. It has: input_ids."),
        ("empty", DataError, "the data set is empty."),
        ("bad", DataError, "x: 6 rows, but 5 labels."),
        ("wrong", DataError, "wrong: x: 6 rows, but 5 labels."),
        ("nan", DataError, "x: 6 of 6 rows hold a NaN or infinite value, first row 0."),
        ("wide", LoadError, "needs arguments (missing a required argument: 'width')."),
        ("piar", LoadError, "Did you mean 'pair'?"),
    ],
)
def test_what_code_gives_wrongly_is_one_sentence(code, name, error, sentence):
    with pytest.raises(error) as caught:
        code(name)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("digit", "no bundled data set, file or folder of that name. This place has: digits, iris"),
        ("digit", "Did you mean 'digits'?"),
        ("a.npx", "no such file or folder. Its folder has: a.npz, b.txt, c.pt, none. Did you mean 'a.npz'?"),
        ("nowhere/a.npz", "nowhere/a.npz: no such file or folder. Its folder has none."),
        (
            "b.txt",
            "b.txt: no reader for .txt. Expected .npz, .npy, .csv, .tsv, .parquet, a folder of IDX files, or",
        ),
        ("none", "none: no reader for files without a suffix."),
        ("c.pt", "c.pt: is a pickled archive, which unbend does not open as data: that would run its code."),
        ("a.npz:", "a.npz:: no such file or folder."),
        ("", ""),
    ],
)
def test_what_names_nothing_is_one_sentence(tmp_path, monkeypatch, spec, sentence):
    for name in ("a.npz", "b.txt", "c.pt", "none"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoadError) as caught:
        data(spec)
    assert sentence in str(caught.value)
