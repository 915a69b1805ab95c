"""The networks that are trained when a person names none."""

import torch

from unbend import zoo


def test_digits_reaches_its_accuracy_and_leaves_no_trace():
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    seen = []
    model, data = zoo.digits(progress=lambda done, total: seen.append((done, total)))
    assert zoo.accuracy(model, *data.test) > 0.95
    assert (len(data.x_train), len(data.x_test)) == (1438, 359)
    assert data.class_names == tuple("0123456789")
    assert [tuple(layer.weight.shape) for layer in model if hasattr(layer, "weight")] == [
        (128, 64),
        (64, 128),
        (32, 64),
        (10, 32),
    ]
    assert seen == [(i, 30) for i in range(1, 31)]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == n_threads
    assert not model.training


def test_two_moons_are_told_apart_by_a_small_net_of_two_inputs():
    seen = []
    model, data = zoo.two_moons(progress=lambda done, total: seen.append((done, total)))
    again, _ = zoo.two_moons()
    assert zoo.accuracy(model, *data.test) > 0.95
    assert [tuple(layer.weight.shape) for layer in model if hasattr(layer, "weight")] == [(16, 2), (16, 16), (2, 16)]
    assert seen == [(i, 200) for i in range(1, 201)]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert not model.training
