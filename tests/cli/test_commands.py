"""The command line as a newcomer uses it: real processes, real files."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import unbend
from unbend.cli.main import COMMANDS, _app, main
from unbend.plot.separable import word

NET = """
import warnings
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    script = torch.jit.script(net)
def broken():
    raise RuntimeError("no such weights")
number = 3
class Twofold(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(4, 3)
    def forward(self, x):
        return {"logits": self.body(x), "hidden": x}
twofold = Twofold
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("cli")
    (place / "net.py").write_text(NET)
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    x = rng.normal(size=(150, 4)).astype(np.float32)
    x[:, 0] += 3 * y
    np.savez(place / "data.npz", x=x, y=y)
    np.savez(place / "wide.npz", x=np.ones((20, 7), np.float32), y=np.arange(20) % 2)
    np.savez(place / "one.npz", x=x, y=np.zeros(150, np.int64))
    np.savez(place / "five.npz", x=x, y=np.arange(150) % 5)
    np.savez(place / "single.npz", x=x[:1], y=y[:1])
    np.savez(place / "empty.npz", x=x[:0], y=y[:0])
    holes = x.copy()
    holes[7, 1] = np.nan
    np.savez(place / "holes.npz", x=holes, y=y)
    np.savez(place / "pickled.npz", x=np.array([{"a": 1}], dtype=object), y=y[:1])
    (place / "cut.npz").write_bytes((place / "data.npz").read_bytes()[:300])
    return place


def run(monkeypatch, capsys, folder: Path, *words: str) -> tuple[int, str, str]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "160")
    status = 0
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        status = int(stop.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


def test_report_writes_the_page_and_the_study(monkeypatch, capsys, folder):
    words = ("report", "net.py:net", "data.npz", "-o", "page.html", "--save", "run.unbend", "--loss", "cross-entropy")
    status, out, err = run(monkeypatch, capsys, folder, *words)
    assert status == 0, err
    assert "held-out" in out
    assert "page.html" in err
    page = (folder / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "net.py:net" in page
    assert not list(folder.glob(".tmp*"))


def test_show_tells_the_same_without_model_or_data(monkeypatch, capsys, folder):
    run(monkeypatch, capsys, folder, "report", "net.py:net", "data.npz", "--save", "same.unbend", "-o", "same.html")
    status, first, _ = run(monkeypatch, capsys, folder, "show", "same.unbend")
    assert status == 0
    assert "net.py:net" in first
    status, text, _ = run(monkeypatch, capsys, folder, "show", "same.unbend", "--json")
    assert status == 0
    told = json.loads(text)
    assert [layer["name"] for layer in told["layers"]] == ["input", "0", "1", "2"]
    assert 0 <= told["layers"][1]["results"]["readout"]["held_out"] <= 1


def test_compare_with_itself_finds_nothing(monkeypatch, capsys, folder):
    run(monkeypatch, capsys, folder, "report", "net.py:net", "data.npz", "--save", "a.unbend", "-o", "a.html")
    status, out, _ = run(monkeypatch, capsys, folder, "compare", "a.unbend", "a.unbend")
    assert status == 0
    assert "+0.000" in out
    status, text, _ = run(monkeypatch, capsys, folder, "compare", "a.unbend", "a.unbend", "--json")
    assert json.loads(text)["better"] == []


def test_proofs_are_made_saved_and_verified(monkeypatch, capsys, folder):
    words = (
        "report",
        "net.py:net",
        "data.npz",
        "--proofs",
        "--budget",
        "5",
        "--probes",
        "--save",
        "p.unbend",
        "-o",
        "p.html",
    )
    status, out, err = run(monkeypatch, capsys, folder, *words)
    assert status == 0, err
    assert "Is it linearly separable?" in (folder / "p.html").read_text()
    lines = [line.split() for line in out.splitlines()]
    start = next(i for i, line in enumerate(lines) if line[:3] == ["layer", "proof", "probe"])
    ladder, probes = (unbend.open(folder / "p.unbend").across[name] for name in ("ladder", "probes"))
    for line, name, step in zip(lines[start + 1 :], ladder.layers, ladder.steps, strict=False):
        assert line[0] == name
        assert line[2] == word(step) + "*" * step.frame.is_worthless
        assert float(line[3]) == pytest.approx(100 * probes.layers[name].accuracy, abs=0.051)
    status, out, err = run(monkeypatch, capsys, folder, "verify", "p.unbend")
    assert status == 0, err
    assert "proofs hold over" in out
    status, _, err = run(monkeypatch, capsys, folder, "verify", "p.unbend", "five.npz")
    assert status == 2
    assert err.startswith("unbend:")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report", "net.py:nut", "data.npz"), "net"),
        (("report", "gone.py:net", "data.npz"), "gone.py"),
        (("report", "net.py:broken", "data.npz"), "no such weights"),
        (("report", "net.py:number", "data.npz"), "number"),
        (("report", "net.py:script", "data.npz"), "TorchScript"),
        (("report", "net.py:net", "gone.npz"), "gone.npz"),
        (("report", "net.py:net", "wide.npz"), "7"),
        (("report", "net.py:net", "one.npz"), "same label"),
        (("report", "net.py:net", "five.npz"), "5"),
        (("report", "net.py:net", "single.npz"), "1 row"),
        (("report", "net.py:net", "empty.npz"), "empty"),
        (("report", "net.py:net", "holes.npz"), "row 7"),
        (("report", "net.py:net", "pickled.npz"), "pickled.npz"),
        (("report", "net.py:net", "cut.npz"), "cut.npz"),
        (("report", "net.py:net", "data.npz", "--layer", "9"), "'9'"),
        (("report", "net.py:net", "data.npz", "--reduce", "sum"), "sum"),
        (("report", "net.py:net", "data.npz", "-o", "/proc/page.html"), "/proc"),
        (("show", "net.py"), "net.py"),
        (("show", "gone.unbend"), "gone.unbend"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(monkeypatch, capsys, folder, words, told):
    status, out, err = run(monkeypatch, capsys, folder, *words)
    assert status == 2
    assert out == ""
    assert err.startswith("unbend: ")
    assert told in err
    assert "Traceback" not in err


def test_a_mapping_as_output_is_told_on_the_page(monkeypatch, capsys, folder):
    status, _, err = run(monkeypatch, capsys, folder, "report", "net.py:twofold", "data.npz", "-o", "two.html")
    assert status == 0, err
    assert "logits" in (folder / "two.html").read_text()


def test_a_model_without_data_is_refused(monkeypatch, capsys, folder):
    status, _, err = run(monkeypatch, capsys, folder, "report", "net.py:net")
    assert status == 2
    assert "data set is needed" in err


def test_help_names_every_command_and_its_examples():
    runner = CliRunner(env={"COLUMNS": "120"})
    text = runner.invoke(_app(None), ["--help"]).output
    for command in ("report", "regions", "lab", "show", "merge", "compare", "verify"):
        assert command in text
        assert "Example" in runner.invoke(_app(command), [command, "--help"]).output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_of_a_command_what_the_command_says_of_itself(name):
    command = getattr(import_module(f"unbend.cli.{name}"), name)
    assert COMMANDS[name] == inspect.getdoc(command).splitlines()[0]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ((), 2, COMMANDS["merge"]),
        (("--help",), 0, COMMANDS["lab"]),
        (("--version",), 0, "unbend 0."),
        (("nonsense",), 2, "No such command 'nonsense'"),
        (("reprot", "net.py:net"), 2, "Did you mean 'report'?"),
        (("--nonsense",), 2, "No such option: --nonsense"),
    ],
)
def test_what_runs_no_command_imports_none(words, status, told):
    code = (
        "import sys; from unbend.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'scipy', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=os.environ | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert told in done.stdout + done.stderr


def test_version_and_module_entry():
    done = subprocess.run([sys.executable, "-m", "unbend", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("unbend 0.")


def test_the_demo_runs_whole(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "unbend", "report", "-o", "page.html"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "handwritten digits" in (tmp_path / "page.html").read_text()


def test_import_is_cheap_and_leaves_no_trace():
    code = (
        "import sys, torch, random, numpy as np, os, locale, time\n"
        "before = (torch.get_rng_state().sum().item(), np.random.get_state()[1].sum(), random.getstate(), os.getcwd(),"
        " locale.setlocale(locale.LC_ALL), dict(os.environ), torch.get_num_threads())\n"
        "start = time.process_time(); import unbend; spent = time.process_time() - start\n"
        "after = (torch.get_rng_state().sum().item(), np.random.get_state()[1].sum(), random.getstate(), os.getcwd(),"
        " locale.setlocale(locale.LC_ALL), dict(os.environ), torch.get_num_threads())\n"
        "assert before == after\n"
        "loaded = {'matplotlib.pyplot', 'pandas', 'sklearn', 'numba'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert spent < .15, spent\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
