"""What a map of a layer costs beside the t-SNE in it: 10,000 rows of 128 columns, ours against plain openTSNE.

Ours is all that `unbend.maps` does for one layer and one method: the start, openTSNE, laying the map onto another,
ranks, trustworthiness, neighbours kept, accuracy by neighbours. The two take turns; processor time, since a shared
machine stretches seconds. The second number leaves out what a map is judged by.

    python benchmarks/maps.py [--rows 10000] [--columns 128] [--rounds 1]
"""

import argparse
import time

import numpy as np
import openTSNE
import torch

from unbend.explain.maps.maps import start_of
from unbend.numerics.embedding import PERPLEXITY, embedder
from unbend.numerics.neighbours import nearest, neighbour_accuracy, preservation, ranks, trustworthiness
from unbend.numerics.procrustes import displacement, turn, unit_size


def data(n: int, d: int):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, n)
    x = 2 * rng.normal(size=(10, d))[y] + rng.normal(size=(n, d))
    return x, y, np.arange(n) % 5 == 0


def plain(x, threads):
    return np.asarray(openTSNE.TSNE(perplexity=PERPLEXITY, random_state=0, n_jobs=threads).fit(x))


def ours(x, y, held_out, threads):
    clock = time.process_time()
    make = embedder("tsne", len(x), threads=threads)
    start = start_of(x - x.mean(0))
    points = turn(unit_size(make(x, start)), start)
    made = time.process_time() - clock
    of = ranks(x)
    near = nearest(points, of.anchors, 10)
    told = trustworthiness(of, near), preservation(of, near), neighbour_accuracy(points, y, held_out)
    neighbour_accuracy(x, y, held_out)
    displacement(points, start)
    return made, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    x, y, held_out = data(options.rows, options.columns)
    threads = torch.get_num_threads()
    times = []
    for _ in range(options.rounds):
        clock = time.process_time()
        plain(x, threads)
        first = time.process_time() - clock
        clock = time.process_time()
        made, told = ours(x, y, held_out, threads)
        times.append((first, made, time.process_time() - clock))
        print(f"plain {first:.1f} s, ours {times[-1][2]:.1f} s of which the map {made:.1f} s", flush=True)
    plain_s, made_s, ours_s = np.median(times, axis=0)
    quality = ", ".join(f"{value:.3f}" for value in told)
    print(f"maps | t-SNE {options.rows:,} x {options.columns} | {ours_s / plain_s:.2f} x plain openTSNE, "
          f"{made_s / plain_s:.2f} x without judging it | trust, kept, kNN: {quality}")  # fmt: skip


if __name__ == "__main__":
    main()
