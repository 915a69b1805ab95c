"""Classes of one row in a hundred: a network that never names them is told of, one that finds them is not."""

import pytest
import torch
from torch import nn

import unbend
from unbend.study.examine.ends import trail
from unbend.study.findings.differential import INSTEAD
from unbend.study.values import Study

N, SEEN = 4000, 2500


def rows(k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of which one in a hundred is of class 1, and for three classes one in a hundred of class 2."""
    generator = torch.Generator().manual_seed(k)
    x, y = torch.randn(N, 6, generator=generator), torch.zeros(N, dtype=torch.int64)
    for j in range(1, k):
        y[j - 1 :: 100] = j
        x[j - 1 :: 100, j] += 5
    return x, y


def network(width: int, *, finds: bool) -> nn.Sequential:
    """Units that see the rare rows, and a head that heeds them or not."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, width))
    with torch.no_grad():
        net[0].weight[:2] = torch.eye(6)[1:3]
        net[0].bias[:2] = -2.5
        net[2].weight *= 0.01
        net[2].bias.zero_()
        net[2].bias[0] = -0.5 if width == 1 else 0.5
        rare = range(1) if width == 1 else range(1, width)
        for i, j in enumerate(rare):
            net[2].weight[j, i] = 2.0 if finds else 0.05
    return net.eval()


@pytest.fixture(scope="module")
def found():
    """The studies of networks that never name the rare rows and of those that find them, by width and classes."""

    def made(width: int, k: int, *, finds: bool) -> Study:
        x, y = rows(k)
        settings = {"held_out": (x[SEEN:], y[SEEN:]), "twin": False, "trials": False}
        return unbend.study(network(width, finds=finds), (x[:SEEN], y[:SEEN]), **settings)

    return {(*case, finds): made(*case, finds=finds) for case in ((1, 2), (2, 2), (3, 3)) for finds in (True, False)}


@pytest.mark.parametrize("case", [(1, 2), (2, 2), (3, 3)], ids=["one logit", "two logits", "three classes"])
def test_a_network_that_names_the_largest_class_only_is_told_so(found, case):
    study, k = found[(*case, False)], case[1]
    first = study.findings[0]
    assert (first.rule, first.severity) == ("ignored_classes", "problem")
    assert first.title.startswith("The network never names")
    assert f"averaged over the classes {1 / k:.3f} (chance {1 / k:.3f})" in first.evidence
    assert f"Of {15 * (k - 1)} such rows among 1,500 held-out ones it names 0 rightly." in first.evidence
    assert "average precision" in first.evidence
    assert first.instead == INSTEAD["ignored_classes"]


@pytest.mark.parametrize("case", [(1, 2), (2, 2), (3, 3)], ids=["one logit", "two logits", "three classes"])
def test_a_network_that_finds_rare_rows_is_left_in_peace(found, case):
    study = found[(*case, True)]
    assert not [f.title for f in study.findings if f.severity in ("problem", "warning")]
    assert study.across["examination"].rows.precision > 0.9


def test_a_page_of_rare_rows_opens_with_the_average_over_the_classes(found, tmp_path):
    page = unbend.report(found[(2, 2, False)], tmp_path / "p.html")
    assert (
        "averaged over the classes the network is right on 50\N{NO-BREAK SPACE}%, with an average precision of" in page
    )
    assert "The largest class alone makes these high: averaged over the classes, the read-out of" in page


def test_rare_rows_that_nothing_tells_are_a_warning():
    generator = torch.Generator().manual_seed(5)
    x, y = torch.randn(N, 6, generator=generator), (torch.arange(N) % 100 == 0).long()
    study = unbend.study(
        network(2, finds=False), (x[:SEEN], y[:SEEN]), held_out=(x[SEEN:], y[SEEN:]), twin=False, trials=False
    )
    assert [(f.rule, f.severity) for f in study.findings if f.severity in ("problem", "warning")] == [
        ("ignored_classes", "warning")
    ]


class Says(nn.Module):
    """A network that has hardly begun: its scores lie between 0 and 1, and it says what it makes of them."""

    def __init__(self, end):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 1))
        self.end = end
        with torch.no_grad():
            self.body[2].weight.mul_(0.05)
            self.body[2].bias.fill_(0.5)

    def forward(self, x):
        score = self.body(x)
        return self.end(score) if self.end is not None else score.squeeze(1)[:, None]


ENDS = {
    "a logit": None, "a sigmoid": torch.sigmoid, "a module": nn.Sigmoid(),
    "written out": lambda score: 1 / (1 + (-score).exp()),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_a_single_score_between_0_and_1_is_a_logit_where_an_affine_layer_makes_it(end):
    torch.manual_seed(0)
    x = torch.randn(400, 3)
    net = Says(ENDS[end]).eval()
    with torch.no_grad():
        score = net.body(x)[:, 0]
        assert 0 < score.min() < 0.45
        assert 0.55 < score.max() < 1
    y = (score > 0.5).long()  # as a probability it would name all classes rightly
    found = unbend.study(net, (x, y), trials=False, twin=False)
    named = float(y.float().mean())
    assert found.across["head"].own == pytest.approx(named, abs=0.05)
    assert found.across["examination"].scores.train == pytest.approx(named, abs=0.05)


def test_what_the_output_leaves_last_is_found_behind_an_index_and_a_sum():
    x, body, w = torch.randn(8, 3), nn.Linear(3, 4), torch.randn(3, 2)
    ends = {
        "softmax": lambda v: body(v).softmax(1)[:, :2],
        "sigmoid": lambda v: body(v).sigmoid_()[:, 0],
        "linear": lambda v: body(v)[:, 1:],
        "matmul": lambda v: (v @ w + 1)[..., 0],
    }
    for name, forward in ends.items():
        net = nn.Module()
        net.body, net.forward = body, forward
        found = trail(net, lambda net=net: net(x))
        assert found.is_affine == (name in {"linear", "matmul"}), name
        assert (found.end.name if found.end else None) == (None if found.is_affine else name)
