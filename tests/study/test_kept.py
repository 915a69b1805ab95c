"""Answers about rows are kept for the same rows, and for no others."""

import numpy as np

from unbend.study.examine import kept as module
from unbend.study.examine.kept import keep_answers


def counting():
    asked = []

    @keep_answers
    def total(*arrays):
        asked.append(1)
        return float(sum(array.sum() for array in arrays))

    return total, asked


def test_the_same_rows_are_asked_about_once():
    total, asked = counting()
    x = np.arange(12.0).reshape(3, 4)
    assert total(x) == total(x.copy()) == total(np.asfortranarray(x)) == 66.0
    assert len(asked) == 1


def test_another_value_type_shape_or_number_of_arrays_is_asked_anew():
    total, asked = counting()
    x = np.arange(12.0).reshape(3, 4)
    for arrays in ((x,), (x.T,), (x.reshape(4, 3),), (x.view(np.int64),), (x, x), (x[:2], x[2:]), (x[:1], x[1:])):
        assert total(*arrays) == float(sum(array.sum() for array in arrays))
    assert len(asked) == 7
    x[0, 0] = 5.0
    assert total(x) == 71.0


def test_only_the_last_answers_are_kept():
    total, asked = counting()
    for i in range(module._MOST + 1):
        total(np.array([i]))
    total(np.array([module._MOST]))
    assert len(asked) == module._MOST + 1
    total(np.array([0]))
    assert len(asked) == module._MOST + 2
