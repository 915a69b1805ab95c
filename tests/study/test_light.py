"""What stands in for a package that is slow to import says what the package says."""

import numpy as np
import pytest
from scipy import stats
from sklearn.tree import DecisionTreeClassifier

from unbend.study.examine.rows import _most
from unbend.study.examine.weights import _uniform


@pytest.mark.parametrize("n", [1, 2, 50, 5000])
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_the_test_of_a_fresh_draw_is_that_of_scipy(n, scale):
    drawn = scale * np.random.default_rng(n).uniform(-1, 1, n)
    assert _uniform(drawn) == stats.kstest(drawn, "uniform", (-1, 2), method="asymp").pvalue


def test_no_tree_on_one_column_beats_the_bound():
    rng = np.random.default_rng(0)
    for n_values in (1, 2, 5, 300):
        x, y = rng.integers(0, n_values, 300).astype(float), rng.integers(0, 3, 300)
        bound = _most(x, y)
        assert DecisionTreeClassifier(random_state=0).fit(x[:, None], y).score(x[:, None], y) == pytest.approx(bound)
        assert DecisionTreeClassifier(max_leaf_nodes=3, random_state=0).fit(x[:, None], y).score(x[:, None], y) <= bound
