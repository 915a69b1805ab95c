"""Trainers of other libraries: the same weights as without, and steps, labels and losses as they were."""

import pickle

import numpy as np
import pytest
import torch
from tests.study.watch.runs import Functional, batches, is_same, perceptron
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import unbend

pytestmark = pytest.mark.filterwarnings("ignore")
"""Trainers warn of their own."""


def rows(n=6):
    pairs = list(batches(n))
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
@pytest.mark.parametrize("calls_itself", [True, False])
def test_lightning(name, calls_itself, tmp_path):
    pl = pytest.importorskip(name, reason="Lightning is not installed (extra lightning)")
    from unbend.integrations.lightning import watch_callback

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = perceptron()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, _):
            x, y = batch
            return F.cross_entropy(self(x) if calls_itself else self.net(x), y)

        def validation_step(self, batch, _):
            x, y = batch
            self.log("val_loss", F.cross_entropy(self.net(x), y))

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-2)

    def fit(callbacks):
        module = Module()
        torch.manual_seed(5)
        trainer = pl.Trainer(
            max_epochs=2, callbacks=callbacks, logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, accelerator="cpu", gradient_clip_val=1e-3, accumulate_grad_batches=2,
            default_root_dir=tmp_path,
        )  # fmt: skip
        data = DataLoader(TensorDataset(*rows()), 32)
        trainer.fit(module, data, data)
        return module

    callback = watch_callback(every=1, budget=None)
    one, other = fit([]), fit([callback])
    assert is_same(one, other)
    h = callback.watch.history
    assert h.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert h.value("micro_batches").tolist() == [2] * 6
    assert (h.value("gradient") > 2e-3).all()
    np.testing.assert_allclose(h.value("gradient") * h.value("clipped"), 1e-3, rtol=1e-3)
    layer = "net.2" if calls_itself else "2"
    assert np.isfinite(h.layer(layer, "readout")).all()
    assert np.isfinite(h.value("loss")).all()
    assert np.isfinite(h.value("validation_loss")).any()
    assert not other.net._forward_hooks
    assert not any(p._post_accumulate_grad_hooks for p in other.parameters())


def test_lightning_that_raises_leaves_no_hook(tmp_path):
    pl = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed (extra lightning)")
    from unbend.integrations.lightning import watch_callback

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = perceptron()

        def training_step(self, batch, i):
            if i == 2:
                raise KeyError(i)
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    module, callback = Module(), watch_callback(every=1)
    trainer = pl.Trainer(max_epochs=1, callbacks=[callback], logger=False, enable_progress_bar=False, accelerator="cpu",
                         enable_model_summary=False, enable_checkpointing=False, default_root_dir=tmp_path)  # fmt: skip
    with pytest.raises(KeyError):
        trainer.fit(module, DataLoader(TensorDataset(*rows()), 32))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.net.modules())


class ForTrainer(nn.Module):
    """A model as Hugging Face's trainer calls it."""

    def __init__(self):
        super().__init__()
        self.net = Functional()

    def forward(self, x, labels=None):
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def test_hugging_face_trainer(tmp_path):
    pytest.importorskip("accelerate", reason="accelerate, which the trainer needs, is not installed (extra accelerate)")
    from transformers import Trainer, TrainingArguments

    from unbend.integrations.huggingface import watch_callback

    norms = []

    class Noting(Trainer):
        """Notes the gradient's norm before it is clipped."""

        def _clip_grad_norm(self, model):
            norms.append(float(torch.stack([p.grad.norm() for p in model.parameters()]).norm()))
            return super()._clip_grad_norm(model)

    def fit(callbacks):
        norms.clear()
        model = ForTrainer()
        x, y = rows()
        data = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
        args = TrainingArguments(
            output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=16, gradient_accumulation_steps=2,
            max_grad_norm=1e-3, logging_steps=1, report_to=[], save_strategy="no", eval_strategy="epoch", use_cpu=True,
            disable_tqdm=True, seed=0,
        )  # fmt: skip
        Noting(model, args, train_dataset=data, eval_dataset=data, callbacks=callbacks).train()
        return model

    callback = watch_callback(every=1, budget=None)
    one, other = fit([]), fit([callback])
    assert is_same(one, other)
    h = callback.watch.history
    assert h.steps.tolist() == list(range(1, 13))
    assert h.value("micro_batches").tolist() == [2] * 12
    assert (h.value("clipped") < 1).all()
    np.testing.assert_allclose(h.value("gradient") * h.value("clipped"), 1e-3, rtol=1e-3)
    if norms:
        np.testing.assert_allclose(h.value("gradient"), norms, rtol=1e-5)
    assert np.isfinite(h.layer("net.fc3", "readout")).all()
    assert np.isfinite(h.value("loss")).sum() >= 10
    assert np.isfinite(h.value("validation_loss")).any()
    assert not other.net._forward_hooks


def test_a_loss_that_hugging_face_hides_is_named_and_a_training_that_raised_is_closed(tmp_path):
    pytest.importorskip("accelerate", reason="accelerate, which the trainer needs, is not installed (extra accelerate)")
    from transformers import Trainer, TrainingArguments

    from unbend.integrations.huggingface import watch_callback

    class Failing(ForTrainer):
        n = 0

        def forward(self, x, labels=None):
            self.n += 1
            if self.n == 6:
                raise KeyError(self.n)
            return super().forward(x * (torch.nan if self.n == 3 else 1.0), labels)

    x, y = rows()
    data = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
    args = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=16, logging_steps=1, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    model, callback = Failing(), watch_callback(every=20)
    trainer = Trainer(model, args, train_dataset=data, callbacks=[callback])
    with pytest.raises(KeyError):
        trainer.train()
    assert all(np.isfinite(line["loss"]) for line in trainer.state.log_history)
    assert [(one.step, one.what) for one in callback.watch.history.events] == [(3, "non-finite")]
    callback.watch.close()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_skorch():
    skorch = pytest.importorskip("skorch", reason="skorch is not installed (extra skorch)")
    from unbend.integrations.skorch import watch_callback

    def fit(callbacks):
        torch.manual_seed(5)
        net = skorch.NeuralNetClassifier(
            perceptron(), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-2, max_epochs=2,
            batch_size=32, verbose=0, iterator_train__shuffle=False, callbacks=callbacks,
        )  # fmt: skip
        x, y = rows()
        net.fit(x.numpy(), y.numpy())
        return net

    callback = watch_callback(every=1, budget=None)
    one, other = fit([]), fit([callback])
    assert is_same(one.module_, other.module_)
    h = callback.watch_.history
    assert len(h.snapshots) == h.steps[-1] >= 8
    assert np.isfinite(h.layer("2", "readout")).all()
    assert np.isfinite(h.value("loss")[1:]).all()  # skorch tells a loss after its step: it stands in the next snapshot
    assert np.isfinite(h.value("validation_loss")).any()
    assert is_same(pickle.loads(pickle.dumps(other)).module_, one.module_)


def test_accelerate():
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed (extra accelerate)")
    from unbend.integrations.accelerate import watch_tracker

    def fit(watched):
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
        model = perceptron()
        model, optimiser, data = accelerator.prepare(
            model, torch.optim.Adam(model.parameters(), 1e-2), DataLoader(TensorDataset(*rows(8)), 32)
        )
        watch = unbend.watch(model, every=1, budget=None)
        torch.manual_seed(5)
        if watched:
            watch.__enter__()
            accelerator.log_with = [watch_tracker(watch)]
            accelerator.trackers = list(accelerator.log_with)
        for x, y in data:
            with accelerator.accumulate(model):
                loss = F.cross_entropy(model(x), y)
                accelerator.backward(loss)
                watch.label(y)
                if watched:
                    accelerator.log({"loss": loss.item()})
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1e-3)
                optimiser.step()
                optimiser.zero_grad()
        if watched:
            watch.__exit__(None, None, None)
        return model, watch

    (one, _), (other, watch) = fit(False), fit(True)
    assert is_same(one, other)
    h = watch.history
    assert h.steps.tolist() == [1, 2, 3, 4]
    assert h.value("micro_batches").tolist() == [2] * 4
    np.testing.assert_allclose(h.value("gradient") * h.value("clipped"), 1e-3, rtol=1e-3)
    assert np.isfinite(h.value("loss")).all()
