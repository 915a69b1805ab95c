"""The user's code is run once, with her folder on the path, and its own errors are shown."""

import subprocess
import sys

import pytest

from unbend.errors import LoadError
from unbend.load.python import is_code, value


def ready(found):
    return not callable(found)


def put(folder, text, name="mine.py"):
    (folder / name).write_text(text)
    return str(folder / name)


def test_value_factory_and_dotted_name(tmp_path):
    path = put(tmp_path, "a = 3\ndef f():\n    return 4\nclass Box:\n    inside = 5\n")
    assert [value(f"{path}:{name}", is_ready=ready) for name in ("a", "f", "Box.inside")] == [3, 4, 5]


def test_siblings_can_be_imported_at_the_top_and_inside_a_factory(tmp_path):
    put(tmp_path, "number = 6\n", "beside_one.py")
    put(tmp_path, "number = 7\n", "beside_two.py")
    path = put(tmp_path, "import beside_one\ndef f():\n    import beside_two\n    return beside_two.number\n")
    before = list(sys.path)
    assert value(f"{path}:f", is_ready=ready) == 7
    assert sys.path == before


def test_the_path_is_restored_after_an_error(tmp_path):
    before = list(sys.path)
    with pytest.raises(LoadError):
        value(f"{put(tmp_path, '1 / 0')}:a", is_ready=ready)
    assert sys.path == before


def test_a_path_the_code_adds_itself_stays(tmp_path):
    path = put(tmp_path, "import sys\nsys.path.append('/added/by/user')\na = 1\n")
    value(f"{path}:a", is_ready=ready)
    assert sys.path.pop() == "/added/by/user"


def test_a_file_runs_once_until_it_changes(tmp_path):
    path = put(tmp_path, "a = []\nb = a\n")
    first = value(f"{path}:a", is_ready=ready)
    assert value(f"{path}:b", is_ready=ready) is first
    put(tmp_path, "a = [1]\nb = a\n")
    assert value(f"{path}:a", is_ready=ready) == [1]


def test_files_of_the_same_name_do_not_meet(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        put(tmp_path / name, f"a = {name!r}\n")
    assert [value(f"{tmp_path / name / 'mine.py'}:a", is_ready=ready) for name in ("one", "two")] == [
        "one",
        "two",
    ]


def test_the_module_can_be_found_by_its_classes(tmp_path):
    path = put(tmp_path, "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 1\np = P()\n")
    found = value(f"{path}:p", is_ready=ready)
    assert vars(sys.modules[type(found).__module__])["P"] is type(found)


def test_main_blocks_do_not_run(tmp_path):
    path = put(tmp_path, "a = 1\nif __name__ == '__main__':\n    a = 2\n")
    assert value(f"{path}:a", is_ready=ready) == 1


def test_a_package_of_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "pack_here").mkdir()
    put(tmp_path / "pack_here", "a = 9\n", "nets.py")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert value("pack_here.nets:a", is_ready=ready) == 9
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        (
            "def f():\n    return 1 / 0\n",
            "f",
            "mine.py:f: calling it raised ZeroDivisionError: division by zero (line 2 of",
        ),
        ("import math\n\nmath.sqrt(-1)\n", "a", "mine.py: running it raised ValueError: "),
        ("import math\n\nmath.sqrt(-1)\n", "a", "(line 3 of mine.py)."),
        ("def f(:\n", "f", "mine.py: running it raised SyntaxError: "),
        (
            "import not_there_at_all\n",
            "a",
            "ModuleNotFoundError: No module named 'not_there_at_all' (line 1 of mine.py).",
        ),
        ("import sys\nsys.exit('no')\n", "a", "running it raised SystemExit: no"),
        ("raise RuntimeError\n", "a", "running it raised RuntimeError (line 1"),
        ("net = 1\n_own = 2\n", "ent", "mine.py: no 'ent' in it. It has: net. Did you mean 'net'?"),
        ("class Zoo:\n    small = 1\n", "Zoo.smal", "no 'smal' in it. It has: small. Did you mean 'small'?"),
        (
            "def f(width, *, depth): ...\n",
            "f",
            "mine.py:f: needs arguments (missing a required argument: 'width'). Name",
        ),
        (
            "class N:\n    def __init__(self, width): ...\n",
            "N",
            "needs arguments (missing a required argument: 'width')",
        ),
    ],
)
def test_errors_of_the_code_are_shown(tmp_path, text, name, sentence):
    with pytest.raises(LoadError) as caught:
        value(f"{put(tmp_path, text)}:{name}", is_ready=ready)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_raised_runs_again(tmp_path):
    path = put(tmp_path, "from pathlib import Path\na = Path(__file__).with_name('here').read_text()\n")
    with pytest.raises(LoadError, match="FileNotFoundError"):
        value(f"{path}:a", is_ready=ready)
    (tmp_path / "here").write_text("now")
    assert value(f"{path}:a", is_ready=ready) == "now"


def test_interrupts_pass(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        value(f"{put(tmp_path, 'raise KeyboardInterrupt')}:a", is_ready=ready)


def test_a_file_without_a_name_tells_its_names_without_running(tmp_path):
    path = put(tmp_path, "net = 1 / 0\ndef build(): ...\nclass Net: ...\n")
    with pytest.raises(LoadError, match=r"mine\.py: expected FILE\.py:NAME\. It has: build, Net, net\."):
        value(path, is_ready=ready)
    with pytest.raises(LoadError, match=r"mine\.py: invalid syntax"):
        value(put(tmp_path, "1 +* 2"), is_ready=ready)


def test_missing_files_and_packages(tmp_path):
    path = put(tmp_path, "")
    with pytest.raises(LoadError, match=r"mime\.py: no such file\. Its folder has: mine\.py\. Did you mean"):
        value(path.replace("mine", "mime") + ":a", is_ready=ready)
    with pytest.raises(LoadError, match=r"no such file\. Its folder has none\."):
        value("/not/there.py:a", is_ready=ready)
    with pytest.raises(LoadError, match=r"torch\.nott: no module named 'torch\.nott' here"):
        value("torch.nott:a", is_ready=ready)


def test_a_package_that_raises(tmp_path, monkeypatch):
    put(tmp_path, "import torch\n\nbroken = 1 / 0\n", "raising_here.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoadError, match=r"importing it raised ZeroDivisionError.*\(line 3 of raising_here\.py\)"):
        value("raising_here:a", is_ready=ready)


@pytest.mark.parametrize("spec", ["C:/nets/file.npz", "digits", "a.npz:x y", "a b:c", "x.npy,y.npy", ""])
def test_what_is_no_code(spec):
    assert not is_code(spec)


def test_paths_with_spaces_and_drives_are_code():
    assert is_code("C:/my nets/net.py:build")


def two(tmp_path, helper, text):
    """Files in two folders, each beside a helper of the same name with another number."""
    found = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / helper).parent.mkdir(parents=True)
        (folder / helper).write_text(f"number = {number}\n")
        found.append(put(folder, text))
    return found


@pytest.mark.parametrize(
    ("helper", "text"),
    [
        ("shared_helper.py", "import shared_helper as h\n"),
        ("shared_package/__init__.py", "import shared_package as h\n"),
        ("shared_parts/inner.py", "from shared_parts import inner as h\n"),
        ("shared_late.py", "h = None\n"),
    ],
)
def test_helpers_of_one_name_in_two_folders_do_not_meet(tmp_path, helper, text):
    late = "def f():\n    import shared_late\n    return shared_late.number\n"
    text += late if helper == "shared_late.py" else "def f():\n    return h.number\n"
    first, second = two(tmp_path, helper, text)
    assert [value(f"{path}:f", is_ready=ready) for path in (first, second, first, second)] == [1, 2, 1, 2]


def test_a_helper_stays_for_code_that_asks_for_it_later(tmp_path):
    put(tmp_path, "number = 8\n", "asked_later.py")
    path = put(tmp_path, "import asked_later\ndef f(x=0):\n    import asked_later\n    return asked_later.number\n")
    assert value(f"{path}:f", is_ready=callable)() == 8


SHADOWS = ("statistics", "numpy", "random", "typing_extensions")


@pytest.mark.parametrize("start", ["python -m unbend", "the console script"])
def test_files_of_the_working_directory_do_not_shadow_modules(tmp_path, tmp_path_factory, start):
    script = put(tmp_path_factory.mktemp("bin"), "from unbend.cli import main\nmain()\n")
    command = ["-m", "unbend"] if start.startswith("python") else [script]
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file in the working directory ran')\n")
    put(tmp_path, "from torch import nn\nimport numpy, random, statistics\nnet = nn.Linear(64, 10)\n")
    whole = ["report", "mine.py:net", "digits", "--no-twin"]
    # once begun, both are the same; of a module, the folder is on the path from its start
    for words in (*([whole] if start.startswith("python") else []), ["report", "mine.py:missing", "digits"]):
        done = subprocess.run([sys.executable, *command, *words], cwd=tmp_path, capture_output=True, text=True,
                              timeout=300, check=False)  # fmt: skip
        assert "the file in the working directory ran" not in done.stdout + done.stderr
        assert done.returncode == (2 if "mine.py:missing" in words else 0), done.stderr
