"""The page of a comparison: both curves, differences, findings gone and new; safe and self-contained."""

import re
from dataclasses import replace

import numpy as np
import pytest
import studies
from blocks import of_page, unpacked

from unbend.report.compare import comparison_page
from unbend.study.compare import compare


@pytest.fixture(scope="module")
def comparison():
    before = studies.hostile()
    return compare(before, replace(before, findings=studies.FINDINGS[:1]))


def test_both_curves_and_their_differences_are_on_the_page(comparison):
    html = comparison_page(comparison)
    curves, differences = unpacked(of_page(html))
    assert np.allclose(curves["first"], comparison.held_out_first, rtol=1e-6)
    assert np.allclose(curves["second"], comparison.held_out_second, rtol=1e-6)
    for name in ("change", "low", "high"):
        assert np.allclose(differences[name], getattr(comparison, name), rtol=1e-6, atol=1e-7)
    assert differences["is_beyond_noise"].tolist() == comparison.is_beyond_noise.tolist()
    assert html.count("<tr data-layer=") == len(comparison.layers)
    assert "Findings that are new" in html
    assert "9 of 64 units of <code>3</code> are silent." in html


def test_names_stay_text_and_the_policy_is_strict(comparison):
    html = comparison_page(comparison)
    body = html[html.index("<body>") :]
    assert "<img" not in body
    assert "onerror=alert(3)&gt;" in body
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]* style=", html)


def test_layers_that_only_one_has_are_counted():
    before = studies.hostile()
    less = replace(before, layers=before.layers[:-1])
    assert "1 only in the first" in comparison_page(compare(before, less))
    assert "1 only in the second" in comparison_page(compare(less, before))
