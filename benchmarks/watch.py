"""What watching a training run costs: steps with and without, in turns, in one run on one thread.

Every method trains its own copy of a network on the same batches; they take turns at every step, in random order, and
CPU time counts. The ratio is that of the sums over all steps, snapshots included, to the bare run; `bare, again` is a
second bare run and shows the noise. `default` keeps to its budget of 2 %, `every step` takes a snapshot at each step,
`off` none after the first. Peers run with `--peers` and do less: `wandb.watch(log="all")` (offline) takes histograms of
weights and gradients, `torchlens` moments and extremes of activations, parameters, gradients and updates (its
`HistoryCollector`), `plain hooks` the same sums by `register_forward_hook` with `.item()`, as people write them, with
norms of the parameters.

On a busy machine the sums are noisy; `--median` takes the medians of steps, sixteen at a time, since as many snapshots
of `every step` are made at once; the rare snapshots of `default` do not show in it.

    python benchmarks/watch.py [--compiled] [--median] [--peers] [--steps 60] [--skip 12] [--only mlp cnn transformer]
"""

import argparse
import random
import time
import warnings
from contextlib import ExitStack
from importlib.util import find_spec
from statistics import mean, median

import torch
from torch import nn
from torch.nn import functional as F

import unbend

SOURCES = {
    "mlp": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 128),
                                 nn.ReLU(), nn.Linear(128, 10))
    def forward(self, x):
        return self.net(x)
""",
    "cnn": """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.n, self.m, self.f, self.g = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.ReLU(), nn.ReLU()
    def forward(self, x):
        return self.g(x + self.m(self.b(self.f(self.n(self.a(x))))))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, 32, 3, padding=1), nn.Sequential(*[Block(32) for _ in range(3)])
        self.head = nn.Linear(32, 10)
    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))
""",
    "transformer": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(384, 6, 1536, batch_first=True, dropout=0.1, activation="gelu")
        self.encoder, self.head = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False), nn.Linear(384, 10)
    def forward(self, x):
        return self.head(self.encoder(x).mean(1))
""",
}
"""Each method gets a class of its own from these: `torch.compile` shares graphs between models of one class."""
BATCH = {"mlp": (512, 784), "cnn": (64, 3, 32, 32), "transformer": (16, 64, 384)}
GROUP = 16
"""Steps whose mean counts as one: as many snapshots are made at once."""


def network(name):
    space = {"nn": nn}
    exec(SOURCES[name], space)
    torch.manual_seed(0)
    return space["Net"]()


def plain_hooks(model):
    """The same sums as people write them: numbers fetched in every hook."""

    def hook(_module, _args, out):
        x = out.detach().flatten(0, -2) if out.ndim < 4 else out.detach().transpose(0, 1).flatten(1).T
        said.append([x.mean().item(), x.std().item(), (x == 0).float().mean().item(), x.amin().item(), x.amax().item(),
                     ((x == 0).all(0)).float().mean().item()])  # fmt: skip

    said = []
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ReLU, nn.TransformerEncoderLayer)):
            module.register_forward_hook(hook)


class Method:
    """A network that trains, watched in one way or another."""

    def __init__(self, name, how, workload, *, compiled, stack):
        self.name, self.seconds, self.watch = name, [], None
        model = network(workload)
        self.call = torch.compile(model, fullgraph=True) if compiled else model
        self.optimiser = torch.optim.Adam(model.parameters(), 1e-3)
        if how == "hooks":
            plain_hooks(model)
        elif how == "wandb":
            import wandb

            run = stack.enter_context(wandb.init(mode="offline", dir="/tmp", settings=wandb.Settings(silent=True)))
            run.watch(model, log="all", log_freq=1)
            self.run = run
        elif how == "torchlens":
            self._collect(model, torch.randn(BATCH[workload]), stack)
        elif how is not None:
            self.watch = stack.enter_context(unbend.watch(self.call, **how))
        self.is_logging, self.has_norms = how == "wandb", how == "hooks"

    def _collect(self, model, x, stack):
        """Let TorchLens collect all that it collects."""
        from torchlens.observability import HistoryCollector, WatchSettings

        streams = ("activation", "param", "param_grad", "param_delta")
        collector = HistoryCollector(model, streams=streams, settings=WatchSettings(ram_policy="drop_oldest"))
        collector.discover(x)
        collector.attach(self.optimiser)
        stack.callback(collector.detach)

    def step(self, x, y):
        if self.watch is not None:
            gap = time.perf_counter() - self.watch._last  # noqa: SLF001  the others' turns are none of this run
            self.watch._started, self.watch._last = self.watch._started + gap, self.watch._last + gap  # noqa: SLF001
        start = time.process_time()
        self.optimiser.zero_grad()
        loss = F.cross_entropy(self.call(x), y)
        loss.backward()
        if self.watch is not None:
            self.watch.label(y)
            self.watch.log(loss=loss)
        if self.has_norms:
            said = [float(t.norm()) for p in self.optimiser.param_groups[0]["params"] for t in (p.grad, p)]
            assert len(said) > 1
        self.optimiser.step()
        if self.is_logging:
            self.run.log({"loss": 0})
        self.seconds.append(time.process_time() - start)


def methods(compiled, with_peers):
    found = {"bare": None, "bare, again": None, "off": {"every": 10**9}, "default": {}, "every step": {"every": 1}}
    if compiled or not with_peers:
        return found
    peers = {"wandb.watch": "wandb", "torchlens": "torchlens"}
    return found | {"plain hooks": "hooks"} | {name: how for name, how in peers.items() if find_spec(how)}


def middle(seconds):
    """The sum of as many steps as there are, of the median group of sixteen."""
    n = min(GROUP, len(seconds))
    return len(seconds) * median(mean(seconds[i : i + n]) for i in range(0, len(seconds) - n + 1, n))


def measure(workload, given):
    """Ratio of each method to the bare run, over the steps after the first few."""
    steps, skip = given.steps, given.skip
    with ExitStack() as stack:
        hows = methods(given.compiled, given.peers)
        each = [Method(n, how, workload, compiled=given.compiled, stack=stack) for n, how in hows.items()]
        g, chance = torch.Generator().manual_seed(0), random.Random(0)
        for _ in range(steps + skip):
            x = torch.randn(BATCH[workload], generator=g)
            y = torch.randint(0, 10, (len(x),), generator=g)
            for method in chance.sample(each, len(each)):
                method.step(x, y)
        total = middle if given.median else sum
        bare = total(each[0].seconds[skip:])
        distance = {m.name: len(m.watch.history.snapshots) for m in each if m.watch is not None}
        return {m.name: total(m.seconds[skip:]) / bare for m in each}, distance, bare / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--median", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--skip", type=int, default=12)
    parser.add_argument("--only", nargs="*", default=list(SOURCES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    names = list(methods(given.compiled, given.peers))
    print("| workload | " + " | ".join(names) + " | a bare step | snapshots |")
    print("|---" * (len(names) + 3) + "|")
    for workload in given.only:
        ratios, n, step = measure(workload, given)
        print(f"| {workload} | " + " | ".join(f"{ratios[name]:.3f}" for name in names)
              + f" | {1e3 * step:.0f} ms | {n} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
