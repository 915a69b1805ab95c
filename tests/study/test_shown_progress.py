"""Progress shows by itself where somebody looks, and a caller's own is used as it is."""

import io
import sys
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

import unbend
from unbend._notebook import is_notebook
from unbend.report import bars
from unbend.study.progress import shown, silent, with_bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def notebook(monkeypatch):
    """A kernel's IPython, which writes down what a cell shows; an output is changed in its place."""
    outputs = []

    def display(html, *, display_id=False):
        outputs.append(html)
        at = len(outputs) - 1
        return SimpleNamespace(update=lambda new: outputs.__setitem__(at, new)) if display_id else None

    module = SimpleNamespace(display=display, HTML=str)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(bars, "_PAUSE", 0.0)
    return outputs


def study():
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    return unbend.study(torch.nn.Linear(3, 2), (x, (x[:, 0] > 0).long()), twin=False, measures=["moments"])


def test_nothing_is_written_into_a_pipe(capfd):
    assert not is_notebook()
    study()
    out, err = capfd.readouterr()
    assert out == ""
    assert "Training rows" not in err
    with shown(None) as told:
        assert told is silent


def test_a_terminal_shows_bars_that_go_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    study()
    assert "Training rows" in terminal.getvalue()


def test_a_notebook_shows_one_bar_without_widgets_and_leaves_nothing(notebook):
    with bars.bars() as tell:
        tell("Training <rows>", 0, 10)
        assert notebook == ['<small>Training &lt;rows&gt; <progress value="0" max="10"></progress> 0 of 10</small>']
        tell("Training <rows>", 10, 10)
        assert len(notebook) == 1
        assert "10 of 10" in notebook[0]
        tell("Layers are many.", 0, None)
        tell("Writing", 0, None)
        assert notebook == ["<small>Writing <progress></progress> </small>", "<small>Layers are many.</small>"]
    assert notebook == ["", "<small>Layers are many.</small>"]


def test_a_study_in_a_notebook_shows_itself(notebook):
    study()
    assert notebook == [""]


def test_a_bar_ends_with_an_error(notebook):
    def fail():
        with bars.bars() as tell:
            tell("Rows", 1, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert notebook == [""]


def test_what_a_caller_gives_is_called_and_nothing_else(notebook):
    said = []

    @with_bars
    def work(n, *, progress=silent):
        progress("Rows", n, None)
        return n

    assert work(3, progress=lambda *told: said.append(told)) == 3
    assert (said, notebook) == ([("Rows", 3, None)], [])
    assert work(2) == 2
    assert notebook == [""]


def test_a_quiet_console_shows_nothing():
    console = Console(file=io.StringIO(), force_terminal=True)
    with bars.terminal_bars(console, quiet=True) as tell:
        tell("Rows", 1, 2)
    assert console.file.getvalue() == ""


def test_help_shows_the_function():
    import pydoc

    said = pydoc.plain(pydoc.render_doc(unbend.study))
    first, rest = said.split("DESCRIPTION", 1)
    assert "study(model, data, *, held_out=None" in first
    assert "0x" not in first
    assert unbend.study.__wrapped__.__doc__.splitlines()[0] in rest
    assert "Args:" in rest
