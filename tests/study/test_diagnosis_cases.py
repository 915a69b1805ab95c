"""A part of both benchmarks of the diagnosis: planted and real faults are named, healthy networks are left in peace.

Half of the cases have their turn with each change. With UNBEND_LAB=all every case of one seed of the planted faults is
asked, and the targets of the whole are held.
"""

import os
import sys
from pathlib import Path

import pytest
import torch
from tests.turns import share

import unbend

pytest.importorskip("mnist1d")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not (BENCHMARKS / "diagnosis").is_dir() or not Path("/usr/share/datasets/fashion-mnist").is_dir():
    pytest.skip("needs the folder benchmarks and Debian's dataset-fashion-mnist", allow_module_level=True)
sys.path[:0] = [str(BENCHMARKS.parent), str(BENCHMARKS / "faults")]

import faults  # noqa: E402  the folders of the benchmarks are on the path from here on
import healthy as real_healthy  # noqa: E402
import run as real  # noqa: E402
from benchmarks.diagnosis import __main__ as planted  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PLANTED = (
    ("labels mapped by a permutation", "mlp"),
    ("sigmoid twice", "shirts"),
    ("test rows among the training rows", "shirts"),
    ("inputs unscaled", "tanh"),
    ("not a number", "conv"),
    ("never trained", "regression"),
)
REAL = ("softmax_twice", "no_hidden_layer", "zero_weights", "too_few_units")
WELL = ("tanh", "smooth regression", "one logit, hard classes")
REAL_WELL = ("one_logit", "small_table")
SEED = 3
"""Not one that the rules were written with."""


def test_every_right_sentence_is_counted_and_no_quiet_one():
    assert planted.check() == []


def test_a_sentence_that_lists_every_remedy_names_nothing():
    from types import SimpleNamespace

    every = (
        "labels may be shuffled, noisy or mapped wrongly, units dead, weights too large, rate too high, under-fitted"
    )
    finding = SimpleNamespace(severity="problem", layer=None, title=every, evidence="", advice="")
    assert not any(planted.judge([finding], fault, ())[1] for fault in planted.FAULTS.values())


@pytest.mark.parametrize(("name", "kind"), share(PLANTED, 3))
def test_a_planted_fault_is_named(name, kind):
    answer = planted.ask(planted.FAULTS[name], kind, SEED)
    assert answer.verdict == "named", answer


@pytest.mark.parametrize("name", share(REAL, 3))
def test_a_real_fault_is_named(name):
    net, rows, held_out, loss, meta = faults.CASES[name](False, SEED)
    found = unbend.study(net, rows, held_out=held_out, loss=loss).findings
    assert real.judge(found, meta)[1], [f.title for f in found]


@pytest.mark.parametrize("name", share(WELL, 3))
def test_a_healthy_network_is_not_accused(name):
    answer = planted.examine(name, SEED)
    assert answer.verdict == "well", answer


@pytest.mark.parametrize("name", share(REAL_WELL, 2))
def test_a_healthy_network_of_the_other_benchmark_is_not_accused(name):
    net, rows, held_out, loss, _ = real_healthy.ZOO[name](SEED)
    found = unbend.study(net, rows, held_out=held_out, loss=loss).findings
    assert [f.title for f in found if f.severity in ("problem", "warning")] == []


@pytest.mark.skipif(os.environ.get("UNBEND_LAB") != "all", reason="run with UNBEND_LAB=all")
def test_nine_of_ten_planted_faults_are_named_and_no_healthy_network_has_a_problem():
    answers = [planted.ask(fault, kind, SEED) for fault, kind in planted.planted(SEED, is_all=False)]
    healthy = [planted.examine(name, SEED) for name in planted.ZOO]
    harmful = [a for a in answers if a.verdict != "harmless"]
    well = [a for a in healthy if a.verdict in ("well", "false")]
    loud = sum(a.loud for a in harmful)
    assert sum(a.verdict == "named" for a in harmful) >= 0.9 * len(harmful)
    assert sum(a.is_leading for a in harmful) >= 0.7 * len(harmful)
    assert sum(a.right for a in harmful) >= 0.6 * loud
    assert sum(a.right + a.near for a in harmful) >= 0.9 * loud
    assert not any("problem" in a.false for a in well)
    assert sum("warning" in a.false for a in well) <= 0.03 * len(well)


@pytest.mark.skipif(os.environ.get("UNBEND_LAB") != "all", reason="run with UNBEND_LAB=all")
def test_four_of_five_real_faults_are_named_and_no_healthy_network_has_a_problem():
    named = 0
    for make in faults.CASES.values():
        net, rows, held_out, loss, meta = make(False, SEED)
        named += bool(real.judge(real.look(net, rows, held_out, loss)[0], meta)[1])
    assert named >= 0.8 * len(faults.CASES)
    for name, make in real_healthy.ZOO.items():
        net, rows, held_out, loss, meta = make(SEED)
        own = [real.score(net, part, meta["task"]) for part in (rows, held_out)]
        problems = [f for f in real.look(net, rows, held_out, loss)[0] if f.severity == "problem"]
        assert all(real.is_true(f, net, rows, held_out, meta, own) for f in problems), (name, problems)
