"""Winning tickets: the experiment passes, and fails where what makes a ticket is taken away."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import lottery
from unbend.lab.claim import percent

pytest.importorskip("mlxtend")


@pytest.fixture(scope="module")
def result(quick):
    return quick("lottery")


def test_the_claim_holds_with_a_condition(result):
    verdict = lottery.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert percent(result.kept[-1]) in lottery.finding(result)


def test_shares_are_those_of_the_cuts(result):
    assert result.kept[0] == 1
    assert (np.diff(result.kept) < 0).all()
    # 784-300-100 loses six tenths a round, the output layer three; it has 1,000 of the 266,200 weights.
    assert result.kept[1] == pytest.approx((265_200 * 0.4 + 1_000 * 0.7) / 266_200, abs=1e-5)
    assert not np.isnan(result.accuracy[:, 0]).any()


def test_the_matching_share_is_the_last_one_before_the_fall():
    kept, accuracy = np.array([1.0, 0.5, 0.2, 0.1]), np.array([0.9, 0.91, 0.895, 0.8])
    assert lottery._matching(kept, accuracy) == 0.2
    assert lottery._matching(kept, np.full(4, 0.9)) == 0.1


def test_tickets_cut_at_random_do_not_pass(monkeypatch):
    def random_tickets(net, fit, *, rounds, share, output_share):
        first = {name: value.clone() for name, value in net.state_dict().items()}
        masks = None
        for i in range(rounds + 1):
            net.load_state_dict(first)
            masks = zoo.any_at_random(net, share if i else 0.0, seed=i, masks=masks)
            with zoo.masked(net, masks):
                score = fit(net)
            arrays = {name: mask.numpy().copy() for name, mask in masks.items()}
            yield zoo.Ticket(i, zoo.kept_share(masks), arrays, score)

    monkeypatch.setattr(zoo, "tickets", random_tickets)
    assert not lottery.holds(lottery.run(0, "quick")).passed


def test_the_figure_names_its_axes(result):
    figure = Figure()
    lottery.draw(result, figure)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert figure.axes[0].lines[1].get_ydata() == pytest.approx(result.accuracy[0, 0, 0])
