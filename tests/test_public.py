"""The public names: what editors are told is what Python finds."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import unbend


def told():
    """Name → (module, name there), of the imports for type checkers."""
    tree = ast.parse(Path(unbend.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {line.names[0].asname: (line.module, line.names[0].name) for line in block.body}


def test_editors_are_told_of_every_name_and_where_it_is():
    assert told().keys() - unbend._HOME.keys() == {"report", "study"}
    assert {name: place for name, place in told().items() if name in unbend._HOME} == unbend._HOME


def test_every_name_is_found():
    for name, (module, attribute) in unbend._HOME.items():
        assert getattr(unbend, name) is getattr(import_module(module), attribute)
    assert set(unbend.__all__) <= set(dir(unbend))


def test_importing_unbend_is_cheap():
    code = "import sys, unbend; assert not {'torch', 'numpy', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
