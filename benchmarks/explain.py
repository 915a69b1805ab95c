"""What explaining costs: units on the one pass, surgery of every layer of a transformer.

Units: the pass that finds extremes, firing rates and class sums of every unit against the bare forward pass of the
same batches; the two take turns at every batch, as in `capture.py`. Surgery: skipping each of twelve blocks over some
rows, hooks and records included, against bare forward passes over the same rows; the fit on training rows is not in it.
Maximise: the ascent of 256 units of a small CNN in one batch against that of every 32nd of them alone, times 32, to the
same inputs; what both pay once, the reading of training rows, is not in it.

    python benchmarks/explain.py [units] [surgery] [maximise] [--rounds 5] [--scale 0.1] [--only MLP] [--threads 1]
"""

import argparse
import time
from importlib import util
from pathlib import Path

import numpy as np
import torch
from torch import nn

from unbend import zoo
from unbend.capture import quiet, tapped
from unbend.explain.maximise.maximise import Ascent, Beside, climb
from unbend.explain.maximise.parameters import parametrisation
from unbend.explain.maximise.targets import Answering, numbers_of, targets
from unbend.explain.setup import setup
from unbend.explain.surgery.operations import hand_on
from unbend.explain.surgery.replay import Replay
from unbend.numerics.units import UnitState

_SPEC = util.spec_from_file_location("capture", Path(__file__).with_name("capture.py"))


class Blocks(nn.Module):
    def __init__(self, width: int = 128, depth: int = 12):
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True, dropout=0.0)
        self.embedding, self.head = nn.Embedding(100, width), nn.Linear(width, 4)
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, x):
        return self.head(self.blocks(self.embedding(x)).mean(1))


def _clock():
    """Processor time of one thread; what a user waits with more."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def units(rounds: int, scale: float, only: str) -> None:
    import sys

    capture = util.module_from_spec(_SPEC)
    sys.modules["capture"] = capture
    _SPEC.loader.exec_module(capture)
    for work in capture.workloads(scale):
        if only not in work.name:
            continue
        methods = {
            "bare": lambda w=work: capture.bare(w),
            "bare, again": lambda w=work: capture.bare(w),
            "unfused": lambda w=work: capture.unfused(w),
            "units": lambda w=work: capture.ours(w, (UnitState,)),
        }
        found = capture.in_turns(methods, work.batches, rounds, _clock())
        print(f"units | {work.name} | " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))


def surgery(rounds: int) -> None:
    torch.manual_seed(0)
    net, x = Blocks().eval(), torch.randint(0, 100, (300, 32))
    names = [f"blocks.layers.{i}" for i in range(12)]
    with setup(net, (x, torch.arange(300) % 4), layers=names, rows=100) as made:
        taps = [tap for tap in made.work.plan.taps if tap.name in names]
    ratios = []
    for _ in range(rounds):
        with quiet(net), tapped(net, (), print):
            start = time.process_time()
            for part in x.split(100):
                net(part)
            plain = time.process_time() - start
        with quiet(net):
            start = time.process_time()
            replay = Replay(net, x[:2], [tap.place for tap in taps])
            for part in x.split(100):
                replay.record(part)
                for tap in taps:
                    replay.change(part, {tap.place: hand_on})
            ratios.append((time.process_time() - start) / plain)
    print(f"surgery | each of 12 blocks skipped / one forward pass | {np.median(ratios):.2f} "
          f"({min(ratios):.2f}-{max(ratios):.2f})")  # fmt: skip


def maximise(rounds: int) -> None:
    for side in (8, 16, 28):
        torch.manual_seed(0)
        body = zoo.small_cnn(side=side, seed=0)[:6]
        flat = 32 * (side // 4) ** 2
        net = nn.Sequential(body, nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, 10)).eval()
        with setup(net, (torch.rand(400, 1, side, side), torch.arange(400) % 10), layers=["2"], rows=300) as made:
            asked = targets(made, "2", None, (), is_greatest=False)
        rows = numbers_of(made.subject.train.inputs)
        _, numbers = parametrisation(None, rows)
        ratios, gap = [], 0.0
        with quiet(net, grad=True, keeps_state=False), Answering(made, asked.tap).running() as answering:
            with torch.no_grad():
                beside = Beside(rows, asked.all(answering(rows)), 1.0)

            def timed(index, answering=answering, asked=asked, numbers=numbers, beside=beside):
                clock = _clock()
                start = clock()
                found = climb(answering, asked.of(index), numbers, beside.of(index), Ascent(steps=20), seed=0)
                return clock() - start, found

            for _ in range(rounds + 1):
                together, whole = timed(torch.arange(256))
                alone = [timed(torch.tensor([i])) for i in range(0, 256, 32)]
                ratios.append(32 * sum(seconds for seconds, _ in alone) / together)
                gap = max(gap, *(float((one - whole[32 * i]).abs().max()) for i, (_, one) in enumerate(alone)))
        kept = ratios[1:]
        print(f"maximise | 256 units alone / in one batch, {side} x {side} | {np.median(kept):.1f} "
              f"({min(kept):.1f}-{max(kept):.1f}), inputs apart by {gap:.1g} at most")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["units", "surgery", "maximise"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--only", default="", help="part of a workload's name")
    parser.add_argument("--threads", type=int, default=1, help="more than one are timed by the wall clock")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if "units" in given.what:
        units(given.rounds, given.scale, given.only)
    if "surgery" in given.what:
        surgery(given.rounds)
    if "maximise" in given.what:
        maximise(given.rounds)


if __name__ == "__main__":
    main()
