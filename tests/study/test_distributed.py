"""Two processes that torchrun starts, or that are told what it tells, make the study one makes."""

import os
import socket
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest
import torch
from tests.children import script, start

from unbend.errors import DataError
from unbend.study.ranks import Share, gather, joined, share, total

SCRIPT = """
import os
import sys
import torch
from torch import nn
from unbend.errors import DataError
from unbend.record import open, save
from unbend.study.ranks import joined
from unbend.study.study import study

torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
x = torch.randn(301, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
with joined() as is_writer:
    found = study(model, (x, y), loss=nn.functional.cross_entropy, batch_size=64, trials=False)
    if is_writer:
        save(found, sys.argv[1])
    x[7] = torch.nan
    try:
        study(model, torch.utils.data.TensorDataset(x, y))
    except DataError as error:
        os.write(1, f"refused: {error} ".encode())  # one write: two ranks share the pipe
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ranks(folder, *words, n=2, **env):
    """`run.py WORDS` as that many ranks, each told what torchrun tells it."""
    port = str(free_port())
    told = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **env}
    return [
        start(script, "run.py", *words, cwd=folder, env={**told, "WORLD_SIZE": str(n), "RANK": str(rank)})
        for rank in range(n)
    ]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "run.py").write_text(SCRIPT)
    done = [rank.ended() for rank in (*ranks(folder, "two.unbend"), *ranks(folder, "one.unbend", n=1))]
    assert [rank.returncode for rank in done] == [0, 0, 0], done[0].stderr[-2000:]
    return folder, "".join(rank.stdout for rank in done[:2])


def launcher() -> list[str]:
    port = f"--master_port={free_port()}"
    return [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1", port]


def test_the_command_line_under_torchrun_writes_one_page_and_one_study(tmp_path):
    from unbend.record import open as opened

    (tmp_path / "m.py").write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))\n"
    )
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(301, 4)).astype(np.float32), y=np.arange(301) % 3)
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "COLUMNS": "160"}
    words = ["-m", "unbend", "report", "m.py:net", "d.npz", "-o", "page.html", "--save", "two.unbend"]
    two = subprocess.run([*launcher(), *words], cwd=tmp_path, env=quiet, capture_output=True, text=True,
                         timeout=300, check=False)  # fmt: skip
    assert two.returncode == 0, two.stderr[-2000:]
    assert two.stdout.count("m.py:net on d.npz") == 1
    assert two.stderr.count("Wrote") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "d.npz", "m.py", "page.html", "two.unbend",
    ]  # fmt: skip
    about = opened(tmp_path / "two.unbend").about
    assert about.n_train + about.n_held_out == 301


def test_two_ranks_make_the_study_of_one(ran):
    from unbend.record import open as opened

    folder, _ = ran
    one, two = opened(folder / "one.unbend"), opened(folder / "two.unbend")
    assert (one.about.n_train, one.about.n_held_out) == (two.about.n_train, two.about.n_held_out)
    for a, b in zip(one.layers, two.layers, strict=True):
        assert a.results.keys() == b.results.keys()
        assert torch.equal(*(torch.from_numpy(v.results["readout"].correct) for v in (a, b)))
        assert a.results["moments"].rms == pytest.approx(b.results["moments"].rms, rel=1e-12)
        assert a.results["scatter"].fisher == pytest.approx(b.results["scatter"].fisher, rel=1e-9)
        assert a.twin["readout"].held_out == b.twin["readout"].held_out
    assert one.across["similarity"].cka == pytest.approx(two.across["similarity"].cka, rel=1e-9)
    assert one.across["gradients"].norm == pytest.approx(two.across["gradients"].norm, rel=1e-9)
    assert one.across["gradients"].n == two.across["gradients"].n
    assert [f.title for f in one.findings] == [f.title for f in two.findings]


def test_what_one_rank_refuses_all_refuse(ran):
    assert ran[1].count("refused: data: ") == 2
    assert ran[1].count("row 7") == 2


def test_one_process_is_its_only_rank():
    assert share() == Share(0, 1)
    assert gather(lambda: 3, share()) == [3]
    assert total(lambda: {"a": {"S": 1}}, share()) == {"a": {"S": 1}}
    with joined() as is_writer:
        assert is_writer
    with pytest.raises(DataError):
        gather(_refuse, share())


def _refuse():
    raise DataError("no.")


LOST = """
import os, sys, time
import torch
from torch import nn
from unbend.errors import RankError
from unbend.study.ranks import joined
from unbend.study.study import study

def lose(x):
    if os.environ["RANK"] == "1":
        os._exit(3) if sys.argv[1] == "dies" else time.sleep(60)

torch.set_num_threads(1)
net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
with joined():
    if sys.argv[2] == "late":
        study(net, (x, (x[:, 0] > 0).long()), twin=False)
    lose(x)
    try:
        study(net, (x, (x[:, 0] > 0).long()), twin=False)
    except RankError as error:
        print(error, flush=True)
        os._exit(7)
"""


CASES = [("dies", "early"), ("dies", "late"), ("sleeps", "late")]


@pytest.fixture(scope="session", autouse=True)
def lost(tmp_path_factory):
    """The ranks of each case, begun with the first test of the file: they wait for each other while others run."""
    folder = tmp_path_factory.mktemp("lost")
    (folder / "run.py").write_text(LOST)
    begun = {case: ranks(folder, *case, UNBEND_PATIENCE="8") for case in CASES}
    yield begun
    for rank in chain.from_iterable(begun.values()):
        rank.kill()


@pytest.mark.last
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_rank_that_is_lost_gives_the_others_a_sentence(lost, case):
    done = lost[case][0].ended(timeout=120)
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("ranks: rank 0 of 2 waits for one that has died or is stuck (")
    assert done.stdout.count("\n") == 1
