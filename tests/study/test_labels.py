"""Labels mean the same whatever holds them, losses get them in their form, and what is not read is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from unbend.errors import DataError
from unbend.load.labels import coding, column, facts
from unbend.study.loss import LabelForms, loss_value
from unbend.study.split import by_class, by_group
from unbend.study.study import study

torch.set_num_threads(1)
N = 80
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def net(k=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, k))


WRITTEN = {
    "integers": Y.numpy(), "floats": Y.float().numpy(), "column": Y.float().numpy()[:, None],
    "one-hot": np.eye(2)[Y.numpy()], "booleans": Y.bool().numpy(), "signs": 2 * Y.numpy() - 1,
    "words": np.array(["NA", "b"], dtype=object)[Y.numpy()], "bytes": np.array([b"a", b"b"])[Y.numpy()],
}  # fmt: skip


@pytest.mark.parametrize("how", WRITTEN)
def test_however_labels_are_written_they_are_the_same_classes(how):
    y = column("y", WRITTEN[how])
    found = coding("y", facts("y", y), width=2)
    assert (found.task, found.n_classes) == ("classes", 2)
    assert torch.equal(found(y), Y)


@pytest.mark.parametrize("how", ["floats", "column", "one-hot", "signs"])
def test_a_pair_a_data_set_and_a_loader_are_read_alike(how):
    y = torch.from_numpy(WRITTEN[how])
    rows = TensorDataset(X, y)
    studies = [study(net(), data, twin=False) for data in ((X, y), rows, DataLoader(rows, batch_size=16))]
    assert {s.about.task for s in studies} == {"classification"}
    assert len({s.layers[0].results["readout"].held_out for s in studies}) == 1


def test_the_loss_and_the_width_decide_where_the_values_do_not():
    known = facts("y", np.arange(N) % 3.0)
    tasks = [coding("y", known, width=width, wish=wish).task for width, wish in ((3, None), (1, None), (3, "targets"))]
    assert tasks == ["classes", "targets", "targets"]


@pytest.mark.parametrize(
    ("loss", "k"), [(nn.BCEWithLogitsLoss(), 1), (nn.CrossEntropyLoss(), 2), ("mse", 2), ("bce", 1), (nn.NLLLoss(), 2)]
)
def test_a_loss_gets_labels_in_its_form(loss, k):
    value = loss_value(loss, torch.zeros(N, k), LabelForms(Y, Y[:, None].float() if k == 1 else Y, n_classes=2))
    assert torch.isfinite(value)


def test_gradients_of_a_frozen_network_are_those_of_the_free_one():
    free = study(net(), (X, Y), twin=False, loss="cross_entropy").across["gradients"]
    frozen = net().requires_grad_(requires_grad=False)
    found = study(frozen, (X, Y), twin=False, loss="cross_entropy").across["gradients"]
    assert np.array_equal(free.norm, found.norm)
    assert not any(p.requires_grad for p in frozen.parameters())


def test_the_guess_which_part_is_the_label_is_noted_or_asked():
    found = study(net(), TensorDataset(X, Y, torch.zeros(N, 3)), twin=False)
    assert any("part 1 is the label" in note for note in found.about.notes)
    with pytest.raises(DataError, match="Say which: target=1"):
        study(net(), TensorDataset(X, Y, 1 - Y), twin=False)
    assert study(net(), TensorDataset(X, 1 - Y, Y), target=2, twin=False).about.task == "classification"


def test_without_labels_what_needs_none_is_measured():
    found = study(net(), X)
    assert found.about.task == "no labels"
    assert {"moments", "spectrum", "activity"} <= found.layers[1].results.keys()
    assert not {"readout", "scatter"} & found.layers[1].results.keys()


@pytest.mark.parametrize(
    ("y", "words"),
    [(torch.full((N, 3, 2), 1), "per position"), (torch.where(Y > 0, 10**9, 0), "class indices")],
)  # fmt: skip
def test_what_is_not_read_is_refused(y, words):
    with pytest.raises(DataError, match=words):
        study(net(3), TensorDataset(X, y), twin=False)


def test_groups_lie_on_one_side_and_classes_are_held_out_alike():
    groups = np.arange(N) // 4
    held = by_group(groups, 0.2)
    assert all(len(set(held[groups == g])) == 1 for g in set(groups))
    assert by_class(Y.numpy(), 0.25)[Y.numpy() == 1].sum() == round(0.25 * int(Y.sum()))
