"""Exact regions against regioncam: the same networks, the same box, full meshes, identical counts, one run.

    python benchmarks/cells.py [--quick] [--all] [--only NET] [--threads 2]

Prints a Markdown table. Times are medians of interleaved runs; ratios are within one process. `cpu` is the
ratio of processor seconds, which a busy machine distorts less. What the peer stores that we do not: the
activations of every vertex and the 3 x width map of every face, for every layer; we store the mesh, the hinge of
every edge and both faces of every edge, and compute patterns and maps when asked. What the peer does not
have: float64, ties decided in exact arithmetic, certificates.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from unbend.capture.lower import lower
from unbend.numerics.cells import Plane, cells, count_cells, warm_up

SQUARE = Plane.box((-1.0, -1.0), (1.0, 1.0))
NETS = {
    "32x2": [32] * 2, "64x3": [64] * 3, "128x3": [128] * 3, "64x10": [64] * 10, "256x3": [256] * 3,
    "512x3": [512] * 3, "1000x1": [1000],
}  # fmt: skip
KNOWN = {"32x2": 795, "64x3": 6668, "128x3": 20714, "64x10": 8392, "256x3": 79783, "512x3": 358790, "1000x1": 176967}
SLOW_PEER = {"512x3", "1000x1"}  # minutes and up to 18 GB: only with --all


def network(widths: list[int]) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out in zip([2, *widths], widths, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def moons(widths: list[int], steps: int = 800) -> nn.Sequential:
    from sklearn.datasets import make_moons

    x, y = make_moons(1000, noise=0.1, random_state=0)
    x = (x - x.mean(0)) / np.abs(x - x.mean(0)).max()
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
    model = network(widths)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
    return model


def peer(model: nn.Sequential) -> Callable[[], int]:
    import regioncam
    from regioncam import nn as peer_nn

    layers = []
    for module in list(model)[:-1]:
        if isinstance(module, nn.Linear):
            layers.append(peer_nn.Linear(module.weight.detach().numpy().T.copy(), module.bias.detach().numpy()))
        else:
            layers.append(peer_nn.ReLU())

    def run() -> int:
        regions = regioncam.Regioncam(size=1.0)
        regions.add(peer_nn.Sequential(*layers))
        return regions.num_faces

    return run


def timed(run: Callable[[], int], times: int = 1) -> tuple[float, float, int]:
    """Wall and processor seconds of one call, the mean of several in a row, and what it found."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        found = run()
    return (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times, found


def calls(run: Callable[[], int], least: float = 0.02) -> int:
    """How often to call in a row, as `timeit` does, so that a turn takes `least` seconds."""
    run()
    return max(1, round(least / max(timed(run)[0], 1e-6)))


def compare(name: str, model: nn.Sequential, threads: int, *, with_peer: bool, repeats: int) -> str:
    net = lower(model, (2,))

    def ours() -> int:
        return cells(net, SQUARE, threads=threads).n_faces

    theirs = peer(model) if with_peer else None
    times, others = calls(ours), calls(theirs) if theirs else 0
    rows = [(timed(ours, times), timed(theirs, others) if theirs else None) for _ in range(repeats)]
    mine = statistics.median(a[0] for a, _ in rows)
    n = rows[0][0][2]
    assert KNOWN.get(name, n) == n
    count = lambda: count_cells(net, SQUARE, threads=threads)  # noqa: E731
    times = calls(count)
    counted = statistics.median(timed(count, times)[0] for _ in range(5))
    cells_ = f"| {name} | {n:,} | {1e3 * mine:.2f} | {n / mine / 1e6:.2f} | {1e3 * counted:.2f} |"
    if theirs is None:
        return cells_ + " | | |"
    other = statistics.median(b[0] for _, b in rows)
    cpu = statistics.median(b[1] for _, b in rows) / max(1e-9, statistics.median(a[1] for a, _ in rows))
    same = "same" if rows[0][1][2] == n else f"**{rows[0][1][2]:,}**"
    return cells_ + f" {1e3 * other:.2f} ({same}) | {other / mine:.1f} | {cpu:.1f} |"


def peak(name: str, which: str) -> float:
    """Extra resident memory of one run in a fresh process, in MB."""
    out = subprocess.run([sys.executable, __file__, "--peak", name, which], capture_output=True, text=True, check=True)
    return float(out.stdout.strip().splitlines()[-1])


def _peak(name: str, which: str) -> None:
    small, model = network([4]), network(NETS[name])
    runs = {"ours": lambda m: lambda: cells(lower(m, (2,)), SQUARE).n_faces, "peer": peer}
    if which == "ours":
        warm_up()
    runs[which](small)()
    Path("/proc/self/clear_refs").write_text("5")  # the kernel forgets the highest mark so far
    before = _high_mark()
    runs[which](model)()
    print((_high_mark() - before) / 1024)


def _high_mark() -> int:
    """The largest resident memory of this process since the mark was cleared, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="only networks below a second")
    options.add_argument("--all", action="store_true", help="also where the peer takes minutes")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--only", default="", help="networks whose name starts so")
    options.add_argument("--peak", nargs=2)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    if chosen.peak:
        _peak(*chosen.peak)
        return
    print(f"kernels ready after {warm_up():.1f} s (compiled once per machine, then cached on disk)\n")
    print("| net | regions | ms | M regions/s | count only, ms | regioncam, ms | x faster | x cpu |")
    print("|---|---|---|---|---|---|---|---|")
    nets = {name: network(widths) for name, widths in NETS.items()}
    nets |= {"moons 32x2": moons([32] * 2), "moons 64x3": moons([64] * 3)}
    for name, model in nets.items():
        big = name in SLOW_PEER or name == "256x3"
        if (chosen.quick and big) or not name.startswith(chosen.only):
            continue
        with_peer = chosen.all or name not in SLOW_PEER
        print(compare(name, model, chosen.threads, with_peer=with_peer, repeats=3 if big else 9), flush=True)
    if not chosen.quick and not chosen.only:
        ours, theirs = peak("256x3", "ours"), peak("256x3", "peer")
        print(f"\npeak extra memory at 256x3: ours {ours:.0f} MB, regioncam {theirs:.0f} MB")


if __name__ == "__main__":
    main()
