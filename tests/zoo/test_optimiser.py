import subprocess
import sys

import pytest
import torch
from torch import nn

from unbend.zoo.optimiser import adam_steps, sgd_steps


def networks():
    torch.manual_seed(0)
    one, two = (nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)) for _ in range(2))
    two.load_state_dict(one.state_dict())
    return one, two


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("kind", ["adam", "sgd", "plain sgd"])
def test_the_steps_are_those_of_torch_to_the_last_bit(kind, decay):
    own, theirs = networks()
    momentum = 0.9 if kind == "sgd" else 0.0
    if kind == "adam":
        take = adam_steps(list(own.parameters()), weight_decay=decay)
        optimizer = torch.optim.Adam(theirs.parameters(), lr=0.1, weight_decay=decay, fused=True)
    else:
        take = sgd_steps(list(own.parameters()), momentum=momentum, weight_decay=decay)
        optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=momentum, weight_decay=decay, fused=True)
    for at in range(12):
        x, rate = torch.randn(8, 5), 0.1 / (1 + at)
        for network in (own, theirs):
            part = network[:1] if at == 3 else network  # the last layer gets no gradient in that step
            part(x).square().mean().backward()
        take(rate)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        assert all(p.grad is None for p in own.parameters())
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), theirs.parameters(), strict=True))


def test_training_a_small_net_imports_no_compiler_and_reading_digits_no_scikit_learn():
    code = (
        "import sys; from unbend.zoo import mlp, train, Recipe; from unbend.zoo.tables import digits_data; "
        "data = digits_data(); "
        "train(mlp([64, 4, 10], seed=0), *data.train, Recipe(epochs=1)); "
        "print(sorted({'torch._dynamo', 'sklearn'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    from unbend._digits import digits

    pixels, labels = digits()
    bunch = load_digits()
    assert (pixels == bunch.data).all()
    assert (labels == bunch.target).all()
    assert labels.dtype == bunch.target.dtype == int
