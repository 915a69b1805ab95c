"""Inputs made to fit: what is changed, what is said about it, and what is left alone."""

import pytest
import torch
from torch import nn

from unbend.study.fit import fit_inputs


class Permutes(nn.Module):
    """Moves the channels first itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return self.conv(x)


LINEAR, CONV = nn.Sequential(nn.Linear(6, 2)), nn.Sequential(nn.Conv2d(1, 2, 1))


@pytest.mark.parametrize(
    ("net", "shape", "becomes", "words"),
    [
        (LINEAR, (4, 6), (4, 6), ""), (LINEAR, (4, 2, 3), (4, 6), "(2, 3) are flattened"),
        (LINEAR, (4, 5, 6), (4, 5, 6), ""), (LINEAR, (4, 1, 6), (4, 1, 6), ""), (LINEAR, (4, 2, 4), (4, 2, 4), ""),
        (nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), (4, 2, 3), (4, 2, 3), ""),
        (CONV, (4, 5, 5), (4, 1, 5, 5), "channel axis"), (CONV, (4, 1, 5, 5), (4, 1, 5, 5), ""),
        (CONV, (4, 5, 5, 1), (4, 1, 5, 5), "channels moved first"), (CONV, (4, 25), (4, 25), ""),
        (nn.Conv2d(3, 2, 1), (4, 5, 5), (4, 5, 5), ""), (nn.Conv2d(3, 2, 1), (4, 3, 5, 3), (4, 3, 5, 3), ""),
        (Permutes(), (4, 5, 5, 3), (4, 3, 5, 5), "channels moved first"),
        (nn.Conv2d(4, 4, 1, groups=4), (2, 5, 5, 4), (2, 4, 5, 5), "channels moved first"),
        (nn.Conv1d(1, 2, 1), (4, 9), (4, 1, 9), "channel axis"), (nn.ReLU(), (4, 2, 3), (4, 2, 3), ""),
    ],
)  # fmt: skip
def test_shapes(net, shape, becomes, words):
    x = torch.arange(torch.Size(shape).numel()).reshape(shape).float()
    fit, said = fit_inputs(net, x)
    assert fit(x).shape == becomes
    assert words in said
    assert bool(words) == bool(said)
    assert fit(x).sum() == x.sum()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("given", [torch.float32, torch.float64, torch.uint8, torch.int64, torch.bool])
def test_values_take_the_dtype_of_the_model(dtype, given):
    net = nn.Sequential(nn.Linear(3, 2)).to(dtype)
    x = torch.ones(4, 3).to(given)
    fit, _ = fit_inputs(net, x)
    assert fit(x).dtype == dtype
    net(fit(x))


@pytest.mark.parametrize("given", [torch.uint8, torch.int32, torch.int64])
def test_tokens_stay_whole_numbers(given):
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))
    x = torch.ones(4, 3).to(given)
    fit, said = fit_inputs(net, x)
    assert not fit(x).is_floating_point()
    assert said == ""
    net(fit(x))


def test_a_model_without_parameters_leaves_precision_alone():
    x = torch.rand(4, 3, dtype=torch.float64)
    assert fit_inputs(nn.ReLU(), x)[0](x) is x
    assert fit_inputs(nn.ReLU(), x)[0](torch.ones(2, 2, dtype=torch.uint8)).dtype == torch.float32
    net = nn.BatchNorm1d(3, affine=False).double()
    assert fit_inputs(net, x)[0](x.float()).dtype == torch.float64


def test_mappings_and_tuples_keep_their_form():
    net = nn.Linear(3, 2).double()
    inputs = {"x": torch.rand(4, 3), "mask": torch.ones(4, 3, dtype=torch.int64), "flag": True, "none": None}
    fit, _ = fit_inputs(net, inputs)
    made = fit(inputs)
    assert made["x"].dtype == torch.float64
    assert made["mask"].dtype == torch.int64
    assert made["flag"] is True
    assert made["none"] is None
    pair = fit_inputs(net, (inputs["x"], inputs["mask"]))[0]((inputs["x"], inputs["mask"]))
    assert isinstance(pair, tuple)
    assert [p.dtype for p in pair] == [torch.float64, torch.int64]
