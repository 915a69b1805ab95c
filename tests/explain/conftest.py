"""Makes `explained.py` importable, as importlib mode puts no folder on the path; a folder to run commands in."""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

if "explained" not in sys.modules:
    spec = spec_from_file_location("explained", Path(__file__).with_name("explained.py"))
    sys.modules["explained"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["explained"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, where `net.py:model` is a small net and `data.npz` holds rows for it."""
    x, y = import_module("explained").rows()
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    (tmp_path / "net.py").write_text("from unbend import zoo\nmodel = zoo.mlp([4, 16, 3], seed=0)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return tmp_path


@pytest.fixture
def run(capsys):
    """`run(*words)`: what a command line that ends well prints."""

    def said(*words):
        with pytest.raises(SystemExit) as left:
            import_module("unbend.cli").main(list(words))
        assert not left.value.code
        return capsys.readouterr().out

    return said
