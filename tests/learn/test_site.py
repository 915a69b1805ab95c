"""The course as a site: it opens offline, obeys its own policy, remembers a guess and fits every screen."""

import re

import pytest
from tests import chromium

from unbend.cli.main import main
from unbend.errors import MissingExtraError
from unbend.learn import markup
from unbend.learn import site as site_module
from unbend.learn.running import MeasuredLesson
from unbend.learn.site import write
from unbend.learn.source import lesson
from unbend.learn.terms import link_terms, terms

LESSONS = ("neurons", "xor")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    write(folder, LESSONS)
    return folder


def test_every_page_is_there_and_asks_for_nothing(site):
    pages = {path.name for path in site.glob("*.html")}
    assert pages == {"index.html", "install.html", "glossary.html", "teachers.html", "neurons.html", "xor.html"}
    for path in site.glob("*.html"):
        text = path.read_text()
        assert "default-src 'none'" in text
        assert not re.search(r"""(src|href)=["'](https?:)?//""", text)
        for link in re.findall(r'href="([^"#]+)"', text):
            assert (site / link).exists(), f"{path.name} links to {link}"


def test_formulas_are_mathml_and_code_is_code(site):
    text = (site / "xor.html").read_text()
    assert text.count("<math") > 20
    assert "$" not in re.sub(
        r"<(pre|script|style)\b.*?</\1>|data-live=\"[^\"]*\"|aria-label=\"[^\"]*\"", "", text, flags=re.DOTALL
    )
    assert '<span class="kn">import</span>' in text


def test_html_in_a_text_is_shown_and_not_obeyed():
    assert "&lt;b&gt;" in markup.html("a <b>bold</b> word")
    assert "<math" in markup.html("a formula $x < 1$")
    assert "$x$" in markup.html("code `$x$` stays")


def test_the_command_lists_and_refuses(tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["learn", "--list"])
    assert "affine_collapse" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["learn", "xro"])
    assert "Did you mean 'xor'" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        main(["learn", "xor", "-o", str(tmp_path / "file")])


def test_the_command_writes_what_it_is_asked_for(tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["learn", "neurons", "-o", str(tmp_path / "course")])
    assert {"neurons.html", "neurons.md", "neurons.py", "neurons.svg"} <= {
        p.name for p in (tmp_path / "course").iterdir()
    }


def test_a_lesson_that_lacks_a_package_is_left_out_of_the_whole_and_refused_by_name(tmp_path, monkeypatch):
    def absent(_lesson):
        raise MissingExtraError("xor: needs the package x. Install it: pip install 'unbend[learn]'.")

    monkeypatch.setattr(site_module, "lessons", lambda: ("xor",))
    monkeypatch.setattr(site_module, "run", absent)
    said = []
    write(tmp_path, progress=lambda phase, _done, _total: said.append(phase))
    assert said[1].startswith("Left out: xor: needs")
    assert not (tmp_path / "xor.html").exists()
    with pytest.raises(MissingExtraError):
        write(tmp_path, ["xor"])


def test_what_has_run_is_written_when_a_later_lesson_is_interrupted(tmp_path, monkeypatch, capsys):
    ran = site_module.run(lesson("neurons"))

    def stopped(one):
        if one.name != "neurons":
            raise KeyboardInterrupt
        return ran

    monkeypatch.setattr(site_module, "run", stopped)
    with pytest.raises(SystemExit, match="130"):
        main(["learn", "neurons", "activations", "xor", "-o", str(tmp_path)])
    said = " ".join(capsys.readouterr().err.split())
    assert f"1 of 3 lessons are written; this writes the rest: unbend learn activations xor -o {tmp_path}" in said
    assert "neurons.html" in (tmp_path / "index.html").read_text()
    monkeypatch.setattr(site_module, "run", lambda one: MeasuredLesson(one, ran.names, ran.figure, ran.prediction))
    monkeypatch.setattr(MeasuredLesson, "fill", lambda _self, text: text)
    write(tmp_path, ["activations"])
    index = (tmp_path / "index.html").read_text()
    assert "neurons.html" in index
    assert "activations.html" in index
    assert 'href="neurons.html"' in (tmp_path / "activations.html").read_text()


def test_a_word_of_the_glossary_is_linked_where_it_is_used_first(site):
    rows = set(re.findall(r'<td id="([^"]+)"', (site / "glossary.html").read_text()))
    assert rows == set(terms().values())
    for name in LESSONS:
        links = re.findall(r'href="glossary.html#([^"]+)"', (site / f"{name}.html").read_text())
        assert len(links) == len(set(links)) > 8
        assert set(links) <= rows
    left = {"dead": "dead", "probe": "probe", "read-out": "probe"}
    text = link_terms("# dead\n`dead` $dead$ a read-out and *Dead* units, probes, dead", left)
    assert text == (
        "# dead\n`dead` $dead$ a [read-out](glossary.html#probe) and *[Dead](glossary.html#dead)* units, probes, dead"
    )
    assert left == {}


@pytest.mark.browser
@chromium.IS_THERE
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_and_confronts_the_guess(site, tab, visit, width, scheme):
    page = visit(site / "xor.html", width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("document.querySelector('math').getBoundingClientRect().height") > 5
    assert page.evaluate("[...document.querySelectorAll('.formula')].every(f => f.scrollWidth <= f.clientWidth)")
    assert not page.locator("#result").evaluate("node => node.open")
    page.evaluate("() => { guess.value = 90; guess.dispatchEvent(new Event('input')); }")
    page.click("#prediction button")
    assert page.locator("#confront").text_content().startswith("You said 90 of 100; it is ")
    assert page.locator("#result").evaluate("node => node.open")
    verdict = page.locator(".live .verdict")
    assert verdict.text_content().startswith("A line parts the classes")
    up, down = page.locator(".live .handle").nth(0), page.locator(".live .handle").nth(1)
    for handle, key in ((up, "ArrowUp"), (down, "ArrowDown")):
        handle.focus()
        for _ in range(26):  # turns the first unit's line until it runs through (0, 0) and (1, 1)
            page.keyboard.press(key)
    assert verdict.text_content().startswith("No line found")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#confront").text_content().startswith("You said 90 of 100")
    assert all(url.startswith("file:") for url in tab.asked)
