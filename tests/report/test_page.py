import re
from base64 import b64encode
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import pytest
import studies
import torch
from markupsafe import escape

from unbend.errors import RecordError
from unbend.numerics.activity import ActivityState, activity
from unbend.numerics.batch import batch, samples
from unbend.numerics.saturation import saturation
from unbend.report.html import write
from unbend.report.page import report
from unbend.report.sections import Place, Section, section, summed_up
from unbend.report.text import columns, headline, meanings, summary


@dataclass(frozen=True, slots=True, eq=False)
class Toy:
    """A measure nobody has heard of.

    Attributes:
        bounce: how high it bounces,
            on the second try.
        springs: one per unit [d].
        name: what it is called.
    """

    bounce: float
    springs: np.ndarray
    name: str


def with_toy(study):
    toy = Toy(12.345, np.arange(5.0), "toy <b>")
    first, *rest = study.layers
    layers = (replace(first, results={**first.results, "toy": toy}), *rest)
    return replace(study, layers=layers, across={**study.across, "toys": toy})


@pytest.fixture(scope="module")
def page():
    return report(studies.hostile())


@pytest.fixture(scope="module")
def regression_page():
    return report(studies.regression())


def test_a_toy_measure_is_on_the_page_and_in_the_summary_without_another_edit():
    study = with_toy(studies.hostile())
    rows = summary(study)
    assert rows[0].numbers["toy.bounce"].value == 12.345
    assert rows[0].numbers["toy.bounce"].meaning == "how high it bounces, on the second try."
    assert "toy.bounce" in columns(rows)
    assert "toy.bounce" not in rows[1].numbers
    html = report(study)
    assert html.count("12.3") >= 3, "in the table of layers, at the layer, and across layers"
    assert "how high it bounces, on the second try." in html
    assert "5 values: least 0, mean 2, greatest 4" in html
    assert "toy <b>" not in html
    assert "toy &lt;b&gt;" in html


def test_an_unknown_result_of_a_saved_file_is_shown_by_its_fields():
    from unbend.study.unknown import Unknown

    study = studies.hostile()
    first, *rest = study.layers
    layers = (replace(first, results={"odd": Unknown("Odd", {"height": 2.5, "note": "x"})}), *rest)
    assert summary(replace(study, layers=layers))[0].numbers["odd.height"].value == 2.5


def test_the_summary_has_one_row_per_layer_in_order():
    study = studies.hostile()
    rows = summary(study)
    assert [row.layer for row in rows] == [layer.name for layer in study.layers]
    assert rows[0].numbers["held-out"].value == study.layers[0].results["readout"].held_out
    assert next(iter(rows[0].numbers)) == "held-out"


def test_names_cannot_become_markup(page):
    body = page[page.index("<body>") :]
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", body, re.DOTALL)
    assert len(scripts) == body.count("<script") == body.count("</script>")
    assert [kind for kind, _ in scripts if "type=" not in kind] == [""], "only the page's own"
    assert all("<" not in text for kind, text in scripts if kind), "data are no markup"
    assert "<img" not in body
    assert "onerror=alert(3)&gt;" in body


def test_nothing_is_fetched_and_scripts_are_named_by_their_hash(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    script, style = (
        page[page.rindex("<script>") + 8 : page.rindex("</script>")],
        re.search("<style>(.*?)</style>", page, re.DOTALL)[1],
    )
    for kind, said in (("script", script), ("style", style)):
        assert f"{kind}-src 'sha256-{b64encode(sha256(said.encode()).digest()).decode()}';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]* style=", page)
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)


def test_every_drawing_says_what_it_shows_and_has_its_numbers(page):
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) > 10
    for figure in figures:
        drawings = re.findall(r'<div class="plot r\d+" role="img" tabindex="0" aria-label="([^"]+)"', figure)
        assert drawings
        assert all(len(label) > 12 for label in drawings)
        assert "<details" in figure
        assert "<table>" in figure


def test_ids_are_unique(page):
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    clips = set(re.findall(r"url\(#(\w+)\)", page))
    assert clips <= set(ids)
    assert {link[1:] for link in re.findall(r'href="(#[^"]*)"', page)} <= {*ids}


def test_a_regression_has_a_page(regression_page):
    html = regression_page
    assert "R²" in html
    assert "held-out variance" in html
    assert "Fisher staircase" not in html


def test_the_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    html = "<p>ä page</p>"
    write(html, target)
    assert target.read_text(encoding="utf-8") == html
    assert list(tmp_path.iterdir()) == [target]

    def full(self, text, encoding=None):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(RecordError, match="No space left on device"):
        write("another", target)
    assert target.read_bytes().decode() == html
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(RecordError, match="No such file or directory"):
        write("", tmp_path / "nowhere" / "page.html")
    with pytest.raises(RecordError, match="got a folder"):
        write("", tmp_path)


def test_the_same_study_gives_the_same_page_and_no_setting_changes(regression_page):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    assert report(studies.regression()) == regression_page
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["moments", "activity", "centroids", "histogram", "scatter", "spectrum"])
@pytest.mark.parametrize("width", [1, 2, 700])
def test_odd_layers_have_sections(name, width):
    """One unit, constant units, values that are not finite, wide layers."""
    import torch

    from unbend.numerics.batch import samples
    from unbend.numerics.state import MEASURES

    h = torch.randn(30, width)
    h[0, 0] = torch.nan
    h[:, -1] = 0.0
    measure = MEASURES[name]
    state = measure.needs[0].of(batch(h, samples(torch.arange(30) % 3)))
    assert isinstance(section(measure.finish(state)), Section)


def test_meanings_come_from_docstrings():
    said = meanings(Toy.__doc__)
    assert said == {
        "bounce": "how high it bounces, on the second try.",
        "springs": "one per unit [d].",
        "name": "what it is called.",
    }


def test_values_are_summed_up_in_words():
    assert summed_up(np.array([True, False])) == "2 values: 1 true"
    assert summed_up(np.array([1.0, np.nan, 3.0])) == "3 values: least 1, mean 2, greatest 3, 1 not finite"
    assert summed_up({"a": 1, "b": (2, 3)}) == "a: 1; b: 2, 3"
    assert summed_up(()) == "none"


def activity_of(function=None, *, shift=0.0):
    z = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)) + shift
    made = batch(z if function is None else function(z), samples(torch.zeros(60, dtype=torch.int64)),
                 saturation=None if function is None else saturation(function))  # fmt: skip
    return activity(ActivityState.of(made))


def test_a_layer_that_is_no_activation_has_dashes_that_say_why():
    numbers = {number.label: number for number in headline(activity_of(), "activity")}
    assert numbers["silent"].text == "0"
    for label in ("dormant", "saturated"):
        assert (numbers[label].text, numbers[label].share) == ("—", None)
        assert np.isnan(numbers[label].value)
        assert numbers[label].meaning.endswith("— for a layer that is no activation, or has no finite value")
    assert {n.text for n in headline(activity_of(torch.relu), "activity")} == {"0"}
    study = studies.hostile()
    first, *rest = study.layers
    layers = (replace(first, results={**first.results, "activity": activity_of()}), *rest)
    html = report(replace(study, layers=layers))
    assert len(re.findall(r'<td data-value="nan" title="units [^"]* no activation[^"]*">—</td>', html)) == 2
    assert not re.search(r">\s*nan\s*<", html)


@pytest.mark.parametrize("kind", ["linear", "activation"])
def test_units_are_drawn_only_where_they_are_judged(kind):
    place = Place("activity", "1", kind)
    assert section(activity_of(), place) == Section()
    (picture,) = section(activity_of(torch.relu), place).pictures
    assert all(np.isfinite(values).all() for values in picture.data.values() if isinstance(values, np.ndarray))


def test_always_on_is_told_only_of_units_that_could_be_off():
    place = Place("activity", "1", "activation")
    (rectified,) = section(activity_of(torch.relu, shift=10.0), place).pictures
    assert "4 always on" in rectified.label
    assert rectified.data["verdict"].tolist() == [4] * 4
    assert ("always", "4 always on") in rectified.legend
    assert {row[-1] for row in rectified.table.rows} == {"always on"}
    (smooth,) = section(activity_of(torch.sigmoid), place).pictures
    assert "always on" not in smooth.label
    assert not smooth.data["verdict"].any()
    assert smooth.legend == ()
    assert {row[-1] for row in smooth.table.rows} == {""}


def test_a_long_page_carries_its_tables_as_text_with_every_number():
    study = studies.many(14, 12, 5)
    html = report(study)
    texts = re.findall(r'<pre class="table" tabindex="0">(.*?)</pre>', html, re.DOTALL)
    layer = study.layers[3]
    place = Place("", layer.name, layer.kind, study.about.class_names, {one.name: one.name for one in study.layers})
    pictures = [
        p for name, result in layer.results.items() for p in section(result, replace(place, name=name)).pictures
    ]
    assert len(pictures) > 5
    for picture in pictures:
        assert str(escape("\n\n".join(filter(None, (picture.table.lines, picture.table.note))))) in texts
        rows = [[cell.strip() for cell in line.split("\t")] for line in picture.table.lines.split("\n")]
        width = len(picture.table.head)
        assert [(*row, *[""] * (width - len(row))) for row in rows] == [picture.table.head, *picture.table.rows]
