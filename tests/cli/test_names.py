"""Names are the user's: nothing in them is parsed, by the terminal, the page or a picture."""

import io
import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import nn

import unbend
from unbend.cli.main import main
from unbend.load import Data
from unbend.numerics.planes import Projections
from unbend.numerics.readout import Readout
from unbend.numerics.similarity import Similarity
from unbend.plot.planes import discriminant
from unbend.plot.readout import readout
from unbend.plot.separable import robustness
from unbend.plot.similarity import similarity
from unbend.study.ladder import Ladder

NAMES = ("[red]x", "[/]", ":x:", "$5_to_$10", "\x1b[31mred\x1b[0m", r"$\frac{", "[link=file:///x]y", "<b>&")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, len(NAMES)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    y = np.arange(96) % len(NAMES)
    x = rng.normal(size=(96, 4)).astype(np.float32)
    x[:, 0] += 3 * y
    data = Data(torch.from_numpy(x), torch.from_numpy(y), class_names=NAMES, name="[/] data :x:")
    made = unbend.study(net(), data, name="[red]net[/] :x: \x1b[31m", proofs=True, budget=0.2)
    first = made.layers[1]
    odd = (made.layers[0], replace(first, name="[bold]0[/] :x:", module="[/]Linear\x1b[2J"), *made.layers[2:])
    unbend.save(replace(made, layers=odd), place / "a.unbend")
    np.savez(place / "data.npz", x=x, y=y % 3, class_names=NAMES[:3])
    (place / "m.py").write_text(
        "from torch import nn\nx = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))\n"
    )
    return place


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """`run(words)`: what a command line prints and says; here a warning is an error."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")

    def said(*words):
        with suppress(SystemExit):
            main(words)
        out, err = capsys.readouterr()
        assert not err.startswith("unbend:"), err
        assert "\x1b" not in out + err
        return out, err

    return said


def test_a_saved_study_is_shown_and_drawn_with_its_names_as_they_are(folder, run):
    out, err = run("show", "a.unbend", "-o", "[red]x[!] :x:.html")
    assert "[red]net[/] :x: ␛[31m on [/] data :x:" in out
    assert "[bold]0[/] :x:" in out
    assert "[/]Linear␛[2J" in out
    assert "Wrote [red]x[!] :x:.html in " in err
    page = (folder / "[red]x[!] :x:.html").read_text(encoding="utf-8")
    for name in ("[red]x", ":x:", "$5_to_$10", "[link=file:///x]y", "&lt;b&gt;&amp;"):
        assert name in page
    assert "<b>&" not in page


def test_a_comparison_shows_names_as_they_are(run):
    out, _ = run("compare", "a.unbend", "a.unbend")
    assert out.startswith("[red]net[/] :x: ␛[31m on [/] data :x: → [red]net[/] :x: ␛[31m on [/] data :x:")
    assert "[bold]0[/] :x:" in out


def test_a_report_tells_its_place_as_it_is(folder, run):
    out, err = run("report", "m.py:x", "data.npz", "--no-twin", "-o", "$[red]x$ :x:.html")
    assert "Wrote $[red]x$ :x:.html in " in err
    assert out.startswith("m.py:x on data.npz")
    assert (folder / "$[red]x$ :x:.html").is_file()


@pytest.mark.parametrize("name", ["[red]x", "[/]", "a:x:", "[link=x]", "\x1b[31mx"])
@pytest.mark.parametrize("words", [("show",), ("lab",), ("merge", "-o", "sum.unbend")])
def test_a_refusal_quotes_what_it_got(folder, monkeypatch, capsys, words, name):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        main([*words, name])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert "\x1b" not in said
    assert any(form in said for form in (name, name.replace("\x1b", "␛"), repr(name)))


@pytest.mark.parametrize("words", [("[/]",), ("report", "--[/]"), ("merge", "a.unbend", "--[/]")])
def test_a_mistyped_command_line_is_quoted_too(folder, monkeypatch, capsys, words):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "[/]" in capsys.readouterr().err


def draw_planes(ax, study):
    discriminant(ax, study["1"].result(Projections), class_names=NAMES)


def draw_confusion(ax, study):
    readout(ax, study["1"].result(Readout), class_names=NAMES)


def draw_similarity(ax, study):
    similarity(ax, study.result(Similarity), labels=NAMES[2 : 2 + len(study.layers)])


def draw_robustness(ax, study):
    steps = study.result(Ladder).steps
    robustness(ax, NAMES[3 : 3 + len(steps)], steps)


@pytest.mark.parametrize("draw", [draw_planes, draw_confusion, draw_similarity, draw_robustness])
def test_pictures_in_a_figure_of_the_user_show_names_as_they_are(folder, draw):
    figure = Figure()
    draw(figure.add_subplot(), unbend.open(folder / "a.unbend"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph 27")  # no font draws an escape
        figure.savefig(io.BytesIO(), format="svg")
    assert "$5_to_$10" in {text.get_text() for text in figure.findobj(Text)}
