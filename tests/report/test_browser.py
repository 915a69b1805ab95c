"""The page in a real browser."""

import re

import numpy as np
import pytest
import studies
from tests import chromium

from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.piecewise import network
from unbend.report.compare import comparison_page
from unbend.report.page import report
from unbend.report.regions import PlaneSamples, regions_page
from unbend.study.compare import compare

pytestmark = [pytest.mark.browser, chromium.IS_THERE]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "page.html"
    report(studies.hostile(), target)
    return target


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_screen(visit, file, width):
    page = visit(file, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('summary')].forEach(s => s.parentElement.open = true)"
    page.evaluate(wide)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_image_that_is_shown_has_a_name(visit, file):
    page = visit(file)
    names = page.eval_on_selector_all("[role=img]", "all => all.map(e => e.getAttribute('aria-label') || '')")
    assert len(names) > 10
    assert all(names)
    loose = "img, canvas:not([role=img] *), svg:not([role=img] *)"
    assert page.locator(loose).count() == 0, "every drawing stands in something that has a name"


def test_hostile_names_stay_text(visit, file):
    page = visit(file)
    assert page.evaluate("document.querySelectorAll('body script:not([type])').length") == 1
    assert page.locator("h1").inner_text().startswith("<img src=x onerror=alert(3)>")


def test_the_theme_follows_the_system_and_the_button(visit, file):
    ground = "getComputedStyle(document.body).backgroundColor"
    night = visit(file, scheme="dark").evaluate(ground)
    page = visit(file, scheme="light")
    assert page.evaluate(ground) != night
    page.click("#theme")
    assert page.evaluate(ground) == night


def test_pictures_take_their_colours_from_the_theme(visit, file):
    ink = "getComputedStyle(document.querySelector('.curve svg text')).fill"
    assert visit(file, scheme="light").evaluate(ink) != visit(file, scheme="dark").evaluate(ink)


def test_the_table_of_layers_sorts(visit, file):
    page = visit(file)
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => Number(r.cells[4].dataset.value))"
    page.click("table.sortable th:nth-child(5) button")
    rising = page.evaluate(column)
    assert rising == sorted(rising)
    assert rising != rising[::-1]
    page.click("table.sortable th:nth-child(5) button")
    assert page.evaluate(column) == rising[::-1]
    assert page.get_attribute("table.sortable th:nth-child(5)", "aria-sort") == "descending"


def test_a_class_comes_forward(visit, file):
    page = visit(file)
    page.locator(".plot[aria-label*='plane']").first.scroll_into_view_if_needed()
    page.wait_for_selector("svg g.class-1")
    page.click("button[data-class='1']")
    shown = "c => getComputedStyle(document.querySelector(`svg g.class-${c}`)).opacity"
    assert page.evaluate(shown, 1) == "1"
    assert float(page.evaluate(shown, 0)) < 0.2
    page.click("button[data-class='1']")
    page.mouse.move(0, 0)
    assert page.evaluate(shown, 0) == "1"


def test_without_scripts_everything_is_there(visit, file):
    page = visit(file, scripts=False, ready="#theme")
    assert page.locator("#theme").is_hidden()
    assert page.locator("table.sortable tbody tr").count() == len(studies.hostile().layers)


def test_it_prints(visit, file):
    pdf = visit(file).pdf(format="A4")
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
    page = visit(regions_file, width=width)
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


@pytest.fixture(scope="module")
def digits_file(tmp_path_factory):
    target = tmp_path_factory.mktemp("digits") / "digits.html"
    report(studies.digits(), target)
    return target


@pytest.fixture
def digits(visit, digits_file):
    return visit(digits_file)


@pytest.fixture
def left(tab, visit, digits_file):
    """The same page as the test before has left it, if it stands there."""
    return tab.page if tab.page.url == digits_file.as_uri() else visit(digits_file)


def plot(page, view, nth=0):
    """A view on the screen, drawn: its host."""
    figures = page.evaluate("JSON.parse(document.getElementById('data').textContent).figures.map(f => f.view)")
    number = [i for i, name in enumerate(figures) if name == view][nth]
    host = page.locator(f"[data-figure='{number}']")
    host.scroll_into_view_if_needed()
    host.locator("svg, canvas").first.wait_for(state="attached")
    return host


VIEWS = ("confusion", "curve", "film", "gradient", "histogram", "law", "moments", "planes", "similarity", "spectrum",
         "staircase", "units")  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_its_numbers_and_tells_them_under_the_pointer(left, view):
    host = plot(left, view)
    assert "NaN" not in host.inner_html()
    box = host.bounding_box()
    for share in (0.5, 0.35, 0.65, 0.2, 0.8):
        for down in (0.5, 0.3, 0.7):
            left.mouse.move(box["x"] + share * box["width"], box["y"] + down * box["height"] - 20 * (view == "film"))
            if left.locator(".tip").is_visible():
                words = left.locator(".tip").inner_text()
                assert len(words.splitlines()) >= 2
                assert "NaN" not in words
                left.mouse.move(2, 2)
                assert left.locator(".tip").is_hidden()
                return
    pytest.fail("no tip anywhere")


def test_a_row_lights_up_in_every_plane_and_stays_when_it_is_chosen(digits):
    first = plot(digits, "planes", 0)
    plot(digits, "planes", 1)
    first.focus()
    digits.keyboard.press("ArrowRight")
    tip = digits.locator(".tip").inner_text()
    assert re.match(r"row \d+\n", tip)
    shown = "document.querySelectorAll('.plot svg circle.ring:not([style*=none])').length"
    assert digits.evaluate(shown) >= 3, "both planes, and the film"
    digits.keyboard.press("Enter")
    first.blur()
    digits.mouse.move(2, 2)
    assert digits.evaluate(shown) >= 3
    digits.keyboard.press("Escape")
    assert (
        digits.evaluate("document.querySelectorAll('.plot svg:not(.stage svg) circle.ring:not([style*=none])').length")
        == 0
    )


def test_a_layer_lights_up_in_every_chart_over_the_layers_and_in_the_table(digits):
    host = plot(digits, "curve")
    host.focus()
    for _ in range(3):
        digits.keyboard.press("ArrowRight")
    assert digits.locator(".tip b").inner_text() == "1 ReLU"
    assert digits.locator("tr.looked-at").get_attribute("data-layer") == "2"
    guides = digits.locator(".first path.guide").evaluate_all("all => all.map(p => p.getAttribute('d'))")
    assert len(guides) == 3
    assert all(guides)
    digits.keyboard.press("Enter")
    assert digits.evaluate("location.hash") == "#layer-2"


def test_a_unit_lights_up_among_the_means_of_its_layer(digits):
    strip = plot(digits, "units")
    layer = digits.locator("details.layer", has=strip)
    means = layer.locator("[aria-label*='mean and range']")
    means.scroll_into_view_if_needed()
    means.locator("svg").wait_for()
    strip.focus()
    for _ in range(5):
        digits.keyboard.press("ArrowRight")
    assert digits.locator(".tip b").inner_text().startswith("unit 4")
    assert means.locator("path.guide").get_attribute("d")
    assert strip.locator("rect.looked-at").is_visible()


def test_a_true_class_among_the_mistakes_comes_forward_in_the_planes(digits):
    host = plot(digits, "confusion")
    host.focus()
    digits.keyboard.press("ArrowDown")
    assert digits.locator(".tip b").inner_text() == "digit 1 read as digit 0"
    planes = plot(digits, "planes")
    assert planes.locator("g.class-0.back").count() == 1
    assert planes.locator("g.class-1.back").count() == 0


FAST = """() => {
    const frame = requestAnimationFrame, slider = document.querySelector(".reel input");
    let time = performance.now();
    window.places = [];
    window.requestAnimationFrame = (draw) => frame(() => {
        places.push(Number(slider.value));
        draw(time += 50);
    });
}"""
"""Twenty frames for each second of a film, as fast as they can be drawn; where it was at each of them."""


def test_the_film_moves_from_layer_to_layer(digits):
    host = plot(digits, "film")
    dots = "e => e.querySelector('.dots').getAttribute('d')"
    first = host.evaluate(dots)
    slider = host.locator("input[type=range]")
    assert slider.get_attribute("aria-valuetext") == "input"
    slider.focus()
    digits.keyboard.press("ArrowRight")
    assert host.locator("output").inner_text() == "0 Linear"
    assert host.evaluate(dots) != first
    digits.keyboard.press("Home")
    digits.emulate_media(reduced_motion="no-preference")
    digits.evaluate(FAST)
    host.locator("button").click()
    digits.wait_for_selector(".reel button:text-is('Play')")
    assert host.locator("output").inner_text() == "6 Linear"
    places = digits.evaluate("places")
    assert places == sorted(places)
    assert len({place % 1 for place in places}) > 10, "it moves between the layers too"


def test_what_is_far_from_the_screen_is_not_drawn_and_is_let_go(digits):
    drawn = "document.querySelectorAll('.plot > svg').length"
    assert 0 < digits.evaluate(drawn) < 12
    total = digits.locator(".plot").count()
    digits.evaluate("scrollTo(0, document.body.scrollHeight)")
    digits.locator("[aria-label^='Similarity'] svg").wait_for()
    digits.wait_for_timeout(300)
    assert digits.evaluate(drawn) < total / 2
    assert digits.locator(".curve svg").count() == 0
    digits.evaluate("scrollTo(0, 0)")
    digits.locator(".curve svg").wait_for()


def test_everything_is_drawn_for_print_and_let_go_afterwards(digits):
    digits.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert digits.locator(".plot:not(:has(svg))").count() == 0
    digits.evaluate("dispatchEvent(new Event('afterprint'))")
    assert digits.locator(".plot:not(:has(svg))").count() > 20


def test_the_page_of_a_comparison_draws_itself(visit, tmp_path):
    target = tmp_path / "changes.html"
    comparison_page(compare(studies.digits(), studies.digits()), target)
    page = visit(target)
    assert page.locator(".plot svg").count() == 2
    assert "NaN" not in page.locator("main").inner_html().replace('data-value="nan"', "")
    page.locator(".plot").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".tip b").inner_text() == "input"
    assert page.locator("tr.looked-at th").inner_text() == "input"
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_study_draws_itself_in_the_frame_of_a_notebook(visit, tmp_path):
    target = tmp_path / "notebook.html"
    target.write_text(f"<!doctype html><body>{studies.digits()._repr_html_()}", encoding="utf-8")
    page = visit(target, ready="iframe")
    frame = page.frame_locator("iframe")
    frame.locator(".curve svg").wait_for()
    assert frame.locator(".plot > svg").count() <= 15
    page.evaluate("document.querySelector('iframe').height = 12000")
    page.wait_for_timeout(500)
    assert frame.locator(".plot > svg").count() <= 15, "a tall frame draws what is on the screen around it"
    inside = page.frames[1]
    assert (
        inside.evaluate("(() => { try { return String(parent.document) } catch { return 'refused' } })()") == "refused"
    )


def test_tables_of_a_long_page_become_tables_when_they_are_opened(visit, tmp_path):
    target = tmp_path / "long.html"
    report(studies.many(14, 12, 5), target)
    page = visit(target)
    assert page.evaluate("document.getElementsByTagName('*').length") < 2000
    layer = page.locator("details.layer").nth(3)
    layer.locator("> summary").click()
    layer.locator(".numbers dt").first.wait_for()
    labels = layer.locator(".numbers dt").all_inner_texts()
    assert {"held-out", "Fisher", "rms"} <= set(labels), "numbers are text until they are near the screen"
    numbers = layer.locator("details.data").first
    text = numbers.locator("pre").text_content()
    numbers.locator("summary").click()
    numbers.locator("table").wait_for()
    heads = numbers.locator("thead th").all_inner_texts()
    assert heads == [word.strip() for word in text.splitlines()[0].split("\t")]
    lines, _, note = text.partition("\n\n")
    assert numbers.locator("tbody tr").count() == len(lines.splitlines()) - 1
    assert numbers.locator("p.quiet").inner_text() == note
