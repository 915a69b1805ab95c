"""Every kind of page in a real browser: it starts, fits, obeys its policy, leads where it says; axe finds no fault."""

from dataclasses import replace

import numpy as np
import pytest
import studies
import torch
from tests import chromium
from torch import nn

import unbend
from unbend.explain.maximise.maximise import Ascent
from unbend.explain.units.units import units
from unbend.lab import claim
from unbend.lab.entries import entry
from unbend.lab.page import page as lab_page
from unbend.lab.results import Run
from unbend.learn.site import plain_page, write
from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.piecewise import network
from unbend.numerics.probe import ProbeRecipe, probe
from unbend.numerics.separable import ladder_step
from unbend.report.bottleneck import bottleneck_page
from unbend.report.compare import comparison_page
from unbend.report.flow import flow_page, lines_pictures
from unbend.report.maps import maps_page
from unbend.report.maximise import maximise_page
from unbend.report.notebook import page_of
from unbend.report.page import report
from unbend.report.regions import regions_page
from unbend.report.run import run_page
from unbend.report.saliency import saliency_page
from unbend.report.shape import shape_page
from unbend.report.sheet import SheetPart, sheet
from unbend.report.steering import steering_page
from unbend.report.surgery import surgery_page
from unbend.report.units import units_page
from unbend.study.compare import compare
from unbend.study.ladder import Ladder
from unbend.study.opening import opening
from unbend.study.window import FlatSamples, samples_on

pytestmark = [pytest.mark.browser, chromium.IS_THERE]


def study():
    """The digits with proofs and probes: every view but those of two classes."""
    rng = np.random.default_rng(0)
    x, y = np.concatenate([rng.normal(-2, 1, (30, 64)), rng.normal(2, 1, (30, 64))]), np.repeat([0, 1], 30)
    steps = tuple(ladder_step(rows, y, shuffles=2) for rows in (x[:, :1], x[:, :2]))
    found = studies.digits()
    rows = np.unique(np.concatenate([step.witnesses for step in steps]))
    ladder = Ladder(layers=("input", "1"), steps=steps, ids=np.arange(60), shown=rows, inputs=x[rows], labels=y[rows])
    probes = probe({"input": x[:, :2], "1": x[:, :3]}, y, recipe=ProbeRecipe(l2=0.1))
    return replace(found, across={**found.across, "ladder": ladder, "probes": probes})


def two_classes():
    torch.manual_seed(0)
    x, y = torch.randn(120, 6), torch.arange(120) % 2
    x[:, 0] += 3 * y
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    return studies.study_of(model, x[:80], y[:80], x[80:], y[80:], k=2, names=("a", "b"))


def regions():
    rng = np.random.default_rng(1)
    x = rng.random((3, 16))
    first, last = rng.standard_normal((9, 16)), rng.standard_normal((3, 9))
    middle = -last @ np.maximum(first @ x.mean(axis=0), 0)  # there all classes are even, so boundaries cross the window
    net = network([first], [np.zeros(9)], last, middle)
    found = cells(net, Plane.through(*x))
    samples = samples_on(found.plane, FlatSamples(x, np.arange(3), (4, 4), ("a", "b", "c")))
    return regions_page([found, found], boundaries=[boundary(found)] * 2, samples=samples, titles=["start", "end"])


def cards():
    data = unbend.zoo.data("moons", n=120, seed=0)
    return units_page(units(unbend.zoo.mlp([2, 60, 2], seed=0), (data.x_train, data.y_train)), title="Units")


def claims(folder):
    lacking = Run("cover", 0, "quick", "not run", "Install it: apt install <dataset> & more")
    return lab_page([entry(claim("cover"), [lacking])], folder)


def lesson(folder):
    write(folder, ["neurons"])
    return (folder / "neurons.html").read_text(encoding="utf-8")


def moons():
    """A small net and its rows, which every way of explaining is asked about."""
    data = unbend.zoo.data("moons", n=160, seed=0)
    return unbend.zoo.mlp([2, 6, 4, 2], seed=0), ((data.x_train, data.y_train), (data.x_test, data.y_test))


def images():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return model, (torch.rand(90, 1, 8, 8), torch.arange(90) % 3)


def flow():
    model, ((x, y), _) = moons()
    return flow_page(unbend.flow(model, x, y), title="Flow", lines=lines_pictures(model, {"now": None}, x, y))


def bottleneck():
    return bottleneck_page(unbend.bottleneck(*moons(), epochs=2).plane, title="Bottleneck")


def runs():
    _, rows = moons()
    nets = [unbend.zoo.mlp([2, 6, 4, 2], seed=seed) for seed in range(4)]
    read = [unbend.study(net, rows, twin=False, trials=False) for net in nets]
    return comparison_page(unbend.compare_runs(read[:2], read[2:]))


def demo():
    model, data = unbend.zoo.demo.moons_in_two()
    return report(two_classes(), opening=opening(model, data, network="2-16-2-2", name="two moons"))


PAGES = {
    "study": lambda folder: report(study()),
    "demo of two classes": lambda folder: demo(),
    "many classes": lambda folder: report(studies.many(2, 24, 130)),
    "many layers": lambda folder: report(studies.many(16, 8, 3)),
    "comparison": lambda folder: comparison_page(compare(studies.digits(), studies.digits())),
    "several runs": lambda folder: runs(),
    "result": lambda folder: page_of(studies.digits().layers[2].results["spectrum"])[0],
    "run": lambda folder: run_page(studies.history()),
    "units": lambda folder: cards(),
    "regions": lambda folder: regions(),
    "maps": lambda folder: maps_page(unbend.maps(*moons(), methods=["pca", "discriminant"], restarts=0), title="Maps"),
    "maximise": lambda folder: maximise_page(unbend.maximise(*images(), how=Ascent(steps=3)), title="Most"),
    "flow": lambda folder: flow(),
    "sheet": lambda folder: sheet("A title", ("Words.",), [SheetPart("More", ("`x`",), (), ("a", "b"), (("1", "2"),))]),
    "lab": claims,
    "lesson": lesson,
    "glossary": lambda folder: plain_page("Glossary", "# Words\n\n| word | meaning |\n|---|---|\n| a | b |\n"),
}


SHEETS = {
    "bottleneck": lambda folder: bottleneck(),
    "maximise": lambda folder: maximise_page(unbend.maximise(*moons(), how=Ascent(steps=3)), title="Most"),
    "saliency": lambda folder: saliency_page(unbend.saliency(*moons(), rows=2), title="Saliency"),
    "shape": lambda folder: shape_page(unbend.shape(*moons()), title="Shape"),
    "steer": lambda folder: steering_page(unbend.steer(*moons(), 1), title="Steering"),
    "surgery": lambda folder: surgery_page(unbend.surgery(*moons(), units=True), title="Surgery"),
}
"""Pages of sentences, still pictures and tables, which differ in what stands on them."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where a page lies; each is made once."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def placed(name):
        if name not in made:
            made[name] = folder / f"{name.replace(' ', '-')}.html"
            made[name].write_text(PAGES[name](folder), encoding="utf-8")
        return made[name]

    return placed


@pytest.mark.parametrize("name", PAGES)
def test_it_starts_fits_and_leads_where_it_says(visit, place, name):
    page = visit(place(name))
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    if name != "result":  # a frame of a notebook has no button
        page.click("#theme")
        assert page.evaluate(ground) != before
        assert page.locator("#theme").inner_text() == "Light"
    lost = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(a.hash.slice(1)))"
        ".map(a => a.outerHTML)"
    )
    assert lost == []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('h1').length") == 1


LOOKS = ((390, "dark"), (390, "light"), (1280, "dark"))
"""Widths and schemes in which axe sees a page after the first, wide and light; the page of a study in all."""


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(visit, place, name):
    page = visit(place(name))
    assert chromium.faults(page) == []
    chromium.drop_folds(page)
    for width, scheme in LOOKS if name == "study" else LOOKS[:1]:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(200)
        assert chromium.faults(page) == [], (width, scheme)


@pytest.mark.parametrize("name", SHEETS)
def test_what_explaining_writes_fits_a_phone_and_axe_finds_no_serious_fault(visit, tmp_path, name):
    (tmp_path / "page.html").write_text(SHEETS[name](tmp_path), encoding="utf-8")
    page = visit(tmp_path / "page.html", width=390, scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert chromium.faults(page) == []


def plot(page, view):
    """The first such view, drawn: its host."""
    figures = page.evaluate("JSON.parse(document.getElementById('data').textContent).figures.map(f => f.view)")
    host = page.locator(f"[data-figure='{figures.index(view)}']")
    host.scroll_into_view_if_needed()
    host.locator("svg, canvas").first.wait_for(state="attached")
    return host


@pytest.mark.parametrize(("view", "mark"), [("ladder", ".rung path"), ("images", "canvas"), ("probes", "svg")])
def test_proofs_and_probes_draw_and_tell(visit, place, view, mark):
    page = visit(place("study"))
    host = plot(page, view)
    assert "NaN" not in host.inner_html()
    host.locator(mark).first.hover()
    assert len(page.locator(".tip").inner_text().splitlines()) >= 2


def test_values_draw_themselves_in_the_frames_of_a_notebook(visit, tmp_path):
    rng = np.random.default_rng(0)
    net = network([rng.standard_normal((4, 2))], [rng.standard_normal(4)], rng.standard_normal((2, 4)), np.zeros(2))
    values = {
        "Study": (studies.digits(), ".curve svg"),
        "Finding": (studies.digits().findings[0], ".finding.problem dl"),
        "Separation": (unbend.separate(np.array([[0.0], [1.0], [2.0]]), np.array([0, 0, 1])), "table"),
        "Cells": (cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0))), "#facts dd"),
        "Probes": (probe({"a": rng.normal(size=(80, 2))}, np.arange(80) % 2, recipe=ProbeRecipe(l2=0.1)), "figure svg"),
    }
    notebook = tmp_path / "notebook.html"
    frames = "".join(value._repr_html_() for value, _ in values.values())
    notebook.write_text(f"<!doctype html><meta name=color-scheme content='light dark'><body>{frames}", encoding="utf-8")
    page = visit(notebook, width=900, ready="iframe")
    for scheme, paper in (("light", "rgb(253, 253, 252)"), ("dark", "rgb(20, 22, 25)")):
        page.emulate_media(color_scheme=scheme)
        for name, (_, drawn) in values.items():
            page.locator(f"iframe[title={name}]").scroll_into_view_if_needed()
            inside = page.frame_locator(f"iframe[title={name}]")
            inside.locator(drawn).first.wait_for()
            assert inside.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == paper, (scheme, name)


def test_two_classes_are_densities_on_the_axis_that_parts_them(visit, place):
    page = visit(place("demo of two classes"))
    host = plot(page, "density")
    assert host.locator("path.outline").count() == 2
    host.focus()
    page.keyboard.press("ArrowRight")
    assert host.locator("path.ring").get_attribute("d")


def test_a_run_is_walked_through_by_slider_and_keys_and_its_layers_light_up_together(visit, place):
    page = visit(place("run"))
    page.locator("#frame").press("Home")
    assert page.locator("#at").inner_text() == "10"
    first = page.locator("#panels .plot").first
    first.scroll_into_view_if_needed()
    first.locator("svg").wait_for()
    first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#at").inner_text() == "20"
    assert "step 20" in page.locator(".tip").inner_text()
    lit = page.locator("#panels path.lit")
    assert lit.count() >= 2, "every panel on the screen that has the layer"
    assert page.locator("tr.looked-at").count() == 1
    value = page.locator("tr.looked-at td").first.inner_text()
    page.keyboard.press("End")
    assert page.locator("#at").inner_text() == "200"
    assert page.locator("tr.looked-at td").first.inner_text() != value
    assert page.locator("#line rect").count() >= 2


def test_units_are_sorted_chosen_and_turned(visit, place):
    page = visit(place("units"))
    page.select_option("#layer", "1")
    page.select_option("#sort", label="number")
    heads = page.locator(".card h2").all_inner_texts()
    assert heads == [f"unit {i}" for i in range(48)]
    page.click("#next")
    assert page.locator(".card h2").all_inner_texts() == [f"unit {i}" for i in range(48, 60)]
    assert page.locator("#next").is_disabled()
    page.select_option("#class", "1")
    assert 0 < page.locator(".card").count() < 60
    assert page.locator(".card .means span").first.get_attribute("title").startswith("class 0: mean")


def test_regions_are_moved_zoomed_kept_and_played_by_keys(visit, place):
    page = visit(place("regions"))
    pixels = "document.getElementById('view').toDataURL()"

    def changed(act):
        before = page.evaluate(pixels)
        act()
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return page.evaluate(pixels) != before

    view = page.locator("#view")
    assert changed(lambda: view.press("+"))
    assert changed(lambda: view.press("ArrowLeft"))
    assert changed(lambda: view.press("Enter"))
    assert page.locator("#region td").count() == 9
    assert changed(lambda: page.click("#reset"))
    for box in ("#kinks", "#boundary", "#points"):
        assert changed(lambda box=box: page.uncheck(box)), box
    assert changed(lambda: page.select_option("#colour", "pattern"))
    assert changed(lambda: page.click("#theme"))
    page.locator("#frame").press("ArrowRight")
    assert page.locator("#stamp").inner_text() == "end"
    wide, high = page.evaluate("[document.getElementById('view').width, document.getElementById('view').height]")
    corners = regions_ratio()
    assert abs(high / wide - corners) < 0.01, "the map has the shape of its window"


def regions_ratio():
    x = np.random.default_rng(1).random((3, 16))
    across, up = np.ptp(Plane.through(*x).corners, axis=0)
    return up / across
