"""Debian's Chromium for the tests that look at pages, and what axe finds on one."""

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


def faults(page):
    """The serious and critical faults that axe finds on a page that was opened with `bypass_csp`."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci` in web/")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "axe.run({resultTypes: ['violations'], preload: false, iframes: false})"
        ".then(r => r.violations.map(v => [v.impact, v.id, v.nodes.length, v.nodes[0].html]))"
    )
    return [fault for fault in found if fault[0] in ("serious", "critical")]
