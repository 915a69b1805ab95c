"""Sparse networks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbend import zoo
from unbend.errors import DataError


@given(share=st.floats(0, 1), again=st.floats(0, 1), scope=st.sampled_from(["layer", "network"]))
def test_the_smallest_are_cut_and_stay_cut(share, again, scope):
    net = zoo.mlp([6, 11, 5, 3], seed=0)
    first = zoo.smallest(net, share, scope=scope)
    second = zoo.smallest(net, again, masks=first, scope=scope)
    assert set(first) == {"0.weight", "2.weight", "4.weight"}
    for name, mask in second.items():
        assert not bool((mask & ~first[name]).any())
    for group in [[name] for name in first] if scope == "layer" else [list(first)]:
        size = torch.cat([dict(net.named_parameters())[name].detach().abs().flatten() for name in group])
        mask = torch.cat([first[name].flatten() for name in group])
        assert int((~mask).sum()) == round(share * mask.numel())
        if mask.any() and not mask.all():
            assert float(size[mask].min()) >= float(size[~mask].max())


def test_output_share_and_chance():
    net = zoo.mlp([10, 20, 10], seed=0)
    masks = zoo.smallest(net, 0.2, output_share=0.1)
    assert [int((~mask).sum()) for mask in masks.values()] == [40, 20]
    chance = zoo.any_at_random(net, 0.2, seed=1)
    assert [int((~mask).sum()) for mask in chance.values()] == [40, 40]
    assert not torch.equal(chance["0.weight"], zoo.any_at_random(net, 0.2, seed=2)["0.weight"])
    other = zoo.shuffle(masks, seed=0)
    assert [int(mask.sum()) for mask in other.values()] == [160, 180]
    assert not torch.equal(other["0.weight"], masks["0.weight"])
    assert zoo.kept_share(masks) == pytest.approx(340 / 400)
    with pytest.raises(DataError, match="from 0 to 1"):
        zoo.smallest(net, 1.5)
    other = zoo.mlp([5, 3], seed=0)
    with pytest.raises(DataError, match=r"'0\.weight' of shape \[[0-9]+, [0-9]+\] fits no weight of Sequential"):
        zoo.masked(other, masks).__enter__()


@pytest.mark.parametrize(
    "recipe",
    [
        zoo.Recipe(epochs=20, rate=0.01, weight_decay=0.1),
        zoo.Recipe(epochs=20, optimizer="sgd", rate=0.1, momentum=0.9, weight_decay=0.1),
    ],
)
def test_cut_weights_stay_exactly_zero_in_training_and_are_free_after(recipe):
    data = zoo.moons(100)
    net = zoo.mlp([2, 12, 2], seed=0)
    masks = zoo.smallest(net, 0.5)
    with zoo.masked(net, masks):
        zoo.train(net, *data.train, recipe)
    weight = net[0].weight.detach()
    assert torch.equal(weight[~masks["0.weight"]], torch.zeros(12))
    assert bool((weight[masks["0.weight"]] != 0).all())
    zoo.train(net, *data.train, recipe)
    assert bool((net[0].weight[~masks["0.weight"]] != 0).any())


def test_tickets_rewind_to_the_first_weights():
    data = zoo.moons(100)
    net = zoo.mlp([2, 10, 2], seed=0)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    seen = []

    def fit(model):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        zoo.train(model, *data.train, zoo.Recipe(epochs=10, rate=0.05))
        return zoo.accuracy(model, *data.test)

    found = list(zoo.tickets(net, fit, rounds=2, share=0.5))
    assert [ticket.kept for ticket in found] == [1.0, 0.5, 0.25]
    for ticket, weights in zip(found, seen, strict=True):
        for name, value in start.items():
            mask = torch.from_numpy(ticket.masks[name]) if name in ticket.masks else torch.tensor(1)
            assert torch.equal(weights[name], value * mask)
    assert 0.5 <= found[0].score <= 1
