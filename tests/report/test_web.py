"""The script of the pages is built from `web/`, and is the one its source gives."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "src" / "unbend" / "report" / "web" / "page.js"


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


def test_the_built_script_is_that_of_the_source(tmp_path):
    run(node(), "build.mjs", str(tmp_path / "page.js"))
    assert (tmp_path / "page.js").read_bytes() == BUILT.read_bytes(), "run `npm run build` in web/"


def test_the_types_of_the_source_are_sound():
    run(node(), "node_modules/typescript/bin/tsc", "--noEmit")


def test_the_views_pass_their_own_tests():
    run(node(), "node_modules/vitest/vitest.mjs", "run")


def test_the_built_script_is_small_and_reaches_for_nothing():
    text = BUILT.read_text(encoding="utf-8")
    assert len(text) <= 60_000
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "fetch(",
                 "XMLHttpRequest", "import(", "https://", 'setAttribute("style"'):  # fmt: skip
        assert word not in text
    assert "</script" not in text
