"""No damaged file ends in anything but data or one sentence.

`UNBEND_FUZZ=10000 pytest tests/fuzz` is the long form: so many mutants over all readers.
"""

import gzip
import importlib.util
import os
import signal
import struct
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch import nn

import unbend
from unbend.errors import UnbendError
from unbend.load import data, model

_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
mutants = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutants)

LIMIT = 30
"""Seconds that reading one of them may take, on a busy machine."""
N = int(os.environ.get("UNBEND_FUZZ", "600"))
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 3
NETS = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))\n"


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _frame():
    return pd.DataFrame({"a": X[:, 0], "b": Y, "kind": np.array(["ant", "bee", "cow"])[Y]}, index=Y + 5)


def _put(folder: Path) -> None:
    """One good file for every reader."""
    np.savez(folder / "a.npz", x=X, y=Y, class_names=["ant", "bee", "cow"])
    np.savez_compressed(folder / "packed.npz", x_train=X, y_train=Y, x_test=X, y_test=Y)
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    _frame().to_csv(folder / "a.csv", index=False)
    _frame().to_csv(folder / "a.tsv", index=False, sep="\t")
    (folder / "a.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes(), mtime=0))
    _frame().to_parquet(folder / "a.parquet")
    for name, pack in (("idx", bytes), ("idx_gz", lambda content: gzip.compress(content, mtime=0))):
        (folder / name).mkdir()
        end = ".gz" if name == "idx_gz" else ""
        (folder / name / f"train-images{end}").write_bytes(pack(idx((X > 0).astype(np.uint8).reshape(12, 3, 1))))
        (folder / name / f"train-labels{end}").write_bytes(pack(idx(Y.astype(np.uint8))))
    (folder / "nets.py").write_text(NETS)
    torch.save(net().state_dict(), folder / "w.pt")
    torch.save(net().state_dict(), folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(net().state_dict(), folder / "w.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = ({0: torch.export.Dim("rows")},)
        torch.export.save(torch.export.export(net(), (torch.zeros(4, 3),), dynamic_shapes=free), folder / "net.pt2")
    _bert().save_pretrained(folder / "bert")


def _bert():
    config = transformers.BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16,
    )  # fmt: skip
    return transformers.BertModel(config)


READERS = {
    "a.npz": lambda p: data(str(p)),
    "packed.npz": lambda p: data(str(p)),
    "x.npy": lambda p: data(f"{p},{p.with_name('y.npy')}"),
    "a.csv": lambda p: data(str(p), label="kind"),
    "a.tsv": lambda p: data(str(p), label="kind"),
    "a.csv.gz": lambda p: data(str(p), label="kind"),
    "a.parquet": lambda p: data(str(p), label="kind"),
    "idx/train-images": lambda p: data(str(p.parent)),
    "idx_gz/train-images.gz": lambda p: data(str(p.parent)),
    "w.pt": lambda p: model(f"{p.with_name('nets.py')}:net", weights=p),
    "old.pth": lambda p: model(f"{p.with_name('nets.py')}:net", weights=p),
    "w.safetensors": lambda p: model(f"{p.with_name('nets.py')}:net", weights=p),
    "net.pt2": lambda p: model(str(p)),
    "bert/config.json": lambda p: model(str(p.parent)),
    "bert/model.safetensors": lambda p: model(str(p.parent)),
    "a.unbend": unbend.open,
}


class TookTooLong(BaseException):
    """A reader that does not come to an end."""


@contextmanager
def within(seconds):
    """Raise in what takes longer, and let no reader catch it."""

    def late(*_):
        raise TookTooLong(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("fuzz")
    torch.manual_seed(0)
    _put(place)
    x = torch.from_numpy(np.concatenate([X] * 4))
    unbend.save(unbend.study(net(), (x, torch.from_numpy(Y).repeat(4)), twin=False), place / "a.unbend")
    return place


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(folder, name):
    path, read = folder / name, READERS[name]
    good = path.read_bytes()
    read(path)
    broken, refused = [], 0
    try:
        for seed in range(-(-N // len(READERS))):
            path.write_bytes(mutants.mutant(good, seed))
            try:
                with within(LIMIT):
                    read(path)
            except UnbendError as error:
                refused += 1
                if "\n" in str(error):
                    broken.append(f"seed {seed}: more than one line: {error}")
            except (Exception, TookTooLong) as error:  # noqa: BLE001  every one is a defect, listed with its seed
                broken.append(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
    finally:
        path.write_bytes(good)
    assert not broken, "\n".join(broken)
    assert refused
