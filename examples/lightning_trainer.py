"""Lightning's `Trainer`, watched by a callback: `python examples/lightning_trainer.py`."""

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from unbend import load
from unbend.integrations.lightning import watch_callback


class Digits(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    def training_step(self, batch, _):
        x, y = batch
        return F.cross_entropy(self.net(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 3e-3)


def main(epochs: int = 10):
    digits = load.data("digits")
    pl.seed_everything(0)
    callback = watch_callback(every=10, file="run.unbend")
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=[callback], gradient_clip_val=1.0, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = Digits()
    trainer.fit(module, DataLoader(TensorDataset(digits.x, digits.y), 128, shuffle=True))

    print("gradient before clipping:", callback.watch.history.value("gradient").round(3))
    return module, callback.watch


if __name__ == "__main__":
    main()
