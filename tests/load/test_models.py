"""One line of text to a module, and weights into it."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from unbend.errors import LoadError, ModelError
from unbend.load import model

CODE = """
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first = nn.Linear(4, width)

    def forward(self, x):
        return self.first(x).relu()


class Wide(Net):
    def __init__(self, width):
        super().__init__(width)


def build():
    return Net(5)


def broken():
    return nn.Linear(4, -3)


def loose():
    return torch.zeros(3)


weights = net.state_dict()
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "nets.py").write_text(CODE)
    return lambda name, **options: model(f"{tmp_path / 'nets.py'}:{name}", **options)


def test_a_module_a_class_and_a_factory(code):
    assert len(code("net")) == 3
    assert code("Net").first.out_features == 3
    assert code("build").first.out_features == 5
    assert code("net") is code("net")


def test_an_installed_package():
    assert isinstance(model("torch.nn:Identity"), nn.Identity)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        (
            "loose",
            ModelError,
            "expected a torch.nn.Module, or a function without arguments that returns one; got Tensor.",
        ),
        ("weights", ModelError, "got OrderedDict. Weights alone go to --weights."),
        ("Wide", LoadError, "nets.py:Wide: needs arguments (missing a required argument: 'width')."),
        ("broken", LoadError, "nets.py:broken: calling it raised RuntimeError: "),
        ("broken", LoadError, "(line 27 of nets.py)."),
        (
            "Nett",
            LoadError,
            "no 'Nett' in it. It has: net, Net, Wide, build, broken, loose, weights. Did you mean",
        ),
    ],
)
def test_what_is_not_a_network_is_one_sentence(code, name, error, sentence):
    with pytest.raises(error) as caught:
        code(name)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "net.pt",
            "net.pt: holds weights or a pickle, not the code of a network. Give file.py:name that builds",
        ),
        ("net.pkl", "net.pkl: is a pickle, which unbend does not open: that would run its code."),
        ("net.safetensors", "net.safetensors: holds weights, not the code of a network."),
        (
            "net.onnx",
            "net.onnx: is not a network unbend can open. Expected file.py:name, package.module:name, a",
        ),
        (
            "gone.pt2",
            "gone.pt2: no such file or folder. Its folder has: net.onnx, net.pkl, net.pt, net.safetensors.",
        ),
    ],
)
def test_files_that_are_not_networks(tmp_path, name, sentence):
    for suffix in ("pt", "pkl", "safetensors", "onnx"):
        (tmp_path / f"net.{suffix}").write_bytes(b"x")
    with pytest.raises(LoadError) as caught:
        model(str(tmp_path / name))
    assert sentence in str(caught.value)


def saved(path, held):
    save_file(held, path) if path.suffix == ".safetensors" else torch.save(held, path)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_fill_the_factory(tmp_path, code, suffix):
    state = {"first.weight": torch.randn(5, 4), "first.bias": torch.randn(5)}
    got = code("build", weights=saved(tmp_path / f"w{suffix}", state))
    assert all(torch.equal(part, state[name]) for name, part in got.state_dict().items())


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_checkpoints_and_prefixes(tmp_path, code, key, prefix):
    state = {"first.weight": torch.randn(5, 4), "first.bias": torch.randn(5)}
    held = {f"{prefix}{name}": part for name, part in state.items()}
    got = code("build", weights=saved(tmp_path / "w.pt", held if key is None else {key: held, "epoch": 3}))
    assert torch.equal(got.first.weight, state["first.weight"])


def lightning_checkpoint(state, prefix="net."):
    """What Lightning's trainer writes."""
    return {
        "epoch": 3, "global_step": 120, "pytorch-lightning_version": "2.5.0", "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{}": {"best_model_score": torch.tensor(0.1)}}, "lr_schedulers": [],
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3}]}],
        "hparams_name": "kwargs", "hyper_parameters": {"width": 5},
        "state_dict": {f"{prefix}{name}": part for name, part in state.items()},
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "net.", "model.encoder."])
def test_the_checkpoint_of_a_lightning_trainer_fills_the_network_it_trained(tmp_path, code, prefix):
    state = {"first.weight": torch.randn(5, 4), "first.bias": torch.randn(5)}
    got = code("build", weights=saved(tmp_path / "last.ckpt", lightning_checkpoint(state, prefix)))
    assert all(torch.equal(part, state[name]) for name, part in got.state_dict().items())


def test_what_else_a_lightning_checkpoint_holds_is_named(tmp_path, code):
    state = {"net.first.weight": torch.zeros(5, 4), "net.first.bias": torch.zeros(5), "loss.weight": torch.zeros(2)}
    with pytest.raises(LoadError, match=r"extra net\.first\.weight, net\.first\.bias, loss\.weight"):
        code("build", weights=saved(tmp_path / "last.ckpt", lightning_checkpoint(state, "")))


def test_a_prefix_that_the_network_has_itself_stays(tmp_path):
    (tmp_path / "nets.py").write_text(
        "from torch import nn\nnet = nn.Sequential()\nnet.add_module('model', nn.Linear(2, 1))\n"
    )
    state = {"model.weight": torch.ones(1, 2), "model.bias": torch.ones(1)}
    got = model(f"{tmp_path / 'nets.py'}:net", weights=saved(tmp_path / "w.pt", state))
    assert torch.equal(got.model.weight, torch.ones(1, 2))


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"first.weight": torch.zeros(5, 4)}, "does not fit Net: missing first.bias."),
        (
            {"first.weight": torch.zeros(5, 4), "first.bais": torch.zeros(5)},
            "missing first.bias; extra first.bais.",
        ),
        (
            {"first.weight": torch.zeros(4, 5), "first.bias": torch.zeros(5)},
            "does not fit Net: first.weight is [4, 5] in the file, [5, 4] in the network.",
        ),
        ({f"layer{i}": torch.zeros(1) for i in range(9)}, "layer4, layer5 and 3 more."),
        ({"epoch": 3}, "expected a state dict (names to tensors), got a dict with epoch."),
        ({}, "got a dict with nothing in it."),
        ([torch.zeros(1)], "got list."),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(tmp_path, code, state, sentence):
    with pytest.raises(LoadError) as caught:
        code("build", weights=saved(tmp_path / "w.pt", state))
    assert str(caught.value).startswith(f"{tmp_path / 'w.pt'}: ")
    assert sentence in str(caught.value)


def test_a_network_is_left_alone_by_weights_that_do_not_fit(tmp_path, code):
    before = {name: part.clone() for name, part in code("net").state_dict().items()}
    state = {
        "0.weight": torch.zeros(3, 4),
        "0.bias": torch.zeros(3),
        "2.weight": torch.zeros(9, 9),
        "2.bias": torch.zeros(2),
    }
    with pytest.raises(LoadError, match=r"2\.weight is \[9, 9\]"):
        code("net", weights=saved(tmp_path / "w.pt", state))
    assert all(torch.equal(part, before[name]) for name, part in code("net").state_dict().items())


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickles_are_refused_and_not_run(tmp_path, code):
    torch.save(nn.Linear(4, 5), tmp_path / "whole.pt")
    torch.save({"a": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    for name in ("whole", "bomb", "old"):
        with pytest.raises(LoadError, match=r"pickled Python objects.*torch\.save\(model\.state_dict\(\)"):
            code("build", weights=tmp_path / f"{name}.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_archive_is_named(tmp_path, code):
    torch.jit.trace(nn.Linear(4, 5), torch.zeros(1, 4)).save(tmp_path / "script.pt")
    with pytest.raises(LoadError, match=r"script\.pt: is a TorchScript archive"):
        code("build", weights=tmp_path / "script.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_weights_are_one_sentence(tmp_path, code, suffix):
    path = saved(tmp_path / f"w{suffix}", {"first.weight": torch.zeros(5, 4), "first.bias": torch.zeros(5)})
    content = path.read_bytes()
    for part in (b"", b"hello", content[:30], content[: len(content) // 2], content[:-3]):
        path.write_bytes(part)
        with pytest.raises(LoadError, match="is damaged or cut short, or not a file of weights"):
            code("build", weights=path)


def test_weights_missing_or_of_another_kind_or_for_an_archive(tmp_path, code):
    with pytest.raises(LoadError, match=r"gone\.pt: no such file of weights"):
        code("build", weights=tmp_path / "gone.pt")
    (tmp_path / "w.h5").write_bytes(b"")
    with pytest.raises(LoadError, match=r"w\.h5: expected weights in one of \.pt, \.pth, \.safetensors"):
        code("build", weights=tmp_path / "w.h5")
    with pytest.raises(LoadError, match="weights are for a network that code builds"):
        model(str(tmp_path / "a.pt2"), weights=tmp_path / "w.pt")
