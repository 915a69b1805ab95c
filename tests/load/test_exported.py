"""Archives of torch.export: real ones, whose submodules take hooks, and damaged or dangerous ones."""

import io
import pickle
import zipfile

import pytest
import torch
from torch import nn
from torch.export import Dim

from unbend.errors import LoadError, ModelError
from unbend.load import model

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(8, 8)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.lin(x)) + x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block()
        self.norm = nn.BatchNorm1d(8)
        self.shared = Block()
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.shared(self.shared(self.norm(self.first(x)))))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    torch.manual_seed(0)
    net = Net().eval()
    path = tmp_path_factory.mktemp("export") / "net.pt2"
    torch.export.save(torch.export.export(net, (torch.randn(4, 8),), dynamic_shapes=({0: Dim("batch")},)), path)
    return net, path


def test_it_computes_the_same_for_any_batch(archive):
    net, path = archive
    got = model(str(path))
    for n in (1, 5, 33):
        x = torch.randn(n, 8)
        assert torch.equal(got(x), net(x))


def test_submodules_keep_their_paths_and_hooks_on_all_of_them_fire(archive):
    net, path = archive
    got = model(str(path))
    assert {name for name, _ in got.named_modules()} == {name for name, _ in net.named_modules()}
    x = torch.randn(5, 8)
    fired = {}
    for which, module in (("old", net), ("new", got)):
        calls = fired[which] = []
        handles = [
            part.register_forward_hook(lambda _m, _i, out, name=name, calls=calls: calls.append((name, out.clone())))
            for name, part in module.named_modules()
        ]
        module(x)
        for handle in handles:
            handle.remove()
    assert [name for name, _ in fired["new"]] == [name for name, _ in fired["old"]]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(fired["new"], fired["old"], strict=True))
    assert [name for name, _ in fired["new"]].count("shared.lin") == 2


def test_the_class_each_part_was_exported_from_is_known(archive):
    got = model(str(archive[1]))
    assert got.get_submodule("first.lin").type_name() == "torch.nn.modules.linear.Linear"
    assert got.get_submodule("first.act").type_name() == "torch.nn.modules.activation.ReLU"


def test_parameters_are_those_of_the_network(archive):
    net, path = archive
    got = dict(model(str(path)).named_parameters())
    assert all(torch.equal(got[name], part) for name, part in net.named_parameters())


def test_one_batch_size_only_is_refused(tmp_path):
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.randn(4, 3),)), tmp_path / "a.pt2")
    with pytest.raises(ModelError, match=r"exported for batches of exactly 4 rows. Export it with dynamic_shapes="):
        model(str(tmp_path / "a.pt2"))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.999])
def test_truncated_archives_are_one_sentence(archive, tmp_path, share):
    content = archive[1].read_bytes()
    (tmp_path / "a.pt2").write_bytes(content[: int(share * len(content))])
    with pytest.raises(LoadError, match=r"a\.pt2: is .*cut short"):
        model(str(tmp_path / "a.pt2"))


def test_flipped_bytes_are_one_sentence(archive, tmp_path):
    content = bytearray(archive[1].read_bytes())
    at = content.find(b"graph_module")
    content[at] ^= 0xFF
    (tmp_path / "a.pt2").write_bytes(content)
    with pytest.raises(LoadError, match=r"models/model\.json does not match its checksum"):
        model(str(tmp_path / "a.pt2"))


def changed(source, target, **parts):
    """The archive with some parts replaced or added, by the ends of their names."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, next((parts.pop(end) for end in list(parts) if name.endswith(end)), old.read(name)))
        root = old.namelist()[0].split("/")[0]
        for name, content in parts.items():
            new.writestr(f"{root}/{name}", content)
    return str(target)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_parts_that_would_run_code_are_refused(archive, tmp_path):
    buffer = io.BytesIO()
    torch.save(Bomb(tmp_path / "exploded"), buffer)
    bomb = buffer.getvalue()
    with pytest.raises(LoadError, match=r"sample_inputs/model\.pt is not plain tensors"):
        model(changed(archive[1], tmp_path / "a.pt2", **{"sample_inputs/model.pt": bomb}))
    pickled = pickle.dumps(Bomb(tmp_path / "exploded"))
    with pytest.raises(LoadError, match=r"compiled code or pickled objects \(.*opaque_obj_0\)"):
        model(changed(archive[1], tmp_path / "b.pt2", **{"data/constants/opaque_obj_0": pickled}))
    with pytest.raises(LoadError, match=r"compiled code or pickled objects \(.*model\.so\)"):
        model(changed(archive[1], tmp_path / "c.pt2", **{"data/aotinductor/model/model.so": b"ELF"}))
    assert not (tmp_path / "exploded").exists()


def test_what_torch_cannot_read_is_one_sentence(archive, tmp_path):
    with pytest.raises(LoadError, match=r"a\.pt2: torch cannot read it: "):
        model(changed(archive[1], tmp_path / "a.pt2", **{"models/model.json": b"{}"}))
    with zipfile.ZipFile(tmp_path / "b.pt2", "w") as other:
        other.writestr("notes", "hello")
    with pytest.raises(LoadError, match=r"is a zip, but not one that torch\.export\.save wrote"):
        model(str(tmp_path / "b.pt2"))
