"""Tables: features are the numeric columns, labels the named one."""

import gzip
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from unbend.errors import DataError, LoadError, MissingExtraError
from unbend.load import data
from unbend.study.source import source

CSV = "height,width,kind\n1.5,2,cat\n2.5,3,dog\n3.5,4,cat\n"


def put(folder, text, name="a.csv"):
    (folder / name).write_text(text)
    return str(folder / name)


def test_words_become_classes(tmp_path):
    got = data(put(tmp_path, CSV), label="kind")
    assert got.x.tolist() == [[1.5, 2], [2.5, 3], [3.5, 4]]
    assert (got.y.tolist(), got.class_names) == ([0, 1, 0], ("cat", "dog"))
    assert got.name == "a.csv"
    assert got.column_names == ("height", "width")


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", CSV.replace(",", ";")), ("a.tsv", CSV.replace(",", "\t")), ("b.CSV", CSV)]
)
def test_other_separators(tmp_path, name, text):
    assert data(put(tmp_path, text, name), label="kind").x.shape == (3, 2)


def test_gzipped(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    assert data(str(tmp_path / "a.csv.gz"), label="kind").x.shape == (3, 2)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode())[:-10])
    with pytest.raises(LoadError, match=r"a\.csv\.gz: "):
        data(str(tmp_path / "a.csv.gz"), label="kind")


def test_the_columns_of_tables_keep_their_names_whatever_names_the_group_and_however_they_are_given(tmp_path):
    grouped = data(put(tmp_path, CSV), label="kind", group="height")
    assert grouped.column_names == ("width",)
    frame = pd.DataFrame({"height": [1.5, 2.5, 3.5], "width": [2.0, 3.0, 4.0]})
    assert source((frame, np.array([0, 1, 0]))).column_names == ("height", "width")
    assert source(grouped).column_names == ("width",)
    assert source((frame.to_numpy(), np.array([0, 1, 0]))).column_names == ()


@pytest.mark.parametrize("kind", ["str", "category", "object"])
def test_parquet_is_the_same_as_csv(tmp_path, kind):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, np.pi, -1], "kind": pd.Series(["x", "y", "x"], dtype=kind)})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    one, two = (data(str(tmp_path / name), label="kind") for name in ("a.parquet", "a.csv"))
    assert torch.equal(one.x, two.x)
    assert torch.equal(one.y, two.y)
    assert one.class_names == two.class_names == ("x", "y")


def test_whole_numbers_from_zero_are_indices_and_others_are_names(tmp_path):
    zero = data(put(tmp_path, "a,k\n1,0\n2,1\n3,0\n"), label="k")
    assert (zero.y.tolist(), zero.class_names) == ([0, 1, 0], ())
    assert zero.x.dtype == torch.int64
    signs = data(put(tmp_path, "a,k\n1,-1\n2,1\n3,-1\n"), label="k")
    assert (signs.y.tolist(), signs.class_names) == ([0, 1, 0], ("-1", "1"))
    flags = data(put(tmp_path, "a,k\n1,True\n2,False\n3,True\n"), label="k")
    assert (flags.y.tolist(), flags.class_names) == ([1, 0, 1], ("False", "True"))


def test_many_whole_numbers_are_targets_and_the_source_says_so(tmp_path):
    prices = data(put(tmp_path, "a,k\n" + "".join(f"{i},{3 * i + 7}\n" for i in range(120))), label="k")
    assert prices.y.dtype == torch.float64
    rows = data(put(tmp_path, "a,k\n" + "".join(f"0,{i}\n" for i in range(120))), label="k")
    assert rows.y.dtype == torch.float64
    many = data(put(tmp_path, "a,k\n" + "".join(f"0,{i % 120}\n" for i in range(240))), label="k")
    assert many.y.dtype == torch.int64
    assert "labels with 120 different whole numbers read as targets" in prices.source
    assert data(put(tmp_path, "a,k\n1,0.5\n2,1.25\n"), label="k").y.tolist() == [0.5, 1.25]


def test_the_row_counter_of_pandas_is_left_out_and_the_source_says_so(tmp_path):
    pd.DataFrame({"a": [5.0, 6], "k": ["u", "v"]}).to_csv(tmp_path / "a.csv")
    got = data(str(tmp_path / "a.csv"), label="k")
    assert got.x.tolist() == [[5], [6]]
    assert "the nameless first column, which counts the rows, left out" in got.source


@pytest.mark.parametrize(
    ("text", "label", "error", "sentence"),
    [
        (
            CSV,
            None,
            LoadError,
            "which column holds the labels? It has: height, width, kind. Pass --label NAME.",
        ),
        (CSV, "kimd", LoadError, "no column named 'kimd'. It has: height, width, kind. Did you mean 'kind'?"),
        (CSV, "width ", LoadError, "Did you mean 'width'?"),
        (
            CSV,
            "height",
            DataError,
            "not numbers in kind. Encode them as numbers, or leave them out.",
        ),
        (
            "a,b,k\n1,2,x\n,2,y\n3,2,x\n",
            "k",
            DataError,
            "1 of 3 rows have no value in a, first row 1. Drop or",
        ),
        ("a,k\n1,x\n2,y\ninf,x\n", "k", DataError, "1 of 3 rows hold a NaN or infinite value, first row 2."),
        (
            "a,k\n1,x\n2,\n3,x\n",
            "k",
            DataError,
            "label column 'k': 1 of 3 labels are missing, first in row 1.",
        ),
        ("k\nx\ny\n", "k", DataError, "has no column beside the label."),
        ("a,k\n", "k", DataError, "is empty: a header and no row."),
        ("", "k", LoadError, "is not a table that pandas can read (No columns to parse from file)."),
        ('a,k\n1,"x\n2,y\n', "k", LoadError, "is not a table that pandas can read"),
        ("a,k\n1,2,3\n1,2\n1,2,3,4\n", "k", LoadError, "is not a table that pandas can read"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, text, label, error, sentence):
    with pytest.raises(error) as caught:
        data(put(tmp_path, text), label=label)
    assert "a.csv" in str(caught.value)
    assert sentence in str(caught.value)


def test_nullable_columns_of_parquet(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, 2, 3], dtype="Int64"), "k": pd.array([3, 5, 3], dtype="Int64")})
    frame.to_parquet(tmp_path / "a.parquet")
    got = data(str(tmp_path / "a.parquet"), label="k")
    assert (got.x.tolist(), got.y.tolist(), got.class_names) == ([[1], [2], [3]], [0, 1, 0], ("3", "5"))
    frame.loc[1, "a"] = pd.NA
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="1 of 3 rows have no value in a, first row 1"):
        data(str(tmp_path / "a.parquet"), label="k")
    frame.assign(a=pd.to_datetime(["2020-01-01"] * 3)).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="not numbers in a"):
        data(str(tmp_path / "a.parquet"), label="k")


def test_a_damaged_parquet_is_one_sentence(tmp_path):
    pd.DataFrame({"a": range(99), "k": range(99)}).to_parquet(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    for part in (b"", b"junk" * 9, content[: len(content) // 2], content[-100:]):
        (tmp_path / "a.parquet").write_bytes(part)
        with pytest.raises(LoadError, match=r"a\.parquet: "):
            data(str(tmp_path / "a.parquet"), label="k")


def test_bytes_that_are_not_text_are_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,k\n\xff\xfe\x00,1\n")
    with pytest.raises((LoadError, DataError), match=r"a\.csv"):
        data(str(tmp_path / "a.csv"), label="k")


@pytest.mark.parametrize(("name", "package"), [("a.csv", "pandas"), ("a.parquet", "pyarrow")])
def test_a_missing_package_names_the_extra(tmp_path, monkeypatch, name, package):
    put(tmp_path, CSV, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"need {package}.*pip install 'unbend\[table\]'"):
        data(str(tmp_path / name), label="kind")


def test_a_label_is_for_tables_only(tmp_path):
    with pytest.raises(LoadError, match=r"digits: a label column is for tables \(\.csv"):
        data("digits", label="kind")


NAMED_NA = "a,kind\n1,NA\n2,yes\n3,None\n4,null\n5,NA\n"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_a_class_may_be_named_as_a_missing_number_is(tmp_path, name):
    text = NAMED_NA.replace(",", "\t") if name.endswith("tsv") else NAMED_NA
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    found = data(str(tmp_path / name), label="kind")
    assert found.class_names == ("NA", "None", "null", "yes")
    assert found.y.tolist() == [0, 3, 1, 2, 0]


@pytest.mark.parametrize("word", ["NA", "nan", "", " ", "?"])
def test_among_numbers_such_a_word_is_a_missing_one(tmp_path, word):
    put(tmp_path, f"a,k\n1,0.5\n2,{word}\n3,1.5\n")
    with pytest.raises(DataError, match="label column 'k'"):
        data(str(tmp_path / "a.csv"), label="k")


def test_an_empty_label_among_words_is_missing(tmp_path):
    put(tmp_path, "a,k\n1,NA\n2,\n3,b\n")
    with pytest.raises(DataError, match="1 of 3 labels are missing, first in row 1"):
        data(str(tmp_path / "a.csv"), label="k")


def test_a_group_column_is_no_feature_and_names_the_group_of_each_row(tmp_path):
    put(tmp_path, "patient,a,kind\np1,1,x\np1,2,y\np2,3,x\n")
    found = data(str(tmp_path / "a.csv"), label="kind", group="patient")
    assert found.x.tolist() == [[1], [2], [3]]
    assert found.groups.tolist() == ["p1", "p1", "p2"]


@pytest.mark.parametrize(
    ("group", "error", "sentence"),
    [("patients", LoadError, "no column named 'patients'"), ("hole", DataError, "1 of 3 rows have no group")],
)
def test_a_group_column_that_is_none_is_one_sentence(tmp_path, group, error, sentence):
    put(tmp_path, "patient,hole,kind\n1,1,x\n1,,y\n2,3,x\n")
    with pytest.raises(error, match=sentence):
        data(str(tmp_path / "a.csv"), label="kind", group=group)


def test_a_group_column_is_for_tables_only():
    with pytest.raises(LoadError, match=r"digits: a group column is for tables \(\.csv"):
        data("digits", group="patient")
