"""Many small networks at once against a Python loop of ordinary torch trainings.

    python benchmarks/many_nets.py            the table of docs/zoo.md
    python benchmarks/many_nets.py --quick    fewer steps, for a look

One thread, full-batch Adam, 500 samples, processor time. Contenders take turns in one process, `ROUNDS` times; a
ratio is taken within each round, and the table shows the median over the rounds with the extremes. The loop is
timed on a few nets and steps and scaled: its cost per step does not depend on how many nets wait. Compilation is
timed apart, by a process with an empty cache.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from torch import nn

from unbend import zoo

ROUNDS = 3
CASES = [
    ((2, 8, 8, 1), "tanh", 1),
    ((2, 8, 8, 1), "tanh", 64),
    ((2, 8, 8, 1), "tanh", 512),
    ((2, 8, 8, 1), "relu", 512),
    ((2, 8, 8, 1), "gelu", 512),
    ((2, 2, 1), "sigmoid", 512),
    ((2, 16, 16, 16, 1), "tanh", 64),
    ((2, 32, 32, 1), "relu", 64),
    ((2, 64, 64, 1), "relu", 16),
]


def loop(widths, activation, x, y, steps):
    """What everyone writes: one net after the other."""
    net = zoo.mlp(widths, activation=activation)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    target = y.float()[:, None]
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def fleet(engine):
    def run(widths, activation, x, y, steps, n=1):
        nets = [zoo.Net(widths, activation, seed=s) for s in range(n)]
        zoo.many(nets, x, y, zoo.Recipe(epochs=steps, rate=0.01), engine=engine)

    return run


def rate(run, work):
    """Steps of one net per second of processor time."""
    start = time.process_time()
    run()
    return work / (time.process_time() - start)


def compare(case, x, y, scale):
    widths, activation, n = case
    few = max(20, round(300 * scale))
    steps = max(20, round(min(1000, 20_000 / n) * scale))
    rows = []
    for _ in range(ROUNDS):
        base = rate(lambda: loop(widths, activation, x, y, few), few)
        found = [
            rate(lambda e=engine: fleet(e)(widths, activation, x, y, steps, n), steps * n)
            for engine in ("compiled", "batched")
        ]
        rows.append((base, *found))
    return rows


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def compile_seconds():
    code = (
        "import time, torch; from unbend import zoo\n"
        "x = torch.zeros(4, 2); y = torch.tensor([0, 1, 1, 0]); start = time.process_time()\n"
        "zoo.many([zoo.Net((2, 2, 1))], x, y, zoo.Recipe(epochs=1), engine='compiled')\n"
        "print(time.process_time() - start)"
    )
    with tempfile.TemporaryDirectory() as cache:
        env = os.environ | {"NUMBA_CACHE_DIR": cache}
        return [float(subprocess.check_output([sys.executable, "-c", code], env=env)) for _ in range(2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    scale = 0.2 if parser.parse_args().quick else 1.0
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 2, generator=generator)
    y = ((x[:, 0] * x[:, 1]) > 0).long()
    for engine in ("compiled", "batched"):
        fleet(engine)((2, 4, 1), "relu", x, y, 3)
    print("| net | nets | loop, steps/s | compiled, steps/s | batched, steps/s | compiled ÷ loop | batched ÷ loop |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        rows = compare(case, x, y, scale)
        loops, compiled, batched = (statistics.median(column) for column in zip(*rows, strict=True))
        name = f"{'-'.join(map(str, case[0]))} {case[1]}"
        ratios = [spread([row[i] / row[0] for row in rows]) for i in (1, 2)]
        print(f"| {name} | {case[2]} | {loops:,.0f} | {compiled:,.0f} | {batched:,.0f} | {ratios[0]} | {ratios[1]} |")
    first, later = compile_seconds()
    print(f"\nFirst call with an empty cache: {first:.1f} s of processor time; in a later process: {later:.2f} s.")


if __name__ == "__main__":
    main()
