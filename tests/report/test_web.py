"""The scripts of the pages are built from `web/`, and are those its source gives; one palette serves all pages."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from unbend.chart.style import WORDS

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
PACKAGE = ROOT / "src" / "unbend"
BUILT = sorted((PACKAGE / "report" / "web").glob("*.js"))


def node() -> str:
    """Node; the test is skipped, with the reason, where it or the packages of `web/` are not there."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed; users never need it, and CI has it")
    if not (WEB / "node_modules").is_dir():
        pytest.skip("the packages of web/ are not installed: run `npm ci` in web/")
    return found


def run(*words: str) -> None:
    done = subprocess.run(words, cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_built_scripts_are_those_of_the_source(tmp_path):
    run(node(), "build.mjs", str(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in BUILT
    }, "run `npm run build` in web/"


def test_the_types_of_the_source_are_sound():
    run(node(), "node_modules/typescript/bin/tsc", "--noEmit")


def test_the_views_pass_their_own_tests():
    run(node(), "node_modules/vitest/vitest.mjs", "run")


def test_every_kind_of_page_has_its_script():
    assert {path.stem for path in BUILT} == {path.stem for path in (WEB / "src" / "pages").glob("*.ts")}


@pytest.mark.parametrize("built", BUILT, ids=lambda path: path.name)
def test_a_built_script_is_small_and_reaches_for_nothing(built):
    text = built.read_text(encoding="utf-8")
    assert len(text) <= 60_000
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "fetch(",
                 "XMLHttpRequest", "import(", "https://", 'setAttribute("style"'):  # fmt: skip
        assert word not in text
    assert "</script" not in text


def test_the_palette_stands_once_and_has_every_colour_of_the_pictures():
    core = (PACKAGE / "report" / "style" / "core.css").read_text(encoding="utf-8")
    colours = re.findall(r"--(\w+):light-dark\((#\w+),(#\w+)\)", core)
    assert {name for name, _, _ in colours} >= set(WORDS.values())
    assert all(light != dark for _, light, dark in colours)
    values = {value for _, *both in colours for value in both}
    for place in (*PACKAGE.glob("**/*.css"), *PACKAGE.glob("**/*.html"), *(WEB / "src").glob("**/*.ts")):
        if place.name != "core.css":
            assert values.isdisjoint(re.findall(r"#[0-9a-f]{6}\b", place.read_text(encoding="utf-8"))), place


def test_the_frame_of_a_page_stands_once():
    frames = [path.name for path in PACKAGE.glob("**/*.html") if "Content-Security-Policy" in path.read_text("utf-8")]
    assert frames == ["frame.html"]
