"""What stands before every reader: kinds of files, declared sizes, and what weights may be."""

import os
import socket
import zipfile

import numpy as np
import pytest
import torch

from unbend.errors import LoadError
from unbend.load import data, model
from unbend.load.guard import check_size, memory

NET = "from torch import nn\ndef net():\n    return nn.Linear(2, 1)\n"


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.npy", "a.parquet"])
def test_a_pipe_is_refused_before_it_is_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(LoadError, match="expected a file, got a named pipe"):
        data(str(tmp_path / name), label="k" if name.endswith(("csv", "parquet")) else None)


def test_devices_sockets_and_circles_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    (tmp_path / "round.npz").symlink_to("round.npz")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("s.npz")
        for name, word in (("zero", "a device"), ("s", "a socket"), ("round", "Too many levels of symbolic links")):
            with pytest.raises(LoadError, match=word):
                data(f"{name}.npz")


def test_a_size_is_judged_by_the_file_and_by_the_memory():
    check_size("a", 10, most=10)
    with pytest.raises(LoadError, match="its header declares 11 bytes, but it holds 10"):
        check_size("a", 11, most=10)
    with pytest.raises(LoadError, match="more than the"):
        check_size("a", memory() + 1)


def test_a_header_that_declares_the_moon_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    content = (tmp_path / "x.npy").read_bytes().replace(b"(4, 2), }      ", b"(4, 2000000000)")
    content = content.replace(b"(4, 2000000000)", b"(4,2000000000)}")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(LoadError, match="declares 64,000,000,000 bytes"):
        data(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("weight", "word"),
    [
        (torch.zeros(1, 2).to_sparse(), "is sparse"),
        (torch.zeros(1, 2, device="meta"), "meta device"),
        (torch.zeros(1, 2, dtype=torch.complex64), "would lose a part of every number"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path, weight, word):
    (tmp_path / "nets.py").write_text(NET)
    torch.save({"weight": weight, "bias": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(LoadError, match=word):
        model(f"{tmp_path / 'nets.py'}:net", weights=tmp_path / "w.pt")


def test_names_of_weights_are_text(tmp_path):
    (tmp_path / "nets.py").write_text(NET)
    torch.save({1: torch.zeros(1, 2)}, tmp_path / "w.pt")
    with pytest.raises(LoadError, match="names are text, got the int 1"):
        model(f"{tmp_path / 'nets.py'}:net", weights=tmp_path / "w.pt")


def test_a_flipped_bit_in_weights_is_noticed(tmp_path):
    (tmp_path / "nets.py").write_text(NET)
    torch.save({"weight": torch.full((1, 2), 7.5), "bias": torch.zeros(1)}, tmp_path / "w.pt")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    content[content.index(np.full(2, 7.5, np.float32).tobytes())] ^= 1
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(LoadError, match="does not match its checksum"):
        model(f"{tmp_path / 'nets.py'}:net", weights=tmp_path / "w.pt")
