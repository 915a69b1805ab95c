"""Trainers of other libraries: the same weights as without, and steps, labels and losses as they were."""

import pickle
from inspect import signature
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from tests.study.watch.runs import Functional, batches, is_same, perceptron
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import unbend
from unbend.errors import DataError
from unbend.integrations.loop import WatchKeywords

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
    assert h.about.model == ("Module" if calls_itself else "Module.net")
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


@pytest.fixture
def fit_lightning(tmp_path):
    """Fits modules of Lightning for two epochs of three steps; gives the callback and what ended it."""
    pl = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed (extra lightning)")
    from unbend.integrations.lightning import watch_callback

    def fit(module, **how):
        callback = watch_callback(every=1, budget=None)
        trainer = pl.Trainer(
            max_epochs=2, callbacks=[callback], logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, accelerator="cpu", default_root_dir=tmp_path, **how,
        )  # fmt: skip
        data = DataLoader(TensorDataset(*rows(3)), 32)
        torch.manual_seed(5)
        try:
            trainer.fit(module, data, data)
        except SystemExit as error:  # of Lightning, where somebody interrupts
            return callback, error
        return callback, None

    return fit


def lightning_module(step, parts, **others):
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def training_step(self, batch, i):
            return step(self, batch, i)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-2)

    for name, function in others.items():
        setattr(Module, name, function)
    return Module()


def classify(self, batch, _):
    return F.cross_entropy(self.net(batch[0]), batch[1])


def test_lightning_names_of_validation_are_known_in_every_form_and_its_precision_matters_not(fit_lightning):
    def validate(self, batch, _):
        loss = classify(self, batch, 0)
        self.log_dict({"val/loss": loss, "val_acc": 0.5, "value_loss": loss, "valid-f1": 0.25})

    found = []
    for precision in ("32-true", "bf16-true", "64-true"):
        module = lightning_module(classify, {"net": perceptron()}, validation_step=validate)
        callback, _ = fit_lightning(module, precision=precision)
        found.append(callback.watch.history)
    assert [h.steps.tolist() for h in found] == [[1, 2, 3, 4, 5, 6]] * 3
    known = {name for name in found[0].logged_names() if name.startswith("val")}
    assert known == {"validation_loss", "validation_accuracy", "validation_f1"}
    for h in found[1:]:
        np.testing.assert_allclose(h.value("gradient"), found[0].value("gradient"), rtol=0.05)


def test_lightning_that_is_interrupted_says_so_in_its_history(fit_lightning):
    def step(self, batch, i):
        if self.global_step == 4:
            raise KeyboardInterrupt
        return classify(self, batch, i)

    callback, error = fit_lightning(lightning_module(step, {"net": perceptron()}))
    assert error is not None
    assert [(one.step, one.what, one.text) for one in callback.watch.history.events] == [
        (4, "exception", "KeyboardInterrupt")
    ]


def test_parts_of_a_lightning_module_that_are_not_watched_are_named(fit_lightning):
    def step(self, batch, _):
        return F.mse_loss(self.decoder(self.encoder(batch[0])), batch[0])

    parts = {"encoder": nn.Sequential(nn.Linear(20, 8), nn.ReLU()), "decoder": nn.Linear(8, 20)}
    with pytest.warns(UserWarning, match=r"^watch: Module\.encoder is watched, .*; not watched: decoder\. To see"):
        callback, _ = fit_lightning(lightning_module(step, parts))
    assert callback.watch.history.about.model == "Module.encoder"


def test_a_lightning_module_of_which_nothing_is_called_is_watched_by_its_weights(fit_lightning):
    def step(self, batch, _):
        return F.cross_entropy(self.stack[2](self.stack[0](batch[0]).relu()) + self.shift, batch[1])

    parts = {"stack": nn.ModuleList([nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3)])}
    module = lightning_module(step, parts | {"shift": nn.Parameter(torch.zeros(3))})
    with pytest.warns(UserWarning, match="Gradients and weights are watched all the same"):
        callback, _ = fit_lightning(module)
    h = callback.watch.history
    assert [layer.name for layer in h.about.layers] == ["", "stack.0", "stack.2"]
    assert h.steps.tolist() == [1, 2, 3, 4, 5]  # from the second step on
    assert (h.layer("stack.2", "gradient") > 0).all()


@pytest.mark.parametrize("name", ["lightning", "huggingface", "skorch", "keras"])
def test_a_callback_takes_the_settings_of_watch_and_refuses_others_at_once(name):
    module = pytest.importorskip(f"unbend.integrations.{name}")
    with pytest.raises(DataError, match=r"got 'evry'\. Did you mean 'every'\?"):
        module.watch_callback(evry=1)
    with pytest.raises(DataError, match="every: expected at least 1"):
        module.watch_callback(every=0)
    said = get_type_hints(module.watch_callback)["how"]
    assert get_args(said) == (WatchKeywords,)


def test_the_settings_that_editors_complete_are_those_of_watch():
    settings = {name: p for name, p in signature(unbend.watch).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert list(settings) == list(WatchKeywords.__annotations__)
    types = get_type_hints(unbend.watch)
    assert {name: types[name] for name in settings} == get_type_hints(WatchKeywords)


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


def test_skorch_partial_fits_are_parts_of_one_file_and_a_bare_loop_needs_no_watch(tmp_path):
    skorch = pytest.importorskip("skorch", reason="skorch is not installed (extra skorch)")
    from unbend.integrations.skorch import watch_callback

    torch.manual_seed(5)
    net = skorch.NeuralNetClassifier(
        perceptron(), criterion=nn.CrossEntropyLoss, max_epochs=1, batch_size=32, verbose=0,
        callbacks=[watch_callback(every=1, file=tmp_path / "run.unbend")],
    )  # fmt: skip
    x, y = (part.numpy() for part in rows())
    for _ in range(2):
        net.partial_fit(x, y)
    h = unbend.open_history(tmp_path / "run.unbend")
    assert h.steps.tolist() == list(range(1, 11))
    assert np.isfinite(h.value("validation_loss")).tolist() == [False] * 4 + [True] + [False] * 4 + [True]
    assert np.isfinite(h.value("validation_accuracy")).sum() == 2
    fresh = skorch.NeuralNetClassifier(perceptron(), criterion=nn.CrossEntropyLoss, verbose=0, max_epochs=1,
                                       callbacks=[watch_callback()]).initialize()  # fmt: skip
    fresh.fit_loop(x, y)
    assert len(fresh.history) == 1


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
