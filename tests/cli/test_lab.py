"""`unbend lab` as a newcomer uses it."""

import json
from dataclasses import replace

import pytest

from unbend.cli import lab as command
from unbend.cli.main import main
from unbend.lab import Check, Verdict, claim, runner


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    def words(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "140")
        status = 0
        try:
            main(["lab", *arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        return status, *capsys.readouterr()

    return words


def test_without_names_it_lists_every_claim(run):
    status, out, _ = run()
    assert status == 0
    assert "Foundations" in out
    assert "Training" in out
    assert "xor_impossible" in out
    assert "No line separates XOR." in out


def test_the_list_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr(command, "missing", lambda need: f"{need}: not there. Install it: apt install {need}")
    _, out, _ = run()
    assert "apt install fashion-mnist" in out
    _, out, _ = run("--json")
    listed = {one["claim"]: one for one in json.loads(out)}
    assert listed["cover"]["missing"]
    assert not listed["neuron"]["missing"]


def test_one_claim_shows_its_numbers_and_where_its_figure_is(run, tmp_path):
    status, out, _ = run("neuron", "--seed", "3", "-o", "here", "--quick")
    assert status == 0
    assert "✓ holds" in out
    assert "As told in textbooks and articles for beginners. Source: McCulloch & Pitts 1943" in out
    assert "largest difference between them" in out
    assert "rounding" in out
    assert "here/figures/neuron-quick-3.svg" in out
    assert (tmp_path / "here/figures/neuron-quick-3.svg").is_file()
    assert not (tmp_path / "here/index.html").exists()


def test_json_of_two_seeds(run):
    status, out, _ = run("neuron", "--seed", "3", "--seeds", "2", "--quick", "--json", "--workers", "1")
    assert status == 0
    (found,) = json.loads(out)
    assert found["told_by"] == "textbooks and articles for beginners"
    assert [(one["seed"], one["status"]) for one in found["runs"]] == [(3, "passed"), (4, "passed")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nuron",), "Did you mean 'neuron'?"),
        (("neuron", "--seed", "-1"), "--seed: expected a number from 0"),
        (("neuron", "--seeds", "0"), "--seeds: expected from 1 to 100"),
        (("neuron", "-o", "file.txt"), "expected a folder, got the file"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_status_2(run, tmp_path, words, sentence):
    (tmp_path / "file.txt").write_text("")
    status, _, err = run(*words)
    assert status == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


def test_a_seed_that_is_no_number_is_status_2(run):
    status, _, err = run("neuron", "--seed", "three")
    assert status == 2
    assert "'--seed'" in err
    assert "integer" in err


def test_everything_writes_one_page(run, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "claims", lambda: ("xor_impossible", "neuron"))
    status, out, err = run("--all", "--quick", "--workers", "1")
    assert status == 0
    assert "lab/index.html" in err
    page = (tmp_path / "lab" / "index.html").read_text()
    assert "Of 2 claims, 2 hold as told." in page
    assert "unbend lab --all --quick" in page
    assert "neuron" in out


def test_a_failed_check_is_status_1_and_is_shown(run, monkeypatch):
    broken = replace(claim("neuron"), holds=lambda result: Verdict("holds", "So.", (Check("it", 2.0, 0, 1, "why"),)))
    monkeypatch.setattr(runner, "claim_of", lambda name: broken)
    status, out, _ = run("neuron", "--quick")
    assert status == 1
    assert "! failed" in out


def test_an_interrupt_keeps_what_is_done(run, monkeypatch, tmp_path):
    def interrupted(planned, *, n_workers):
        yield runner.perform(planned[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "together", interrupted)
    status, _, err = run("neuron", "xor_impossible", "--quick")
    assert status == 130
    assert "1 of 2 runs are kept" in err
    assert list((tmp_path / "lab" / "runs").iterdir())
