"""The demo begins with classes that no line parts, and the layer in which one does; both proofs hold."""

import re
from itertools import product

import numpy as np
import pytest
import studies

from unbend import zoo
from unbend.errors import DataError
from unbend.report.opening import on_page, opening_sentences
from unbend.report.page import report
from unbend.study.jobs import opening_demo
from unbend.study.opening import opening


@pytest.fixture(scope="module")
def first():
    return opening_demo()


def test_both_proofs_hold_for_the_rows_that_are_drawn(first):
    assert first.before.verify(first.inputs.astype(np.float32), first.labels)
    assert first.after.verify(first.hidden.astype(np.float32), first.labels)
    assert not first.before.verify(first.hidden.astype(np.float32), first.labels)
    assert first.held_out > 0.95


@pytest.mark.parametrize("seed", range(1, 4))
def test_other_seeds_show_the_same(seed):
    made = opening(*zoo.moons_in_two(seed), network="net", name="moons")
    assert made.after.margin > 0


def test_a_net_that_does_not_separate_is_refused():
    model, data = zoo.moons_in_two()
    model[2].weight.data.zero_()
    with pytest.raises(DataError, match="expected an overlap that a layer undoes"):
        opening(model, data, network="net", name="moons")


def test_the_line_drawn_parts_the_rows_drawn(first):
    hidden = on_page(first).drawings[1].markup
    dots = [np.array([[float(v) for v in point.split()] for point in re.findall(r"M([-\d. ]+)h0", path)])
            for path in re.findall(r'<path d="((?:M[-\d. ]+h0)+)"', hidden)]  # fmt: skip
    assert [len(points) for points in dots] == np.bincount(first.labels).tolist()
    x, y, u, v = map(float, re.search(r'd="M([-\d.]+) ([-\d.]+)L([-\d.]+) ([-\d.]+)"', hidden).groups())
    assert all(-0.1 <= a <= 340.1 for a in (x, u))
    assert all(-0.1 <= a <= 260.1 for a in (y, v))
    sides = [np.sign((u - x) * (points[:, 1] - y) - (v - y) * (points[:, 0] - x)) for points in dots]
    assert {tuple(np.unique(side)) for side in sides} == {(-1.0,), (1.0,)}


def test_the_page_of_the_demo_shows_it_first_under_the_strict_policy(first):
    study = studies.many(3, 8, 3)
    page, alone = report(study, opening=first), report(study)
    assert 'id="opening"' not in alone
    assert "style-src 'sha256-" in page
    assert page.index('id="opening"') < page.index('id="top"')
    words = [" ".join(re.sub("<[^>]+>", " ", page).split()), *opening_sentences(first)]
    assert all(said in words[0] for said in words[1:])
    assert not re.search(r"<svg[^>]* style=", page[page.index('id="opening"') : page.index('id="top"')])


def test_its_marks_tell_classes_without_colour(first):
    drawings = on_page(first).drawings
    assert all(f'stroke-linecap="{cap}"' in d.markup for d, cap in product(drawings, ("round", "square")))
    assert drawings[0].markup.count("<circle") == len(first.before.rows)
