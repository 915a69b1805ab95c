"""What a data set is here: samples with labels, in two parts.

In: tensors. Out: `DataSet`. This module must not know where the numbers come from.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unbend._one_line import in_one_line


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Samples with labels or targets, and a held-out part that no training has seen.

    Attributes:
        x_train: float32 `[n, ...]`.
        y_train: int64 class indices `[n]`, or float32 targets `[n, t]`.
        x_test: held-out samples; no rows when everything is for training, as with XOR's four points.
        y_test: their labels.
        class_names: in the order of the class indices; empty for targets.
        name: what a page calls it.
        source: where it came from, what was done to its numbers, and its licence.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...] = ()
    name: str = ""
    source: str = ""

    __repr__ = in_one_line

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        """The samples and labels to train on."""
        return self.x_train, self.y_train

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        """The held-out samples and labels."""
        return self.x_test, self.y_test

    @property
    def n_classes(self) -> int:
        """How many classes there are; 0 for a regression."""
        return 0 if self.y_train.is_floating_point() else len(self.class_names)

    def flat(self) -> "DataSet":
        """The same with every sample as one row of numbers."""
        return replace(self, x_train=self.x_train.flatten(1), x_test=self.x_test.flatten(1))

    def first(self, n_train: int, n_test: int) -> "DataSet":
        """The first samples of both parts, in the order they have."""
        return replace(
            self,
            x_train=self.x_train[:n_train],
            y_train=self.y_train[:n_train],
            x_test=self.x_test[:n_test],
            y_test=self.y_test[:n_test],
        )


def split(x: Tensor, y: Tensor, *, held_out: float, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`x_train, y_train, x_test, y_test` after one shuffle.

    The classes keep their shares in both parts (to the nearest row); float targets are split without regard
    to their values.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    groups = [order] if y.is_floating_point() else [order[y[order] == k] for k in y.unique()]
    test = torch.cat([rows[: round(held_out * len(rows))] for rows in groups])
    is_test = torch.zeros(len(x), dtype=torch.bool)
    is_test[test] = True
    train, test = order[~is_test[order]], order[is_test[order]]
    return x[train], y[train], x[test], y[test]
