"""Small studies made by hand from the numerics, for the page and the pictures."""

from functools import cache
from importlib import import_module

import numpy as np
import torch
from torch import nn

from unbend.numerics.batch import batch, samples
from unbend.numerics.gradient import GradientState, gradients
from unbend.numerics.similarity import similarity
from unbend.numerics.state import MEASURES, HeldOut
from unbend.numerics.view import View
from unbend.study.depth import Depth, line
from unbend.study.head import Head
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot, WatchedLayer
from unbend.study.values import About, Finding, Layer, Study, Sums

for name in ("moments", "activity", "centroids", "histogram", "scatter", "spectrum", "planes", "readout"):
    import_module(f"unbend.numerics.{name}")
from unbend.numerics.saturation import saturation  # noqa: E402

CORE = ("moments", "activity", "centroids", "histogram", "scatter", "spectrum", "planes", "readout")
FINDINGS = (
    Finding("silent_units", "problem", "3", "9 of 64 units of `3` are silent.",
            "They put out 0 on all 1,438 training rows; each fires on fewer than 0.21 % of rows (95 %).",
            "A silent unit gets no gradient: it cannot learn and its width is wasted.",
            "Lower the learning rate, or make the layer narrower."),
    Finding("head", "warning", None, "The head reads less than the layer before it offers.",
            "Its own accuracy is 95.8 %, a refitted read-out reaches 97.5 %.",
            "The classes are there; the last layer does not use them.",
            "Train the head longer, or with a larger learning rate."),
    Finding("idle", "note", "4", "`4` changes little.", "CKA with `3` is 0.99.", "Removable?", "Try without it."),
    Finding("separable", "good", "5", "Classes are separable on held-out rows.", "97.5 %.", "This is the goal.",
            "Nothing to do."),
)  # fmt: skip


def forward(model: nn.Sequential, x: torch.Tensor) -> dict[str, torch.Tensor]:
    out = {"input": x}
    with torch.no_grad():
        for i, module in enumerate(model):
            x = module(x)
            out[str(i)] = x
    return out


def results(h, y, held_h, held_y, k, bent, measures=CORE):
    n = len(h)
    train = batch(h, samples(y, n_classes=k), saturation=bent)
    held = batch(held_h, samples(held_y, n_classes=k, ids=np.arange(n, n + len(held_h))), saturation=bent)
    out = {}
    for name in measures:
        measure = MEASURES[name]
        states = [need.state.of(held) if isinstance(need, HeldOut) else need.of(train) for need in measure.needs]
        out[name] = measure.finish(*states)
    return {k: v for k, v in out.items() if v is not None}


def study_of(model, x, y, held_x, held_y, *, k, names=(), twin=None, findings=FINDINGS, about=None) -> Study:
    h, g = forward(model, x), forward(model, held_x)
    modules = {"input": None, **{str(i): m for i, m in enumerate(model)}}
    bends = {"ReLU": torch.relu, "Tanh": torch.tanh, "GELU": None}
    th, tg = (forward(twin, x), forward(twin, held_x)) if twin is not None else ({}, {})
    layers = []
    for name, module in modules.items():
        kind = "input" if module is None else "activation" if type(module).__name__ in bends else "affine"
        bent = saturation(bends[type(module).__name__]) if kind == "activation" else None
        wanted = tuple(m for m in CORE if m != "activity" or kind == "activation")
        layers.append(Layer(
            name, kind, "data" if module is None else type(module).__name__, tuple(h[name].shape[1:]),
            View("features", "none", h[name].shape[1]), results(h[name], y, g[name], held_y, k, bent, wanted),
            results(th[name], y, tg[name], held_y, k, None, ("scatter", "readout")) if twin is not None else {},
        ))  # fmt: skip
    depth = depth_of(layers)
    across = {"depth": depth, "similarity": similarity(h)}
    if k:
        own = (g[str(len(model) - 1)].argmax(1) == held_y).double().mean().item()
        own_train = (h[str(len(model) - 1)].argmax(1) == y).double().mean().item()
        refitted = layers[-2].results["readout"].held_out
        across["head"] = Head(n=len(held_y), layer=layers[-2].name, own=own, own_train=own_train, refitted=refitted,
                              gain=refitted - own, low=-0.01, high=0.03)  # fmt: skip
    rng = np.random.default_rng(0)
    across["gradients"] = gradients({l.name: GradientState.of(torch.from_numpy(rng.normal(size=(50, 8)) * 3.0**i))
                                     for i, l in enumerate(layers)})  # fmt: skip
    about = about or About("digits-net", "digits", "scikit-learn's handwritten digits, CC BY 4.0",
                           "classification" if k else "regression", tuple(names), len(x), len(held_x), 19_000,
                           "a fifth of each class held out", ("No layer was skipped.",),
                           {"unbend": "0.1.0", "torch": torch.__version__, "python": "3.11"}, 3.2)  # fmt: skip
    return Study(about, tuple(layers), across, tuple(findings), Sums({}, {}))


def depth_of(layers) -> Depth:
    def read(what, *, twin=False):
        table = [(l.twin if twin else l.results) for l in layers]
        return np.array([what(t) if t else np.nan for t in table], dtype=float)

    def scattered(name):
        return read(lambda t: getattr(t["scatter"], name) if "scatter" in t else np.nan)

    separation = scattered("separation")
    bends = [i for i, l in enumerate(layers) if l.kind == "activation"]
    slope, correlation = line(np.arange(len(bends), dtype=float), separation[bends])
    return Depth(
        layers=tuple(l.name for l in layers), kinds=tuple(l.kind for l in layers),
        train=read(lambda t: t["readout"].train), held_out=read(lambda t: t["readout"].held_out),
        low=read(lambda t: t["readout"].held_out_interval[0]), high=read(lambda t: t["readout"].held_out_interval[1]),
        twin=read(lambda t: t["readout"].held_out, twin=True), control=read(lambda t: t["readout"].control_train),
        fisher=scattered("fisher"), separation=separation, trace_ratio=scattered("trace_ratio"),
        effective_rank=read(lambda t: t["spectrum"].effective_rank),
        line_slope=slope, line_correlation=correlation, line_layers=tuple(layers[i].name for i in bends),
    )  # fmt: skip


@cache
def digits() -> Study:
    from unbend.zoo import digits as trained
    from unbend.zoo import mlp

    model, data = trained(seed=0)
    with torch.no_grad():
        model[2].bias[:9] -= 30.0
    return study_of(model, *data.train, *data.test, k=10, names=[f"digit {i}" for i in range(10)],
                    twin=mlp([64, 128, 64, 32, 10], seed=0))  # fmt: skip


@cache
def hostile(names=("<script>alert(1)</script>", "b&<img src=x onerror=alert(2)>", "\"quoted'")) -> Study:
    """Names that would be markup if a page let them."""
    torch.manual_seed(0)
    bad = "<img src=x onerror=alert(3)>"
    from dataclasses import replace

    x, y = torch.randn(200, 5), torch.arange(200) % 3
    x[:, 0] += y
    study = study_of(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), x, y, x[:90] + 0.1, y[:90], k=3,
                     names=names, findings=(Finding(bad, "problem", bad, bad, bad, bad, bad),))  # fmt: skip
    about = replace(study.about, model=bad, data=bad, source=bad, split=bad, notes=(bad,), versions={bad: bad})
    layers = tuple(replace(l, name=f"{l.name}{bad}", module=bad) for l in study.layers)
    depth = replace(study.across["depth"], layers=tuple(l.name for l in layers))
    return replace(
        study, about=about, layers=layers, across={**study.across, "depth": depth, bad: study.across["head"]}
    )


@cache
def many(n_layers=100, width=48, k=120) -> Study:
    """Many wide layers and many classes."""
    torch.manual_seed(0)
    modules = []
    for _ in range(n_layers // 2):
        modules += [nn.Linear(width, width), nn.ReLU()]
        nn.init.orthogonal_(modules[-2].weight, 1.4)
    centres = torch.randn(k, width)
    y = torch.arange(1200) % k
    x = centres[y] + 0.7 * torch.randn(1200, width)
    return study_of(nn.Sequential(*modules), x[:900], y[:900], x[900:], y[900:], k=k,
                    names=[f"class number {i}" for i in range(k)])  # fmt: skip


@cache
def regression() -> Study:
    torch.manual_seed(0)
    x = torch.randn(300, 6)
    y = (x[:, :1] * x[:, 1:2]) + 0.1 * torch.randn(300, 1)
    model = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 1))
    return study_of(model, x[:200], y[:200].double(), x[200:], y[200:].double(), k=0, findings=())


def history(n=20, name="net"):
    """A run that was never trained: nine layers, a change of the learning rate, a checkpoint."""
    layers = tuple(WatchedLayer(f"l{i}", "activation", "ReLU", (8,)) for i in range(9))
    snapshots = tuple(
        Snapshot(
            10 * (i + 1), float(i), {"loss": 1 / (i + 1), "learning_rate": 0.1 if i < 9 else 0.01, "cost": 0.01},
            {layer.name: {"silent": 0.01 * k * i / n, "gradient": 10.0**-k} for k, layer in enumerate(layers)},
        )
        for i in range(n)
    )  # fmt: skip
    return RunHistory(AboutRun(name, layers, 100), snapshots, (RunEvent(50, 5.0, "checkpoint", "a<b>.pt"),))
