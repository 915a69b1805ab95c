"""How long commands take from the prompt to the end, and how a page behaves in a browser.

In: the working tree. Out: two tables. Commands run as they do once installed: with bytecode beside the sources.

    python benchmarks/page.py commands       medians of whole processes, wall and processor, beside `import torch`
    python benchmarks/page.py cold           processor time of compiling: with an empty cache, less that with a full one
    python benchmarks/page.py pages          sizes, time to make, first screen, scrolling, choosing, printing

Needs Debian's chromium, Playwright and transformers for the pages. Other work on the machine shows in wall times, less
in processor times: both are told.
"""

import argparse
import compileall
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "report"))

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--enable-precise-memory-info",
)
SCROLL = """async () => {
  const frames = []; let last = performance.now();
  const high = document.documentElement.scrollHeight, step = 400;
  for (let y = 0; y < Math.min(high, 30000); y += step) {
    scrollTo(0, y);
    await new Promise(requestAnimationFrame);
    const now = performance.now(); frames.push(now - last); last = now;
  }
  frames.sort((a, b) => a - b);
  return {p95: frames[Math.floor(.95 * frames.length)], longest: frames.at(-1), n: frames.length};
}"""
CHOOSE = """async () => {
  const press = document.querySelector("button[data-class='1']"), times = [];
  for (let i = 0; i < 7; i++) {
    const start = performance.now(); press.click();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[3];
}"""


def timed(words: list[str], folder: Path, **own: str) -> tuple[float, float]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=folder, capture_output=True, check=False, env={**env, **own})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def commands(n: int) -> None:
    compileall.compile_dir(ROOT / "src", quiet=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unbend = [sys.executable, "-m", "unbend"]
        subprocess.run([*unbend, "report", "--save", "a.unbend"], cwd=folder, capture_output=True, check=True)
        cases = {
            "import torch": [sys.executable, "-c", "import torch"],
            "unbend report": [*unbend, "report"],
            "unbend show": [*unbend, "show", "a.unbend"],
            "unbend compare": [*unbend, "compare", "a.unbend", "a.unbend"],
            "unbend regions": [*unbend, "regions"],
            "unbend lab": [*unbend, "lab"],
            "unbend reprot": [*unbend, "reprot"],
            "unbend --help": [*unbend, "--help"],
            "unbend units --help": [*unbend, "units", "--help"],
            "unbend --version": [*unbend, "--version"],
        }
        print("| command | wall, s | processor, s |\n|---|--:|--:|")
        for title, words in cases.items():
            runs = [timed(words, folder) for _ in range(n)]
            wall, used = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"| {title} | {wall:.2f} | {used:.2f} |", flush=True)


def cold(n: int) -> None:
    print("| command | compiling: processor, s | functions kept |\n|---|--:|--:|")
    for name in ("report", "regions"):
        words, rows = [sys.executable, "-m", "unbend", name], []
        for _ in range(n):
            with tempfile.TemporaryDirectory() as place:
                # The lock is its own, too: no other process makes it wait, or compiles for it.
                own = {"NUMBA_CACHE_DIR": place, "TMPDIR": place}
                first, again = (timed(words, Path(place), **own)[1] for _ in range(2))
                rows.append((first - again, len(list(Path(place).rglob("*.nbi")))))
        print(f"| unbend {name} | {statistics.median(used for used, _ in rows):.2f} | {rows[0][1]} |", flush=True)


def resnet() -> tuple[object, float]:
    """The study of a residual network of 30 layers on images, and the processor time it took."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    import unbend

    torch.manual_seed(0)
    sizes = {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128], "depths": [2, 2, 2, 2]}
    model = ResNetForImageClassification(ResNetConfig(layer_type="basic", num_labels=10, **sizes))
    x, y = torch.randn(600, 3, 32, 32), torch.arange(600) % 10
    start = time.process_time()
    found = unbend.study(model, (x, y), name="ResNet", trials=False)
    return found, time.process_time() - start


def pages(n: int) -> None:
    import studies
    from playwright.sync_api import sync_playwright

    from unbend.report.page import report

    residual, seconds = resnet()
    print(f"The study of the ResNet takes {seconds:.1f} s of processor time.")
    cases = {
        "digits, 7 layers": studies.digits(),
        f"ResNet, {len(residual.layers) - 1} layers": residual,
        "120 layers": studies.many(120, 48, 10),
        "120 classes": studies.many(6, 64, 120),
    }
    report(studies.hostile())
    print(
        "| page | size | made in | first screen | its work | scroll p95, longest | class → frame | nodes | heap | PDF |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        for title, study in cases.items():
            file = Path(name) / "page.html"
            made = []
            for _ in range(n):
                start = time.process_time()
                report(study, file)
                made.append(1e3 * (time.process_time() - start))
            first = statistics.median(_first(browser, file) for _ in range(n))
            work = statistics.median(_work(browser, file) for _ in range(n))
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready]", state="attached")
            page.evaluate("for (const layer of document.querySelectorAll('details.layer')) layer.open = true")
            scroll = page.evaluate(SCROLL)
            choose = page.evaluate(CHOOSE) if study.about.class_names[24:] == () else float("nan")
            nodes = page.evaluate("document.getElementsByTagName('*').length")
            heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
            start = time.perf_counter()
            pdf = len(page.pdf()) / 1e6
            print(
                f"| {title} | {file.stat().st_size / 1e3:,.0f} kB | {statistics.median(made):.0f} ms "
                f"| {first:.0f} ms | {work:.0f} ms "
                f"| {scroll['p95']:.0f}, {scroll['longest']:.0f} ms | {choose:.0f} ms | {nodes:,} | {heap:.0f} MB | "
                f"{pdf:.1f} MB in {time.perf_counter() - start:.1f} s |",
                flush=True,
            )
        browser.close()


def _first(browser: object, file: Path) -> float:
    """Milliseconds from the start of the navigation to the first screen drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(
        "new MutationObserver((_, watch) => { if (document.documentElement.dataset.ready !== undefined) {"
        " watch.disconnect(); requestAnimationFrame(() => { window.drawn = performance.now(); }); } })"
        ".observe(document, {attributes: true, subtree: true})"
    )
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.wait_for_timeout(100)
    found = page.evaluate("window.drawn")
    context.close()
    return float(found)


def _work(browser: object, file: Path) -> float:
    """Milliseconds of processor time that the page's thread takes until then: what other work on the machine leaves."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    browser.start_tracing(page=page, categories=["devtools.timeline", "disabled-by-default-devtools.timeline"])
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    events = json.loads(browser.stop_tracing())["traceEvents"]
    context.close()
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "ParseHTML"}
    tasks = [e for e in events if e["name"] == "RunTask" and (e["pid"], e["tid"]) in threads]
    return sum(e.get("tdur", 0) for e in tasks) / 1e3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["commands", "cold", "pages"])
    parser.add_argument("-n", type=int, default=5, help="runs of each, of which the median is told")
    given = parser.parse_args()
    {"commands": commands, "cold": cold, "pages": pages}[given.what](given.n)
