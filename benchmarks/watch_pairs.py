"""What a watched step costs beyond the same step without a watch: one network, its hooks taken off every other step.

Where `benchmarks/watch.py` compares networks that train side by side, each with memory of its own, here one network
takes pairs of steps in random order, watched and bare, on the same memory; what is told is the median of the
differences, in microseconds of processor time, and its error. `off` takes no snapshot after the first, `default` keeps
to its budget (its mean tells, since its medians hold no snapshot), `every` takes one at each step.

The allocator of C gives memory back to the system and takes it again, in some steps and not in others, which costs up
to 1 % of a step of the CNN. Keep it from that:

    MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 \
        python benchmarks/watch_pairs.py cnn [off|default|every] [--seconds 60]
"""

import argparse
import random
import time
import warnings
from contextlib import contextmanager
from statistics import mean, median

import torch
from torch.nn import functional as F
from torch.optim import optimizer as optimisers
from watch import BATCH, network

import unbend

HOW = {"off": {"every": 10**9}, "default": {}, "every": {"every": 1}}


class Run:
    """A network that trains on one batch, watched."""

    def __init__(self, workload, how):
        self.model = network(workload)
        self.optimiser = torch.optim.Adam(self.model.parameters(), 1e-3)
        g = torch.Generator().manual_seed(0)
        self.x = torch.randn(BATCH[workload], generator=g)
        self.y = torch.randint(0, 10, (len(self.x),), generator=g)
        self.watch = unbend.watch(self.model, **how).__enter__()

    def step(self, *, is_watched):
        """Processor time of a step, in nanoseconds."""
        gap = time.perf_counter() - self.watch._last if is_watched else 0.0  # noqa: SLF001  bare steps are none of its run
        self.watch._started, self.watch._last = self.watch._started + gap, self.watch._last + gap  # noqa: SLF001
        start = time.process_time_ns()
        self.optimiser.zero_grad()
        loss = F.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        if is_watched:
            self.watch.label(self.y)
            self.watch.log(loss=loss)
        self.optimiser.step()
        return time.process_time_ns() - start

    @contextmanager
    def bare(self):
        """Without any hook."""
        places = [hooks for m in self.model.modules() for hooks in (m._forward_hooks, m._forward_pre_hooks)]  # noqa: SLF001
        places += [optimisers._global_optimizer_pre_hooks, optimisers._global_optimizer_post_hooks]  # noqa: SLF001
        kept = [dict(place) for place in places]
        of_parameters = [(p, p._post_accumulate_grad_hooks) for p in self.model.parameters()]  # noqa: SLF001
        for place in places:
            place.clear()
        for p, _ in of_parameters:
            p._post_accumulate_grad_hooks = None  # noqa: SLF001
        yield
        for place, hooks in zip(places, kept, strict=True):
            place.update(hooks)
        for p, hooks in of_parameters:
            p._post_accumulate_grad_hooks = hooks  # noqa: SLF001


def pairs(run, seconds):
    """Watched and bare steps, in pairs."""
    for _ in range(12):
        run.step(is_watched=True)
    chance, end, found = random.Random(0), time.time() + seconds, []
    while time.time() < end:
        pair = {}
        for is_watched in chance.sample((False, True), 2):
            if is_watched:
                pair[True] = run.step(is_watched=True)
            else:
                with run.bare():
                    pair[False] = run.step(is_watched=False)
        found.append((pair[True] / 1e3, pair[False] / 1e3))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workload", choices=list(BATCH))
    parser.add_argument("how", nargs="?", default="off", choices=list(HOW))
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    run = Run(given.workload, HOW[given.how])
    found = pairs(run, given.seconds)
    more = [watched - bare for watched, bare in found]
    bare, middle = median(bare for _, bare in found), median(more)
    error = 1.86 * median(abs(one - middle) for one in more) / len(more) ** 0.5
    whole = mean(watched for watched, _ in found) / mean(bare for _, bare in found)
    print(f"{given.workload}, {given.how}: {len(found)} pairs, a bare step {bare:,.0f} us, "
          f"more when watched {middle:,.0f} +- {error:,.0f} us: {1 + middle / bare:.4f} +- {error / bare:.4f}; "
          f"by means {whole:.4f}; {len(run.watch.history.snapshots)} snapshots")  # fmt: skip


if __name__ == "__main__":
    main()
