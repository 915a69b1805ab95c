"""Every rule fires on a small net built to have its fault, and is silent on a healthy one."""

import numpy as np
import pytest
import torch
from torch import nn

from unbend.study.findings import MOST, RULES
from unbend.study.study import study

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def healthy():
    from unbend import zoo

    return zoo.digits(seed=0)


@pytest.fixture(scope="module")
def digits(healthy):
    data = healthy[1]
    return (data.x_train, data.y_train), (data.x_test, data.y_test)


def trained(model, x, y, *, steps=150, lr=0.01):
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model.eval()


def copied(healthy, change):
    import copy

    model = copy.deepcopy(healthy[0])
    with torch.no_grad():
        change(model)
    return model


def found(model, digits, **settings):
    return study(model, digits[0], held_out=digits[1], **{"twin": False, **settings})


def only(study, rule):
    hits = [f for f in study.findings if f.rule == rule]
    assert hits, [f.title for f in study.findings]
    for f in hits:
        assert all(part.endswith(".") for part in (f.title, f.evidence.rstrip(")"), f.why, f.advice)), f
        assert len(f.title) <= 120
    return hits


def rules(study):
    return {f.rule for f in study.findings}


def test_a_healthy_net_is_left_in_peace(healthy, digits):
    made = found(healthy[0], digits, twin=True, loss=nn.functional.cross_entropy)
    assert rules(made) <= {"silent_units"}
    assert not [f for f in made.findings if f.severity == "problem"]


def test_layers_that_make_classes_separable_are_praised():
    x = torch.randn(1200, 2, generator=torch.Generator().manual_seed(0))
    y = (x.norm(dim=1) > 1.18).long()  # a disc and its rim: no line tells them apart
    torch.manual_seed(0)
    net = trained(nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 2)), x[:800], y[:800], lr=0.03)
    made = found(net, ((x[:800], y[:800]), (x[800:], y[800:])), twin=True)
    (hit,) = only(made, "separability_rises")
    read, first = (made[name].results["readout"] for name in (hit.layer, "input"))
    assert hit.severity == "good"
    assert hit.evidence.startswith(f"Held-out accuracy of a logistic regression: {first.held_out:.3f} on the input")
    assert hit.rests_on == ("input", hit.layer)
    assert read.held_out > first.held_out + 0.2
    assert "on average over 5 draws" in hit.evidence


def test_dead_units(healthy, digits):
    made = found(copied(healthy, lambda m: m[0].bias[:125].fill_(-100.0)), digits)
    hit = only(made, "silent_units")[0]
    assert (hit.layer, hit.severity) == ("1", "problem")
    assert "of 128 units of layer 1 are silent" in hit.title


def test_dormant_units(healthy, digits):
    def faint(m):
        m[0].weight[:40] *= 1e-3
        m[0].bias[:40] *= 1e-3

    assert only(found(copied(healthy, faint), digits), "dormant_units")[0].layer == "1"


def test_saturated_units(digits):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    with torch.no_grad():
        model[0].weight *= 1000
    assert only(found(model, digits), "saturated_units")[0].layer == "1"


def test_a_bottleneck_and_the_ratio_that_misleads(digits):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2), nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    made = found(trained(model, *digits[0]), digits)
    lead = made.findings[0]
    assert (lead.rule, lead.layer, lead.severity) == ("narrow_passage", "2", "problem")
    assert lead.title == "Layer 2 is too narrow: 2 units for 10 classes."
    hit = only(made, "bottleneck")[0]
    assert (hit.layer, hit.severity) == ("2", "note")
    assert f"The first finding explains it: {lead.title}" in hit.evidence
    assert "10 classes can need up to 9 directions, and it keeps 2" in hit.evidence
    assert "misleads" in hit.evidence
    before, after = made["1"].results, made["2"].results
    assert after["scatter"].trace_ratio > before["scatter"].trace_ratio
    assert after["scatter"].fisher < before["scatter"].fisher
    assert after["readout"].held_out < before["readout"].held_out


def test_lost_separability_without_a_narrow_layer(healthy, digits):
    made = found(copied(healthy, lambda m: m[2].weight[:, :].mul_(torch.arange(64)[:, None] < 12)), digits)
    assert not {"lost_separability", "bottleneck"} & rules(made)
    torch.manual_seed(0)
    blind = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    with torch.no_grad():
        blind[0].bias -= 0.9
    made = found(blind, digits)
    hit = only(made, "lost_separability")[0]
    fell = made["0"].results["readout"].held_out - made["1"].results["readout"].held_out
    assert (hit.layer, hit.severity) == ("1", "note"), "what leads explains it"
    assert made.findings[0].severity == "problem"
    assert hit.title == f"Layer 1 loses separability: a linear read-out falls by {fell:.3f}."
    assert "units are alive" in hit.advice
    assert "bottleneck" not in rules(made)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.inner = nn.Linear(d, d)
        nn.init.zeros_(self.inner.weight)
        nn.init.zeros_(self.inner.bias)

    def forward(self, x):
        return x + self.inner(x).relu()


def test_an_idle_block(healthy, digits):
    model = nn.Sequential(*healthy[0][:4], Block(64), *healthy[0][4:]).eval()
    made = found(model, digits, layers=["3", "4", "5"])
    assert [f.layer for f in only(made, "idle_layer")] == ["4"]


def test_collapsed_rank_and_constant_layers(healthy, digits):
    def thin(m):
        u, s, v = torch.linalg.svd(m[0].weight, full_matrices=False)
        m[0].weight.copy_(u[:, :1] * s[:1] * 10 @ v[:1] + 0.01 * m[0].weight)
        m[0].bias.zero_()

    hit = only(found(copied(healthy, thin), digits), "collapsed_rank")[0]
    assert hit.severity == "note"
    made = found(copied(healthy, lambda m: m[0].bias.fill_(-1e6)), digits)
    constant = next(f for f in only(made, "collapsed_rank") if f.layer == "1")
    assert made.findings[0].rule == "silent_units"
    assert constant.severity == "note"
    assert constant.title == "Layer 1 puts out the same for every sample."


def test_an_under_trained_head(healthy, digits):
    hit = only(found(copied(healthy, lambda m: m[6].weight.normal_()), digits), "head_under_trained")[0]
    assert hit.severity == "problem"


def test_read_outs_that_over_fit_and_rows_that_any_labels_fit():
    x = torch.randn(200, 40, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] + 2 * torch.randn(200, generator=torch.Generator().manual_seed(1)) > 0).long()
    torch.manual_seed(0)
    made = study(nn.Sequential(nn.Linear(40, 400), nn.ReLU(), nn.Linear(400, 2)), (x, y), twin=False)
    assert only(made, "read_out_over_fits")
    assert only(made, "chance_would_do")
    assert only(made, "few_rows")


class Log(nn.Module):
    def forward(self, x):
        return x.log()


def test_layers_that_put_out_nan(healthy, digits):
    model = nn.Sequential(*healthy[0][:1], Log(), *healthy[0][2:]).eval()
    hits = only(found(model, digits, layers=["0", "1", "2", "3"]), "nonfinite")
    assert [f.layer for f in hits] == ["1"]


def test_exploding_and_vanishing_activations(healthy, digits):
    for i, factor, told in ((4, 1e4, "explode"), (0, 1e-4, "vanish")):

        def scaled(m, i=i, by=factor):
            m[i].weight *= by
            m[i].bias *= by

        made = found(copied(healthy, scaled), digits)
        hit = next(f for f in only(made, "scale") if told in f.title)
        rms = [part.results["moments"].rms for part in made.layers[1:-1]]
        extreme = max(rms) if told == "explode" else min(rms)
        assert made[hit.layer].results["moments"].rms == extreme
        assert hit.evidence == f"Root mean square {extreme:.2g}; median over 6 layers {np.median(rms):.2g}."


def test_vanishing_gradients_through_twenty_sigmoids(digits):
    torch.manual_seed(0)
    layers = [part for _ in range(20) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(nn.Linear(64, 16), *layers, nn.Linear(16, 10))
    made = found(model, digits, loss=nn.functional.cross_entropy, measures=["moments"])
    lead = made.findings[0]
    assert (lead.rule, lead.severity) == ("vanishing", "problem")
    assert lead.title.startswith("Gradients vanish through 20 layers of sigmoid or tanh")
    hit = only(made, "gradient_reach")[0]
    assert hit.title.startswith("Gradients vanish: from the last layer to the first they shrink by a factor of 10^")


def test_an_untrained_net_is_told(digits):
    from unbend import zoo

    made = found(zoo.mlp([64, 64, 32, 10], seed=3), digits, twin=True)
    assert only(made, "untrained_does_as_well")[0].severity == "note"
    assert (made.findings[0].rule, made.findings[0].severity) == ("untrained", "problem")


def test_fading(digits):
    torch.manual_seed(0)
    layers = [part for _ in range(12) for part in (nn.Linear(64, 64), nn.Tanh())]
    for part in layers[::2]:
        nn.init.normal_(part.weight, std=0.13)
    made = found(nn.Sequential(nn.Linear(64, 64), nn.Tanh(), *layers, nn.Linear(64, 10)), digits)
    (hit,) = only(made, "fading")
    first, last = (made[name].results["readout"].held_out for name in ("0", "25"))
    assert (hit.layer, hit.severity) == ("25", "note")
    told = f"Held-out accuracy of a logistic regression: {first:.3f} at layer 0, {last:.3f} at layer 25 ("
    assert hit.evidence.startswith(told)
    assert "lost_separability" not in rules(made)


def test_many_findings_of_one_kind_are_told_together(digits):
    torch.manual_seed(0)
    layers = [part for _ in range(6) for part in (nn.Linear(16, 16), nn.Tanh())]
    for part in layers[::2]:
        nn.init.normal_(part.weight, std=100.0)
    made = found(nn.Sequential(nn.Linear(64, 16), *layers, nn.Linear(16, 10)), digits, measures=["activity"])
    hits = only(made, "saturated_units")
    assert len(hits) == MOST
    assert "The same holds for 3 more" in hits[-1].evidence


def test_rules_are_told_apart():
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    assert all(rule.__doc__ for rule in RULES)


def test_every_cause_says_what_else_would_explain_it_and_stands_in_the_docs():
    from pathlib import Path

    from unbend.study.findings.differential import INSTEAD

    text = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert named == set(INSTEAD)
    assert all(f"| {instead} |" in text for instead in INSTEAD.values())


def test_what_leads_names_what_it_explains(healthy, digits):
    made = found(copied(healthy, lambda m: m[0].bias.fill_(-1e6)), digits)
    lead = made.findings[0]
    assert lead.rule == "silent_units"
    assert lead.instead
    assert {"collapsed_rank", "head_under_trained"} & set(lead.explains)
    assert not [f for f in made.findings[1:] if f.severity in {"problem", "warning"}]
