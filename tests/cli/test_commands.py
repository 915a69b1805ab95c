"""The command line as a newcomer uses it: real processes, real files."""

import html
import inspect
import json
import os
import resource
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.children import command_line, start
from typer.testing import CliRunner

import unbend
from unbend.cli.arguments import axes
from unbend.cli.main import COMMANDS, GROUPS, _app, main
from unbend.errors import DataError
from unbend.study.ladder import word

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
class Pair(Twofold):
    def forward(self, x):
        return self.body(x), x
class Fails(Twofold):
    def forward(self, x):
        return {}["boom"]
class Words(Twofold):
    def forward(self, x):
        return "nothing"
def mute():
    raise ValueError
def long():
    raise RuntimeError("one\\ntwo")
def needs(x):
    return net
def twice():
    from unbend.load import Data
    return Data(torch.randn(30, 4), torch.arange(30) % 3, class_names=("cat", "dog", "cat"))
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
    np.savez(place / "two.npz", x=x[:2], y=y[:2])
    np.savez(place / "short.npz", x=x, y=y[:100])
    np.savez(place / "negative.npz", x=x, y=y - 1)
    np.savez(place / "floats.npz", x=x, y=y + 0.5)
    np.savez(place / "unlabelled.npz", x=x)
    np.savez(place / "empty.npz", x=x[:0], y=y[:0])
    holes = x.copy()
    holes[7, 1] = np.nan
    np.savez(place / "holes.npz", x=holes, y=y)
    np.savez(place / "pickled.npz", x=np.array([{"a": 1}], dtype=object), y=y[:1])
    (place / "cut.npz").write_bytes((place / "data.npz").read_bytes()[:300])
    (place / "cut.pt2").write_bytes((place / "data.npz").read_bytes()[:300])
    torch.save(torch.nn.Linear(4, 3), place / "whole.pt")
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
        (("report", "net.py", "data.npz"), "expected FILE.py:NAME"),
        (("report", "net.py:needs", "data.npz"), "needs arguments"),
        (("report", "net.py:mute", "data.npz"), "calling it raised ValueError (line"),
        (("report", "net.py:long", "data.npz"), "RuntimeError: one two"),
        (("report", "net.py:Fails", "data.npz"), "It says: KeyError: 'boom'. The inputs are (32, 4)."),
        (("report", "net.py:Words", "data.npz"), "a str without a tensor"),
        (("report", "cut.pt2", "data.npz"), "cut short"),
        (("report", "whole.pt", "data.npz"), "weights or a pickle"),
        (("report", "net.py:net", "data.npz", "--weights", "whole.pt"), "pickled"),
        (("report", "net.py:net", "two.npz"), "1 training row is left"),
        (("report", "net.py:net", "short.npz"), "150 rows, but 100 labels"),
        (("report", "net.py:net", "negative.npz"), "negative label"),
        (("report", "net.py:net", "floats.npz"), "Give class indices as integers"),
        (("report", "net.py:net", "unlabelled.npz"), "no samples with labels"),
        (("report", "net.py:net", "net.py:twice"), "'cat' stands for more than one class"),
        (("report", "net.py:net", "data.npz", "--layer", "1_"), "Did you mean '1'?"),
        (("report", "net.py:net", "gone.npz"), "gone.npz"),
        (("report", "net.py:net", "wide.npz"), "Expected 4 features in the last axis (layer '0'), got inputs (16, 7)."),
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
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("twofold", "returns a dict; its output is read from ['logits']."),
        ("Pair", "returns a tuple; its output is read from [0]."),
    ],
)
def test_which_part_of_an_output_is_read_is_told(monkeypatch, capsys, folder, name, told):
    status, out, err = run(monkeypatch, capsys, folder, "report", f"net.py:{name}", "data.npz", "-o", "two.html")
    assert status == 0, err
    assert f"The model {told}" in out
    assert told in html.unescape((folder / "two.html").read_text())


def report_with_little_room(*words):
    """A report whose files may have 20,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    sys.dont_write_bytecode = True  # Python keeps a file that a small limit cut short: later processes fail on it
    command_line(*words)


REPORT = ("report", "net.py:net", "data.npz")


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(folder):
    done = start(report_with_little_room, *REPORT, "-o", "full.html", cwd=folder).ended()
    assert done.returncode == 2
    assert done.stderr == ("unbend: full.html: the page could not be written: File too large. Choose another place.\n")
    assert not [*folder.glob(".tmp*"), *folder.glob("full*")]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_output_that_finds_no_room_is_one_sentence(folder, words):
    done = start(command_line, *REPORT, "-o", "room.html", *words, cwd=folder, stdout="/dev/full").ended()
    assert done.returncode == 2
    assert done.stderr == "unbend: the output could not be written: No space left on device.\n"


def test_no_right_to_write_is_one_sentence(folder):
    (folder / "locked").mkdir(mode=0o555)
    powers = "-dac_override,-dac_read_search"
    drop = ("setpriv", "--bounding-set", powers, "--inh-caps", powers) if os.geteuid() == 0 else ()
    if drop and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and setpriv is not there to take that right away")
    words = [*drop, sys.executable, "-B", "-m", "unbend", *REPORT, "-o", "locked/page.html"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "unbend: locked/page.html: the page could not be written: Permission denied. Choose another place.\n"
    )


@pytest.mark.parametrize("option", ["-o", "--save"])
def test_a_place_that_cannot_be_is_told_before_the_study(monkeypatch, capsys, folder, option):
    monkeypatch.setattr("unbend.study.study.study", None)
    words = ("report", "net.py:net", "digits", option, "nowhere/it")
    status, _, err = run(monkeypatch, capsys, folder, *words)
    assert status == 2
    assert "nowhere/it: the " in err
    assert "could not be written: No such file or directory" in err


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


def test_every_command_stands_under_one_heading():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_of_a_command_what_the_command_says_of_itself(name):
    word = name.replace("-", "_")
    command = getattr(import_module(f"unbend.cli.{word}"), word)
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
    done = start(command_line, "report", "-o", "page.html", cwd=tmp_path).ended()
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


def test_axes_are_told_by_glob():
    assert axes(None) is None
    assert axes(["encoder.*=1", "head=-2", "a=b=0"]) == {"encoder.*": 1, "head": -2, "a=b": 0}
    for wrong in ("1", "head", "head=x", "=1"):
        with pytest.raises(DataError, match=r"--axis: expected GLOB=N"):
            axes([wrong])


def test_a_group_column_of_a_table_is_held_out_whole_and_kept_with_the_study(tmp_path):
    rng = np.random.default_rng(0)
    x, patient = rng.normal(size=(120, 4)), np.arange(120) // 4
    table = "patient,a,b,c,d,k\n" + "".join(
        f"p{p}," + ",".join(f"{v:.3f}" for v in row) + f",{int(row[0] > 0)}\n"
        for p, row in zip(patient, x, strict=True)
    )
    (tmp_path / "a.csv").write_text(table)
    (tmp_path / "net.py").write_text(
        "import torch\nnet = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())\n"
    )
    words = ["report", f"{tmp_path / 'net.py'}:net", str(tmp_path / "a.csv"), "--label", "k", "--group", "patient"]
    save = str(tmp_path / "a.unbend")
    main_of = CliRunner().invoke(
        _app("report"),
        [*words, "--classes", "2", "--proofs", "--no-twin", "--save", save, "-o", str(tmp_path / "a.html")],
    )
    assert main_of.exit_code == 0, main_of.output
    found = unbend.open(save)
    sides = [{int(i) // 4 for i in part["0"]["SampleState"].ids} for part in (found.sums.train, found.sums.held_out)]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(range(30))
    assert "30 groups are held out whole" in found.about.split
    assert found.about.recipe["group"] == "patient"
    again = CliRunner().invoke(_app("verify"), ["verify", save])
    assert again.exit_code == 0, again.output
