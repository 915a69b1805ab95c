"""The page in a real browser."""

import re
from pathlib import Path

import pytest
import studies

from unbend.report.page import report

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

    def opened(width=1280, **settings):
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(r.url))
        page.goto(file.as_uri())
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
    names = page.eval_on_selector_all(
        "img, svg, svg image", "all => all.filter(e => !e.closest('svg svg, svg') || e.tagName === 'svg')"
        ".map(e => e.getAttribute('aria-label') || e.getAttribute('alt') || '')"
    )  # fmt: skip
    assert len(names) > 10
    assert all(names)


def test_hostile_names_stay_text(visit):
    page = visit()
    assert page.evaluate("document.querySelectorAll('body script').length") == 1
    assert page.locator("h1").inner_text().startswith("<img src=x onerror=alert(3)>")


def test_the_theme_follows_the_system_and_the_button(visit):
    dark = "getComputedStyle(document.body).backgroundColor"
    light_page, dark_page = visit(color_scheme="light"), visit(color_scheme="dark")
    light, night = light_page.evaluate(dark), dark_page.evaluate(dark)
    assert light != night
    light_page.click("#theme")
    assert light_page.evaluate(dark) == night


def test_pictures_take_their_colours_from_the_theme(visit):
    ink = "getComputedStyle(document.querySelector('.broad svg text')).fill"
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
    page.click("button[data-class='1']")
    shown = "c => getComputedStyle(document.querySelector(`svg g.class-${c}`)).opacity"
    assert page.evaluate(shown, 1) == "1"
    assert float(page.evaluate(shown, 0)) < 0.2
    page.click("button[data-class='1']")
    assert page.evaluate(shown, 0) == "1"


def test_without_scripts_everything_is_there(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("#theme").is_hidden()
    assert page.locator("table.sortable tbody tr").count() == len(studies.hostile().layers)


def test_it_prints(visit):
    pdf = visit().pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
