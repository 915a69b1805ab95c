"""The page in a real browser."""

import re
from pathlib import Path

import numpy as np
import pytest
import studies

from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.piecewise import network
from unbend.report.page import report
from unbend.report.regions import PlaneSamples, regions_page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed at /usr/bin/chromium"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "page.html"
    report(studies.hostile(), target)
    return target


@pytest.fixture
def visit(browser, file):
    """Opens the page; at the end nothing was fetched and nothing was complained about."""
    wrong, contexts = [], []

    def opened(width=1280, where=file, **settings):
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(r.url))
        page.goto(where.as_uri())
        if settings.get("java_script_enabled", True) and where == file:
            page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_screen(visit, width):
    page = visit(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('summary')].forEach(s => s.parentElement.open = true)"
    page.evaluate(wide)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_image_that_is_shown_has_a_name(visit):
    page = visit()
    names = page.eval_on_selector_all("[role=img]", "all => all.map(e => e.getAttribute('aria-label') || '')")
    assert len(names) > 10
    assert all(names)
    loose = "img, canvas:not([role=img] *), svg:not([role=img] *)"
    assert page.locator(loose).count() == 0, "every drawing stands in something that has a name"


def test_hostile_names_stay_text(visit):
    page = visit()
    assert page.evaluate("document.querySelectorAll('body script:not([type])').length") == 1
    assert page.locator("h1").inner_text().startswith("<img src=x onerror=alert(3)>")


def test_the_theme_follows_the_system_and_the_button(visit):
    dark = "getComputedStyle(document.body).backgroundColor"
    light_page, dark_page = visit(color_scheme="light"), visit(color_scheme="dark")
    light, night = light_page.evaluate(dark), dark_page.evaluate(dark)
    assert light != night
    light_page.click("#theme")
    assert light_page.evaluate(dark) == night


def test_pictures_take_their_colours_from_the_theme(visit):
    ink = "getComputedStyle(document.querySelector('.curve svg text')).fill"
    assert visit(color_scheme="light").evaluate(ink) != visit(color_scheme="dark").evaluate(ink)


def test_the_table_of_layers_sorts(visit):
    page = visit()
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => Number(r.cells[4].dataset.value))"
    page.click("table.sortable th:nth-child(5) button")
    rising = page.evaluate(column)
    assert rising == sorted(rising)
    assert rising != rising[::-1]
    page.click("table.sortable th:nth-child(5) button")
    assert page.evaluate(column) == rising[::-1]
    assert page.get_attribute("table.sortable th:nth-child(5)", "aria-sort") == "descending"


def test_a_class_comes_forward(visit):
    page = visit()
    page.locator(".plot[aria-label*='plane']").first.scroll_into_view_if_needed()
    page.wait_for_selector("svg g.class-1")
    page.click("button[data-class='1']")
    shown = "c => getComputedStyle(document.querySelector(`svg g.class-${c}`)).opacity"
    assert page.evaluate(shown, 1) == "1"
    assert float(page.evaluate(shown, 0)) < 0.2
    page.click("button[data-class='1']")
    page.mouse.move(0, 0)
    assert page.evaluate(shown, 0) == "1"


def test_without_scripts_everything_is_there(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("#theme").is_hidden()
    assert page.locator("table.sortable tbody tr").count() == len(studies.hostile().layers)


def test_it_prints(visit):
    pdf = visit().pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2


@pytest.fixture(scope="module")
def regions_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    net = network([rng.standard_normal((6, 2))], [rng.standard_normal(6) / 3], rng.standard_normal((2, 6)), np.zeros(2))
    found = cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0)))
    target = tmp_path_factory.mktemp("regions") / "regions.html"
    samples = PlaneSamples(np.zeros((1, 2)), np.zeros(1, np.int64), ("</script><b>", "two"))
    edges = [boundary(found)] * 2
    target.write_text(regions_page([found, found], boundaries=edges, samples=samples), encoding="utf-8")
    return target


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_of_regions_draws_them_and_tells_the_map_of_one(visit, regions_file, width):
    page = visit(width, regions_file)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = """() => {
        const view = document.getElementById("view"), all = view.getContext("2d");
        return new Set(new Uint32Array(all.getImageData(0, 0, view.width, view.height).data.buffer)).size
    }"""
    page.wait_for_function(f"({colours})() > 10")
    page.locator("#view").click(position={"x": 60, "y": 60})
    assert page.locator("#region td").count() > 4
    assert "</script><b>" in page.locator("#classes").inner_text()
    page.locator("#play").click()
