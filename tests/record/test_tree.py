import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unbend.errors import RecordError
from unbend.numerics.gradient import GradientState
from unbend.numerics.moments import Moments
from unbend.numerics.planes import Projections
from unbend.numerics.view import View
from unbend.record.schema import classes, fits
from unbend.record.tree import Stored, TreeReader, encode
from unbend.study.unknown import Unknown

DTYPES = [np.bool_, *(f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)), "float16", "float32", "float64"]
ARRAYS = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ARRAYS | ARRAYS.map(torch.from_numpy)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["$", "$type", "$$x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def there_and_back(value):
    stored = Stored()
    text = json.dumps(encode(value, stored), allow_nan=False)
    return TreeReader(stored.tensors).read(json.loads(text))


@given(value=VALUES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_comes_back_bit_by_bit(value, same):
    assert same(there_and_back(value), value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.uint64, torch.bool])
def test_tensors_keep_types_that_numpy_lacks(dtype, same):
    tensor = torch.tensor([[0, 1, 3]]).to(dtype)
    assert same(there_and_back(tensor), tensor)


def test_numbers_of_numpy_come_back_as_numbers(same):
    assert same(there_and_back((np.int64(3), np.float32(0.5), np.bool_(1))), (3, 0.5, True))


def test_views_broadcasts_and_foreign_bytes(same):
    whole = np.arange(12.0).reshape(3, 4)
    parts = (whole[1], whole[:, ::2], whole.T, np.broadcast_to(0.0, (3, 3)), torch.arange(6)[2:4], whole)
    for found, part in zip(there_and_back(parts), parts, strict=True):
        np.testing.assert_array_equal(found, part)
    big = np.arange(3, dtype=">i8")
    assert same(there_and_back(big), np.arange(3))


def test_equal_contents_are_stored_once():
    stored = Stored()
    ids = np.arange(5)
    tree = encode({"a": ids, "b": ids.copy(), "c": torch.arange(5), "d": ids.reshape(5, 1), "e": ids * 1.0}, stored)
    assert sorted(stored.tensors) == ["a", "d", "e"]
    assert tree["b"]["$array"] == tree["c"]["$tensor"] == "a"


def test_two_paths_that_read_alike_get_two_keys():
    stored = Stored()
    encode({"a": {"b/c": np.zeros(1)}, "a/b": {"c": np.ones(1)}}, stored)
    assert len(stored.tensors) == 2


@dataclass(frozen=True, slots=True, eq=False)
class Elsewhere:
    n: int
    mean: np.ndarray


def test_a_class_that_is_not_registered_opens_as_unknown_and_saves_back_unchanged(same):
    value = Elsewhere(3, np.arange(2))
    found = there_and_back(value)
    assert isinstance(found, Unknown)
    assert found.name.endswith("test_tree.Elsewhere")
    assert same(found.fields, {"n": 3, "mean": np.arange(2)})
    assert same(there_and_back(found), found)
    assert encode(found, Stored()) == encode(value, Stored())


def test_a_foreign_class_whose_fields_changed_opens_as_unknown():
    known = {"toy.Toy": Elsewhere}
    assert isinstance(TreeReader({}, known).read({"$type": "toy.Toy", "n": 3}), Unknown)
    assert isinstance(TreeReader({}, known).read({"$type": "toy.Toy", "n": "3", "mean": None}), Unknown)


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, 1j, np.array(["a"]), np.array([None]), np.zeros(2, complex), {1, 2}, int, Elsewhere]
)
def test_what_cannot_be_saved_is_refused(value):
    with pytest.raises(RecordError):
        encode({"a": value}, Stored())


def test_the_refusal_says_where():
    with pytest.raises(RecordError, match=r"^a/0/b: expected numbers.* got object"):
        encode({"a": ({"b": object()},)}, Stored())


def test_deep_values_are_refused():
    deep = ()
    for _ in range(100):
        deep = (deep,)
    with pytest.raises(RecordError, match="64 levels"):
        encode(deep, Stored())


def gradient(**changes):
    return {"$type": "GradientState", "n": 1, "width": 2, "square": 3.0} | changes


@pytest.mark.parametrize(
    "tree",
    [
        gradient(n="1"),
        gradient(n=True),
        gradient(n=1.5),
        gradient(square=None),
        gradient(more=1),
        {"$type": "GradientState", "n": 1},
        {"$type": "GradientState", "$array": "a"},
        {"$type": 3},
        {"$type": ["GradientState"]},
        {"$array": "gone", "dtype": "float64", "shape": [3]},
        {"$array": "a", "dtype": "float64", "shape": [4]},
        {"$array": "a", "dtype": "int64", "shape": [3]},
        {"$array": "a", "dtype": "float64"},
        {"$array": "b", "dtype": "bfloat16", "shape": [1]},
        {"$array": {}},
        {"$float": "1.0"},
        {"$float": []},
        {"$float": "nan", "more": 1},
        {"$int": "x"},
        {"$int": 3},
        {"$list": {}},
        {"$pickle": "x"},
        {"$": 1},
    ],
)
def test_damaged_trees_are_refused(tree):
    tensors = {"a": torch.zeros(3, dtype=torch.float64), "b": torch.zeros(1, dtype=torch.bfloat16)}
    with pytest.raises(RecordError):
        TreeReader(tensors).read(tree)


def test_shapes_that_contradict_each_other_are_refused():
    d2, d3 = ({"$array": k, "dtype": "float64", "shape": [n]} for k, n in (("a", 2), ("b", 3)))
    count = {"$array": "c", "dtype": "int64", "shape": [2]}
    tree = {"$type": "Moments", "n": 1, "mean": d2, "std": d2, "low": d2, "high": d2, "nonfinite": count, "rms": 1.0}
    tensors = {"a": torch.zeros(2).double(), "b": torch.zeros(3).double(), "c": torch.zeros(2).long()}
    assert isinstance(TreeReader(tensors).read(tree), Moments)
    with pytest.raises(RecordError, match=r"Moments.high: expected Float64.*got ndarray of shape \(3,\)"):
        TreeReader(tensors).read(tree | {"high": d3})


def test_only_registered_classes_are_looked_up():
    for name in ("builtins.eval", "os.system", "Measure", "unbend.numerics.state.Measure", "Unknown"):
        found = TreeReader({}).read({"$type": name, "a": 1})
        assert type(found) is Unknown
        assert (found.name, found.fields) == (name, {"a": 1})


def test_short_names_are_unique():
    names = classes()
    assert len(set(names.values())) == len(names)
    assert names["GradientState"] is GradientState
    assert {"Study", "Layer", "View", "About", "Finding", "Sums", "Comparison", "Readout", "SecondState"} <= set(names)


@pytest.mark.parametrize(
    ("value", "hint", "answer"),
    [
        (1, float, True),
        (True, float, False),
        (True, int, False),
        (None, int | None, True),
        ("a", Literal["a", "b"], True),
        (np.zeros(2), Literal["a"], False),
        ((1, 2, 3), tuple[int, ...], True),
        ((1, 2, 3), tuple[int, int], False),
        ({"a": 1}, dict[str, int], True),
        ({"a": "b"}, dict[str, int], False),
        ([1], tuple[int, ...], False),
        (object(), Any, True),
    ],
)
def test_fits(value, hint, answer):
    assert fits(value, hint) is answer


def test_a_class_of_an_older_file_is_read_under_its_name_now():
    parts = {"ids": np.arange(2), "label": np.zeros(2), "held_out": np.zeros(2, bool), "pca": np.zeros((2, 2)),
             "pca_share": np.zeros(2), "discriminant": None}  # fmt: skip
    stored = Stored()
    tree = {"$type": "Planes", **encode(parts, stored)}
    assert isinstance(TreeReader(stored.tensors).read(tree), Projections)


def test_a_field_of_an_older_file_is_read_under_its_name_now():
    view = View("maps", "flatten", 3, sketch=2)
    tree = encode(view, Stored())
    older = {"fold" if key == "sketch" else key: value for key, value in tree.items()}
    assert older != tree
    assert TreeReader({}).read(older) == view


def test_a_field_given_under_both_of_its_names_is_refused():
    tree = encode(View(), Stored())
    with pytest.raises(RecordError, match="View has no 'fold'"):
        TreeReader({}).read(tree | {"fold": 0})
