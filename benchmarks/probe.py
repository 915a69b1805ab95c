"""Linear probes against scikit-learn, on real activations; prints Markdown tables.

    python benchmarks/probe.py [WIDTH ...]

A 784-512-256-128-10 ReLU network is trained on Fashion-MNIST; its hidden layers on the 60,000 training rows are
probed. One thread, processor time, every method on the same standardised rows and the same objective

    F = mean log-loss + (1 / 2n) |W|²        (scikit-learn: C = 1)

so that objectives can be compared. Ours counts standardising, the certificate and folding back.
"""

import gzip
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from unbend.numerics.probe import PATH, closed_form, discriminant, ridge, sums
from unbend.numerics.probe.control import shuffle
from unbend.numerics.probe.logistic import fit, folds, path
from unbend.numerics.probe.objective import Rows
from unbend.numerics.probe.precondition import blocks
from unbend.numerics.probe.solve import at, solve
from unbend.numerics.probe.split import folds_of, held_out_mask
from unbend.numerics.probe.standard import Standard

FASHION = Path("/usr/share/datasets/fashion-mnist")
K = 10


def idx(name):
    raw = gzip.decompress((FASHION / f"{name}.gz").read_bytes())
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def activations(epochs=8):
    """Width to (training rows, test rows), and the labels of both."""
    torch.manual_seed(0)
    x, x_test = (
        torch.tensor(idx(f"{p}-images-idx3-ubyte").reshape(-1, 784) / np.float32(255)) for p in ("train", "t10k")
    )
    y, y_test = (torch.tensor(idx(f"{p}-labels-idx1-ubyte").astype(np.int64)) for p in ("train", "t10k"))
    sizes = [784, 512, 256, 128, K]
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    net = torch.nn.Sequential(*[m for layer in layers for m in (layer, torch.nn.ReLU())][:-1])
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(256):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
    found = {}
    with torch.no_grad():
        for module in net[:-1]:
            x, x_test = module(x), module(x_test)
            if isinstance(module, torch.nn.ReLU):
                found[x.shape[1]] = x, x_test
    return found, y, y_test


def timed(call):
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def objective(z, y, weight, bias, l2):
    scores = z.double() @ torch.as_tensor(weight).double().T + torch.as_tensor(bias).double()
    loss = torch.nn.functional.cross_entropy(scores, y)
    return float(loss) + 0.5 * l2 * float((np.asarray(weight, np.float64) ** 2).sum())


def right(h, y, weight, bias):
    return float(((h.double().numpy() @ np.asarray(weight).T + np.asarray(bias)).argmax(1) == y.numpy()).mean())


def logistic(width, h, h_test, y, y_test):
    """Ours against scikit-learn where it stops by default, and where it is near the optimum."""
    l2 = 1 / len(h)
    (rows, standard), prepare = timed(lambda: (Rows.of((s := Standard.of(h)).apply(h), y, K), s))
    found, ours = timed(lambda: fit(rows, l2, 1e-3))
    weight, bias = (v.numpy() for v in standard.unstandardise(found.weight[:, :-1], found.weight[:, -1]))
    ours += prepare
    best = found.optimality
    accuracy = right(h_test, y_test, weight, bias)
    lines = [
        f"| {width} | ours, gap ≤ {best.relative_gap:.0e} | {ours:.2f} | {best.objective:.5f} | {accuracy:.4f} | |"
    ]
    z = rows.z.numpy()
    ratios = {}
    for label, options in {"default stop": {}, "near-optimal (tol 1e-6)": {"tol": 1e-6, "max_iter": 5000}}.items():
        peer, seconds = timed(lambda options=options: LogisticRegression(**options).fit(z, y.numpy()))
        value = objective(rows.z, y, peer.coef_, peer.intercept_, l2)
        same = reach(rows, l2, value)
        ratios[label] = seconds / (prepare + same)
        w, b = (
            v.numpy()
            for v in standard.unstandardise(torch.tensor(peer.coef_).double(), torch.tensor(peer.intercept_).double())
        )
        lines.append(
            f"| {width} | scikit-learn, {label}, {peer.n_iter_[0]} iterations | {seconds:.2f} | {value:.5f} "
            f"| {right(h_test, y_test, w, b):.4f} | {ratios[label]:.1f}× (whole certified fit: {seconds / ours:.1f}×) |"
        )
    return lines, ratios, rows


def reach(rows, l2, value):
    """The solver's own steps, as many as it takes to a peer's objective; counted beforehand."""
    trace = solve(rows, l2, 2e-5).trace
    steps = next((i + 1 for i, (f, _) in enumerate(trace) if f <= value), len(trace))
    if trace[steps - 1][0] > value:
        print(f"(never reached {value:.6f}, only {trace[-1][0]:.6f})")
    return timed(lambda: solve(rows, l2, 0.0, max_passes=steps))[1]


def suite(rows, y):
    """Path, five folds and a shuffled-label control together, over one certified fit at the chosen penalty."""
    l2s, fold = PATH, folds_of(y, 5, 0)
    (chosen, _), t_path = timed(lambda: path(rows, held_out_mask(y, 0.2, 0), l2s))
    fitted, t_fit = timed(lambda: fit(rows, chosen.chosen, 1e-3))
    _, t_folds = timed(lambda: folds(rows, fold, chosen.chosen, near=fitted.solution))
    null = rows.with_labels(shuffle(y, 0), K)

    def control():
        known = blocks(null, at(null, chosen.chosen).p, torch.Generator().manual_seed(0), shared=True)
        return fit(null, chosen.chosen, 1e-2, known=known)

    _, t_null = timed(control)
    return chosen.chosen, t_fit, t_path, t_folds, t_null


def closed(h, h_test, y, y_test):
    one_hot = torch.nn.functional.one_hot(y, K).float()
    (weight, bias), ours = timed(lambda: discriminant(sums(h, one_hot)))
    peer, theirs = timed(lambda: LinearDiscriminantAnalysis(solver="lsqr").fit(h.numpy(), y.numpy()))
    _, once = timed(lambda: ridge(sums(h, one_hot), [1e-4]))
    _, whole = timed(lambda: closed_form(h, y))
    return ours, theirs, right(h_test, y_test, weight, bias), peer.score(h_test.numpy(), y_test.numpy()), once, whole


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    threadpool_limits(1)
    found, y, y_test = activations()
    widths = [int(a) for a in sys.argv[1:]] or sorted(found)
    print(
        "| width | method | s | F | test accuracy | ratio at the peer's own F |\n|---|---|---|---|---|---|", flush=True
    )
    ratios, suites, closeds = [], [], []
    for width in widths:
        h, h_test = found[width]
        lines, ratio, rows = logistic(width, h, h_test, y, y_test)
        print(*lines, sep="\n", flush=True)
        ratios.append(ratio)
        suites.append((width, *suite(rows, y)))
        del rows
        closeds.append((width, *closed(h, h_test, y, y_test)))
    for label in ratios[0]:
        mean = np.exp(np.mean([np.log(r[label]) for r in ratios]))
        print(f"\nGeometric mean against scikit-learn, {label}: **{mean:.1f}×**")
    print(
        "\n| width | chosen l2 | one fit, s | path | five folds | shuffled labels | together / one fit |"
        "\n|---|---|---|---|---|---|---|"
    )
    for width, l2, t_fit, *parts in suites:
        print(
            f"| {width} | {l2:.0e} | {t_fit:.2f} | "
            + " | ".join(f"{p:.2f}" for p in parts)
            + f" | {sum(parts) / t_fit:.1f}× |"
        )
    print(
        "\n| width | LDA, ours, s | scikit-learn LDA, s | ratio | accuracy, ours / theirs "
        "| one ridge fit, s | 6 penalties × 5 folds × 2 labellings, s | over one fit |"
        "\n|---|---|---|---|---|---|---|---|"
    )
    for width, ours, theirs, a, b, once, whole in closeds:
        print(
            f"| {width} | {ours:.3f} | {theirs:.3f} | {theirs / ours:.1f}× | {a:.4f} / {b:.4f} "
            f"| {once:.3f} | {whole:.3f} | {whole / once:.1f}× |"
        )


if __name__ == "__main__":
    main()
