"""Debian's Chromium for the tests that look at pages, the one tab they share, and what axe finds on a page."""

from contextlib import contextmanager
from pathlib import Path

import pytest

PLACE = Path("/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
IS_THERE = pytest.mark.skipif(not PLACE.exists(), reason="Debian's chromium is not installed at /usr/bin/chromium")


@contextmanager
def launched():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=str(PLACE), args=list(FLAGS))
        yield chromium
        chromium.close()


READY = """([mark, limit]) => new Promise((done, fail) => {
    const look = (time) => {
        if (document.querySelector(mark)) done();
        else if (time > limit) fail(new Error(`${mark} does not come`));
        else requestAnimationFrame(look);
    };
    look(0);
})"""
"""Waits for an element; playwright's own way takes as long as to load a page."""


class Tab:
    """The one tab of a file's tests: to make another takes longer than to load a page in it.

    Nothing of a visit is left for the next: what pages remember is forgotten, and what was wrong is told at its end.
    Scripts of tests run beside the policy of a page, which holds.
    """

    def __init__(self, browser):
        self.page = browser.new_context().new_page()
        self.inspector = self.page.context.new_cdp_session(self.page)
        self.wrong, self.asked = [], []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def visit(self, place, *, width=1280, scheme="light", ready="html[data-ready]", scripts=True):
        """A page, opened anew where motion is not wanted, in which views come to the screen at once."""
        self.leave()
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.inspector.send("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.page.goto(place.as_uri())
        self.page.evaluate(READY, [ready, 30_000])
        return self.page

    def leave(self):
        """Nothing was fetched, and nothing was complained about."""
        if self.page.url.startswith("file:"):
            self.page.mouse.move(0, 0)
            self.page.evaluate("localStorage.clear()")
        fetched = [url for url in self.asked if not url.startswith(("file:", "data:"))]
        wrong, self.wrong, self.asked = self.wrong + fetched, [], []
        assert wrong == []


def faults(page):
    """The serious and critical faults that axe finds on a page."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci` in web/")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "axe.run({resultTypes: ['violations'], preload: false, iframes: false})"
        ".then(r => r.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html]))"
    )
    return [fault for fault in found if fault[0] in ("serious", "critical")]


def drop_folds(page):
    """Takes out what closed folds hide, half the time of axe, which has seen it: no width and no scheme shows it."""
    page.evaluate("for (const part of document.querySelectorAll('details:not([open]) > :not(summary)')) part.remove()")
