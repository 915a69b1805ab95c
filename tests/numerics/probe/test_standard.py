import torch

from unbend.numerics.probe.standard import Standard


def test_standardised_rows_have_mean_0_and_variance_1():
    h = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([1e-30, 1, 1e30])
    h[:, 1] += 1000
    z = Standard.of(h).apply(h)
    torch.testing.assert_close(z.mean(0), torch.zeros(3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(z.var(0, correction=0), torch.ones(3).double())


def test_constant_units_become_exactly_0():
    for value in (0.0, 0.1, 1e30, -3.3):
        h = torch.full((1000, 2), value)
        assert not Standard.of(h).apply(h).any()


def test_many_entries_stay_float32():
    h = torch.randn(21_000, 100, generator=torch.Generator().manual_seed(0))
    z = Standard.of(h).apply(h)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.double().var(0, correction=0), torch.ones(100).double(), atol=1e-5, rtol=0)


def test_folded_weights_give_the_same_scores():
    generator = torch.Generator().manual_seed(0)
    h = torch.rand(50, 4, generator=generator).double() * 30 + 5
    weight = torch.randn(3, 4, generator=generator).double()
    bias = torch.randn(3, generator=generator).double()
    standard = Standard.of(h)
    raw, shift = standard.unstandardise(weight, bias)
    torch.testing.assert_close(h @ raw.T + shift, standard.apply(h) @ weight.T + bias)


def test_float16_rows():
    h = torch.arange(20.0).half().view(10, 2)
    torch.testing.assert_close(Standard.of(h).apply(h), Standard.of(h.double()).apply(h.double()))
