"""Values show themselves in a notebook: one frame, which may run its views and nothing else."""

import html
import re

import numpy as np
import pytest
import studies
from blocks import of_page, unpacked

from unbend.numerics.cells import Plane, cells
from unbend.numerics.piecewise import network
from unbend.numerics.probe import ProbeRecipe, probe
from unbend.numerics.separable import separate
from unbend.report.page import report
from unbend.study.compare import compare


def page_in(frame):
    """The page inside of a frame, as a browser reads it."""
    assert frame.startswith('<iframe sandbox="allow-scripts" srcdoc="')
    assert frame.count("<") == frame.count("</") + 1 == 2, "nothing but the frame is markup"
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])
    assert "default-src 'none'" in page
    return page


def test_a_study_shows_its_page():
    study = studies.hostile()
    assert page_in(study._repr_html_()) == report(study)


def test_a_finding_shows_what_it_says():
    page = page_in(studies.hostile().findings[0]._repr_html_())
    assert "<img" not in page
    assert "onerror=alert(3)&gt;" in page
    assert "What to do" in page


def test_a_result_shows_its_pictures_with_their_numbers():
    result = studies.digits().layers[2].results["spectrum"]
    page = page_in(result._repr_html_())
    (curve,) = unpacked(of_page(page))
    assert curve["effective_rank"] == pytest.approx(result.effective_rank)
    probes = probe({"a": np.random.default_rng(0).normal(size=(80, 2))}, np.arange(80) % 2, recipe=ProbeRecipe(l2=0.1))
    assert "Held-out accuracy of the probes" in page_in(probes._repr_html_())


def test_a_proof_shows_its_fields():
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    page = page_in(separate(x, y)._repr_html_())
    assert "<h1>Separation</h1>" in page
    assert "<table>" in page


def test_cells_and_comparisons_show_their_pages():
    rng = np.random.default_rng(0)
    net = network([rng.standard_normal((4, 2))], [rng.standard_normal(4)], rng.standard_normal((2, 4)), np.zeros(2))
    assert "regions" in page_in(cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0)))._repr_html_())
    assert "The difference" in page_in(compare(studies.hostile(), studies.hostile())._repr_html_())
