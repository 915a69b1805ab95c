"""A command never writes over what it reads."""

import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend.cli.main import main

NET = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3))\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(NET)
    x, y = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32), np.arange(90) % 3
    np.savez("d.npz", x=x, y=y)
    np.save("x.npy", x)
    np.save("y.npy", y)
    net = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3))
    torch.save(net.state_dict(), "w.pt")
    for name, ids in (("a.unbend", slice(0, 45)), ("b.unbend", slice(45, 90))):
        unbend.save(unbend.study(net, (torch.from_numpy(x[ids]), torch.from_numpy(y[ids])), twin=False), name)
    (tmp_path / "link.npz").symlink_to("d.npz")
    (tmp_path / "m.html").symlink_to("m.py")
    return tmp_path


REPORT = ("report", "m.py:net", "d.npz", "--weights", "w.pt", "--no-twin")


@pytest.mark.parametrize(
    "words",
    [
        (*REPORT, "-o", "d.npz"),
        (*REPORT, "-o", "m.py"),
        (*REPORT, "-o", "w.pt"),
        (*REPORT, "-o", "link.npz"),
        (*REPORT, "-o", "page.html", "--save", "w.pt"),
        ("report", "m.py:net", "x.npy,y.npy", "-o", "y.npy"),
        ("merge", "a.unbend", "b.unbend", "-o", "a.unbend"),
        ("merge", "a.unbend", "b.unbend", "-o", "./b.unbend"),
        ("regions", "m.py:net", "-o", "m.html"),
        ("show", "a.unbend", "-o", "a.unbend"),
    ],
)
def test_what_is_read_is_not_written_over(folder, capsys, words):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "is read by this command" in said or "is the same one" in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
