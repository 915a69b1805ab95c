"""From arrays to checked `Data`: numbers stay what they are, labels become classes or targets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbend.errors import DataError
from unbend.load.dataset import from_arrays


def pair(n=6, d=3):
    return np.arange(n * d, dtype=np.float32).reshape(n, d), np.arange(n) % 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int32", "int64", "bool", ">f4", ">i2"])
def test_samples_keep_their_numbers_and_dtype(dtype):
    x = (np.arange(18).reshape(6, 3) % 5).astype(dtype)
    got = from_arrays("a", (x, pair()[1])).x
    assert got.numpy().dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(got.numpy(), x)


@pytest.mark.parametrize(("dtype", "wide"), [("uint16", torch.int32), ("uint32", torch.int64)])
def test_wide_unsigned_integers_become_the_next_signed_type(dtype, wide):
    x = np.full((6, 2), np.iinfo(dtype).max, dtype=dtype)
    got = from_arrays("a", (x, pair()[1])).x
    assert got.dtype == wide
    assert int(got[0, 0]) == np.iinfo(dtype).max


def test_arrays_that_cannot_be_written_are_copied_without_a_warning():
    x, y = pair()
    x.flags.writeable = False
    assert np.array_equal(from_arrays("a", (x, y)).x.numpy(), x)


def test_tensors_are_shared_and_detached():
    x = torch.randn(4, 2, requires_grad=True)
    got = from_arrays("a", (x, torch.tensor([0, 1, 0, 1]))).x
    assert got.data_ptr() == x.data_ptr()
    assert not got.requires_grad


def test_a_dict_of_inputs_stays_a_dict():
    inputs = {"input_ids": np.ones((4, 7), dtype=np.int64), "attention_mask": [[1] * 7] * 4}
    got = from_arrays("a", (inputs, [0, 1, 0, 1]))
    assert {key: tuple(part.shape) for key, part in got.x.items()} == {
        "input_ids": (4, 7),
        "attention_mask": (4, 7),
    }


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "bool", ">i4"])
def test_whole_labels_are_class_indices(dtype):
    got = from_arrays("a", (pair()[0], np.array([0, 1, 1, 0, 1, 0], dtype=dtype)))
    assert got.y.dtype == torch.int64
    assert got.y.tolist() == [0, 1, 1, 0, 1, 0]
    assert got.class_names == ()


@pytest.mark.parametrize("kind", [str, np.bytes_])
def test_words_become_classes_in_alphabetical_order_shared_by_both_parts(kind):
    train = (np.zeros((3, 1)), np.array(["dog", "cat", "dog"], dtype=kind))
    test = (np.zeros((2, 1)), np.array(["eel", "cat"], dtype=kind))
    got = from_arrays("a", train, test=test)
    assert got.class_names == got.held_out.class_names == ("cat", "dog", "eel")
    assert (got.y.tolist(), got.held_out.y.tolist()) == ([1, 0, 1], [2, 0])


def test_words_follow_given_class_names():
    got = from_arrays("a", (np.zeros((2, 1)), ["cat", "dog"]), class_names=("eel", "dog", "cat"))
    assert got.y.tolist() == [2, 1]
    with pytest.raises(DataError, match="label 'cat' is not among the class names dog"):
        from_arrays("a", (np.zeros((2, 1)), ["cat", "dog"]), class_names=("dog",))


@given(st.lists(st.sampled_from(["a", "b", "c", "ü"]), min_size=1, max_size=20))
def test_decoding_gives_the_words_back(words):
    got = from_arrays("a", (np.zeros((len(words), 1)), words))
    assert [got.class_names[index] for index in got.y.tolist()] == words


def test_whole_floats_from_zero_up_are_classes_and_the_source_says_so():
    got = from_arrays("a", (np.zeros((6, 1)), np.array([0.0, 1, 2, 0, 1, 2])), source="here")
    assert got.y.dtype == torch.int64
    assert got.source == "here. Labels 0 to 2 stored as float64 are read as 3 classes"


@pytest.mark.parametrize("y", [[0.5, 1, 2, 0, 1, 2], [1.0, 2, 1, 2, 1, 2], [0.0, 1, 2, 3, 4, 5], [0.0] * 6])
def test_other_floats_are_targets_and_stay_as_they_are(y):
    got = from_arrays("a", (np.zeros((6, 1)), np.array(y)))
    assert got.y.dtype == torch.float64
    assert got.y.tolist() == y


def test_targets_may_be_several_per_row_and_one_column_is_one():
    several = from_arrays("a", (np.zeros((5, 1)), np.linspace(0, 1, 10).reshape(5, 2)))
    assert tuple(several.y.shape) == (5, 2)
    one = from_arrays("a", (np.zeros((4, 1)), np.array([[0], [1], [0], [1]])))
    assert one.y.tolist() == [0, 1, 0, 1]


def test_bfloat16_targets_become_float32():
    got = from_arrays("a", (torch.zeros(3, 1), torch.tensor([0.5, 1.5, 2.5], dtype=torch.bfloat16)))
    assert got.y.dtype == torch.float32
    assert got.y.tolist() == [0.5, 1.5, 2.5]


def test_the_test_part_carries_name_source_and_no_third_part():
    got = from_arrays("set", pair(), test=pair(4), source="somewhere.")
    assert (got.held_out.name, got.held_out.source, got.held_out.held_out) == (
        "set, test part",
        "somewhere",
        None,
    )
    assert len(got.held_out.x) == 4


def damaged(row, value):
    x = np.zeros((9, 2), dtype=np.float32)
    x[row, 1] = value
    x[8, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.zeros((3, 2)), [0, 1], "a: x: 3 rows, but 2 labels. Give one label per row."),
        (np.zeros((3, 2)), 1, "a: x: 3 rows, but one single label. Give one label per row."),
        (np.zeros((3, 2)), None, "a: y: there are no labels."),
        (np.zeros((0, 2)), [], "a: x: is empty, shape [0, 2]. There is nothing to measure."),
        (np.zeros((3, 0)), [0, 1, 1], "a: x: is empty, shape [3, 0]. There is nothing to measure."),
        (
            np.zeros(3),
            [0, 1, 1],
            "a: x: expected shape [n, ...], got [3]. For one number per row, save x[:, None].",
        ),
        ([[1.0], [1.0, 2.0]], [0, 1], "a: x: is not an array ("),
        ([["a"], ["b"]], [0, 1], "a: x: holds text or Python objects (<U1), and a network takes numbers."),
        (np.zeros((2, 1), dtype=complex), [0, 1], "a: x: expected real numbers, got complex128."),
        (damaged(4, np.nan), [0] * 9, "a: x: 2 of 9 rows hold a NaN or infinite value, first row 4. Drop or"),
        (damaged(0, -np.inf), [0] * 9, "a: x: 2 of 9 rows hold a NaN or infinite value, first row 0."),
        ({}, [0], "a: x: the dict of inputs is empty."),
        ({"ids": np.zeros((2, 3))}, [0], "a: x['ids']: 2 rows, but 1 labels."),
        (np.zeros((3, 2)), [0, -1, -2], "a: y: 2 of 3 rows hold a negative label, first row 1."),
        (
            np.zeros((3, 2)),
            [0.5, np.nan, 1],
            "a: y: 1 of 3 rows hold a missing (NaN or infinite) label, first row 1.",
        ),
        (np.zeros((3, 2)), ["a", " ", "b"], "a: y: 1 of 3 rows hold an empty label, first row 1."),
        (np.zeros((2, 2)), np.array([1j, 0]), "a: y: expected integers, strings or floats, got complex128."),
        (
            np.zeros((1, 2)),
            np.array([2**64 - 1], dtype=np.uint64),
            "a: y: expected class indices in int64, got 1",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(x, y, sentence):
    with pytest.raises(DataError) as caught:
        from_arrays("a", (x, y))
    assert str(caught.value).startswith(sentence)


def test_a_nan_far_down_in_many_chunks_is_found(monkeypatch):
    monkeypatch.setattr("unbend.load.dataset._CHUNK", 8)
    x = np.zeros((101, 3))
    x[97, 2] = np.nan
    with pytest.raises(DataError, match="1 of 101 rows hold a NaN or infinite value, first row 97"):
        from_arrays("a", (x, np.zeros(101, dtype=int)))


def test_class_names_need_classes():
    with pytest.raises(DataError, match=r"expected class indices in \[0, 2\), got 2"):
        from_arrays("a", (np.zeros((2, 1)), [0, 2]), class_names=("no", "yes"))
    with pytest.raises(DataError, match="there are class names, but the labels are float64"):
        from_arrays("a", (np.zeros((2, 1)), [0.25, 2]), class_names=("no", "yes"))


def test_both_parts_must_be_alike():
    with pytest.raises(DataError, match=r"different shapes, \[n, 4\] and \[n, 2, 2\]"):
        from_arrays("a", (np.zeros((2, 4)), [0, 1]), test=(np.zeros((2, 2, 2)), [0, 1]))
    with pytest.raises(DataError, match="labels are int64 in one part and <U1 in the other"):
        from_arrays("a", (np.zeros((2, 4)), [0, 1]), test=(np.zeros((2, 4)), ["a", "b"]))
    with pytest.raises(DataError, match="test y: 1 of 2 rows hold a negative"):
        from_arrays("a", (np.zeros((2, 4)), [0, 1]), test=(np.zeros((2, 4)), [0, -1]))


def test_labels_that_can_only_stand_at_positions_are_kept_for_a_model_to_place_them():
    y = np.array([[0, 2, -100], [1, 0, 3]])
    found = from_arrays("a", (np.zeros((2, 3, 4)), y))
    assert torch.equal(found.y, torch.from_numpy(y))
    with pytest.raises(DataError, match="2 of 2 rows hold a negative label"):
        from_arrays("a", (np.zeros((2, 3, 4)), -1 - abs(y)))
