"""Numbers at the ends of float32 and float64, and programs that let floating-point exceptions raise."""

import numpy as np
import pytest
import torch

from unbend.errors import DataError
from unbend.numerics.probe import closed_form, probe, regress


def rows():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = np.rint(30 * rng.standard_normal((300, 4)))
    x[:, 0] += 60 * y
    return x, y


def fits(x, y):
    return {
        "probe": lambda: probe({"layer": x}, y).layers["layer"],
        "closed_form": lambda: closed_form(torch.from_numpy(x), torch.from_numpy(y)),
        "regress": lambda: regress({"layer": x}, y.astype(float))["layer"],
    }


@pytest.mark.parametrize("fit", ["probe", "closed_form", "regress"])
@pytest.mark.parametrize(("scale", "sentence"), [(1e300, "up to"), (1e-200, "differ"), (5e-324, "differ")])
def test_rows_whose_squares_float64_cannot_hold_are_refused_in_a_sentence(fit, scale, sentence):
    x, y = rows()
    with pytest.raises(DataError, match=sentence), np.errstate(all="raise"):
        fits(x * scale, y)[fit]()


@pytest.mark.parametrize("scale", [2.0**-149, 2.0**-100, 2.0**110])
def test_a_power_of_two_does_not_change_what_is_read_off_float32_rows(scale):
    x, y = rows()
    usual, scaled = (fits(a.astype(np.float32), y) for a in (x, x * scale))
    for fit in ("probe", "closed_form"):
        np.testing.assert_allclose(scaled[fit]().accuracy, usual[fit]().accuracy, atol=0.02, err_msg=fit)
    np.testing.assert_allclose(scaled["regress"]().r2, usual["regress"]().r2, atol=1e-3)


@pytest.mark.parametrize("fit", ["probe", "closed_form", "regress"])
def test_a_unit_of_denormals_does_no_harm(fit):
    x, y = rows()
    beside = np.c_[x, x[:, 1] * 5e-324]
    usual = fits(x, y)[fit]()
    with np.errstate(all="raise"):
        found = fits(beside, y)[fit]()
    assert np.isfinite(found.weight).all()
    score = "r2" if fit == "regress" else "accuracy"
    np.testing.assert_allclose(getattr(found, score), getattr(usual, score), atol=0.03)


@pytest.mark.parametrize("fit", ["probe", "closed_form", "regress"])
def test_a_program_that_raises_on_underflow_gets_the_same_weights(fit):
    x, y = rows()
    x[:, 1] *= 1e-160
    usual = fits(x, y)[fit]()
    with np.errstate(all="raise"):
        found = fits(x, y)[fit]()
    np.testing.assert_array_equal(found.weight, usual.weight)
