"""Nothing depends on how the rows came, and nothing of the model is left changed."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from unbend.study.finish import finish
from unbend.study.merge import merge
from unbend.study.study import study

torch.set_num_threads(1)
N = 150


def rows(n=N, *, seed=0):
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()


def net(k=3, *, hidden=8, last=()):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, hidden), nn.Dropout(), nn.Tanh(), nn.Linear(hidden, k), *last).double()


def is_close(a, b, where=""):
    """Whether two values are the same up to rounding, whatever they are made of."""
    if is_dataclass(a):
        for f in fields(a):
            is_close(getattr(a, f.name), getattr(b, f.name), f"{where}.{f.name}")
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            is_close(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, (tuple, list)) and not isinstance(a, str):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            is_close(x, y, f"{where}[{i}]")
    elif isinstance(a, (np.ndarray, float)) and np.asarray(a).dtype.kind == "f":
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8, err_msg=where)
    else:
        assert np.array_equal(a, b), where


def is_same_study(a, b):
    is_close({layer.name: (layer.results, layer.twin) for layer in a.layers},
             {layer.name: (layer.results, layer.twin) for layer in b.layers})  # fmt: skip
    is_close(a.across, b.across)
    assert [(f.rule, f.layer, f.severity) for f in a.findings] == [(f.rule, f.layer, f.severity) for f in b.findings]
    assert (a.about.n_train, a.about.n_held_out) == (b.about.n_train, b.about.n_held_out)


@pytest.fixture(scope="module")
def whole():
    return study(net(), rows(), loss=nn.functional.cross_entropy)


@pytest.mark.parametrize("batch_size", [1, 31])
def test_batch_size_changes_nothing(whole, batch_size):
    is_same_study(study(net(), rows(), loss=nn.functional.cross_entropy, batch_size=batch_size), whole)


class Stream(IterableDataset):
    def __init__(self, x, y):
        self.x, self.y, self.passes = x, y, 0

    def __iter__(self):
        self.passes += 1
        return zip(self.x, self.y, strict=True)


def of_one_draw(found):
    """The study without its further untrained draws."""
    frames = [replace(layer, results={}, twin={}, draws=()) for layer in found.layers]
    return finish(found.about, frames, found.sums, more={"examination": found.across["examination"]})


def test_a_stream_gives_the_same_and_is_read_again_for_each_pass(whole):
    stream = Stream(*rows())
    found = study(net(), DataLoader(stream, batch_size=40), loss=nn.functional.cross_entropy)
    is_same_study(found, of_one_draw(whole))
    assert "one untrained draw" in " ".join(found.about.notes)
    assert stream.passes == 8  # a first look, two parts, the twin's two parts, gradients, the examination's two parts


def test_shuffling_changes_nothing(whole):
    loader = DataLoader(TensorDataset(*rows()), batch_size=32, shuffle=True, drop_last=True)
    is_same_study(study(net(), loader, loss=nn.functional.cross_entropy), whole)


def test_gradients_of_a_mean_and_of_each_row_are_the_same(whole):
    each = study(net(), rows(), loss=nn.CrossEntropyLoss(reduction="none"), twin=False)
    is_close(each.across["gradients"], whole.across["gradients"])


def test_shards_add_up_to_one_run(whole):
    del whole
    x, y = rows(400)
    held, train = (x[300:], y[300:]), (x[:300], y[:300])
    one = study(net(), train, held_out=held)
    shards = [study(net(), (x[a:b], y[a:b]), held_out=held) for a, b in ((0, 100), (100, 210), (210, 300))]
    added = merge(*shards)
    for a, b in zip(added.layers, one.layers, strict=True):
        for name in ("moments", "activity", "scatter", "spectrum", "centroids"):
            if name in a.results:
                is_close(a.results[name], b.results[name], f"{a.name}.{name}")
        assert a.results["readout"].held_out == pytest.approx(b.results["readout"].held_out, abs=1e-12)
    assert added.about.n_train == one.about.n_train == 300


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return N

    def __getitem__(self, i):
        if i == 100:
            raise self.error
        return tuple(part[i] for part in rows())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("disk gone")])
def test_the_model_is_as_it_was_whatever_happens(error):
    model = net().train()
    model[2].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    before = torch.get_rng_state()
    with pytest.raises(type(error)):
        study(model, Failing(error), n_classes=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert torch.is_grad_enabled()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_study_leaves_the_model_and_the_generators_alone():
    model = net().train()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    study(model, DataLoader(TensorDataset(*rows()), batch_size=32, shuffle=True), loss=nn.functional.cross_entropy)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_regression_has_r2_and_no_classes():
    x, _ = rows(300)
    y = x[:, :2] @ torch.tensor([[1.0], [2.0]], dtype=torch.float64) + 0.01 * x[:, 2:3]
    found = study(net(1), (x, y[:, 0]), loss=nn.functional.mse_loss)
    assert found.about.task == "regression"
    assert found.about.class_names == ()
    assert found["input"].results["readout"].held_out > 0.999
    assert "scatter" not in found["0"].results
    assert np.isnan(found.across["head"].low)
    assert found.across["gradients"].n == found.about.n_train
    assert all("accuracy" not in f.title + f.evidence for f in found.findings)


def test_several_targets():
    x, _ = rows(200)
    found = study(net(2), (x, x[:, :2] ** 2), twin=False)
    assert found["0"].results["readout"].weight.shape == (2, 8)


def test_without_held_out_rows_nothing_is_claimed_about_them():
    found = study(net(), rows(), share=0.0)
    assert found.about.n_held_out == 0
    assert all(np.isnan(layer.results["readout"].held_out) for layer in found.layers)
    assert "head" not in found.across
    assert "similarity" in found.across
    assert not {"idle_layer", "separability_rises", "over_fitted"} & {f.rule for f in found.findings}


@pytest.mark.parametrize("last", [(), (nn.Sigmoid(),), (nn.Flatten(0),)])
def test_single_outputs_are_read_as_two_classes(last):
    x, _ = rows(200)
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 1), *last).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(5))
        model[1].weight.copy_(torch.tensor([[4.0, 0, 0, 0, 0]]))
        model[0].bias.zero_()
        model[1].bias.zero_()
    found = study(model, (x, y), twin=False)
    assert found.about.class_names == ("0", "1")
    assert found.across["head"].own == 1.0


def test_a_single_logit_is_compared_with_its_refitted_self():
    x, _ = rows(200)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        model[0].weight[0] = torch.tensor([9.0, 0, 0, 0, 0])
        model[0].bias[0] = 0.0
        model[2].weight.copy_(torch.tensor([[0.2, 0, 0, 0]]))
        model[2].bias.fill_(0.5)  # every logit within (0, 1): a probability it is not
    head = study(model, (x, (x[:, 0] > 0).long()), twin=False).across["head"]
    assert head.own == pytest.approx(0.5, abs=0.2)
    assert head.refitted > 0.9


def test_log_softmax_outputs_have_a_head():
    found = study(net(last=(nn.LogSoftmax(-1),)), rows(), twin=False)
    plain = study(net(), rows(), twin=False)
    assert found.across["head"].own == plain.across["head"].own
    assert found.across["head"].layer == "2"


def test_wide_layers_are_sketched_by_a_stated_rule():
    found = study(net(hidden=5000), rows(), twin=False, layers=["2"], measures=["moments"])
    assert found["2"].view.sketch == 4096
    assert len(found["2"].results["moments"].mean) == 5000
    assert any("signed sums" in note for note in found.about.notes)


def test_no_measures_make_a_study_of_nothing():
    found = study(net(), rows(), measures=())
    assert all(not layer.results for layer in found.layers)


def test_finishing_is_pure(whole):
    bare = [replace(layer, results={}, twin={}) for layer in whole.layers]
    more = {"examination": whole.across["examination"]}
    is_same_study(finish(whole.about, bare, whole.sums, more=more), whole)
    assert whole.about.versions["torch"] == str(torch.__version__)
    assert type(whole.about.versions["torch"]) is str
