"""`separate` against what people use, in one process on one thread: times, ratios, and wrong verdicts.

Every peer gets float64 data and the time to check its own hyperplane on all rows; a peer counts only where its
verdict is right. Cells are run in turn, ours before and after the peers, and the ratio uses our median.

    python benchmarks/separate.py --sizes 100000x16 100000x64 10000x256
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse  # noqa: E402
import contextlib  # noqa: E402
import multiprocessing as mp  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import numpy as np  # noqa: E402

KINDS = ("sep 1", "sep 1e-1", "sep 1e-3", "sep 1e-5", "barely", "overlap")
TRUTH = {"barely": "overlap", "overlap": "overlap"}


def data(kind, n, d, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    if kind == "overlap":
        y = rng.integers(0, 2, n)
        x[:, 0] += (2 * y - 1) * np.float32(2.05)
        return x, y
    margin = 0.1 if kind == "barely" else float(kind.split()[1])
    w = rng.standard_normal(d)
    w /= np.linalg.norm(w)
    score = x.astype(np.float64) @ w
    y = (score > 0).astype(np.int64)
    x = (x + np.outer(np.where(y == 1, margin, -margin), w)).astype(np.float32)
    if kind == "barely":
        inside = np.flatnonzero(y == 1)[: 4 * (d + 1)]
        near = inside[np.argsort(score[inside])[: d + 1]]
        at = int(np.flatnonzero(y == 0)[0])
        x[at] = x[near].mean(axis=0) + np.float32(1e-3) * w.astype(np.float32)
    return x, y


def all_right(x, y, w, b):
    score = x @ w + b
    return bool(np.all(np.where(y == 1, score > 0, score < 0)))


def by_linprog(x, y, method="highs-ds"):
    from scipy.optimize import linprog

    signed = np.c_[x, np.ones(len(x))] * np.where(y == 1, -1.0, 1.0)[:, None]
    answer = linprog(np.zeros(signed.shape[1]), A_ub=signed, b_ub=-np.ones(len(x)), bounds=(None, None), method=method)
    if answer.status == 0:
        return "separable" if all_right(x, y, answer.x[:-1], answer.x[-1]) else "no answer"
    return "overlap" if answer.status == 2 else "no answer"


def by_linprog_ipm(x, y):
    return by_linprog(x, y, "highs-ipm")


def by_piqp(x, y):
    import piqp

    n, d = x.shape
    signed = np.c_[x, np.ones(n)] * np.where(y == 1, -1.0, 1.0)[:, None]
    P = np.eye(d + 1)
    P[d, d] = 1e-8
    solver = piqp.DenseSolver()
    infinity = np.full(n, -1e30)
    solver.setup(P, np.zeros(d + 1), None, None, signed, infinity, -np.ones(n))
    status = solver.solve()
    if "SOLVED" in str(status):
        v = solver.result.x
        return "separable" if all_right(x, y, v[:-1], v[-1]) else "no answer"
    return "overlap" if "PRIMAL_INFEASIBLE" in str(status) else "no answer"


def by_linear_svc(x, y):
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=1e6, dual=len(x) < x.shape[1], tol=1e-6, max_iter=5000).fit(x, y)
    return "separable" if all_right(x, y, model.coef_[0], model.intercept_[0]) else "errs"


def by_perceptron(x, y):
    from sklearn.linear_model import Perceptron

    model = Perceptron(max_iter=1000, tol=None, shuffle=True, random_state=0)
    model.max_iter = 25
    model.fit(x, y)
    right = all_right(x, y, model.coef_[0], model.intercept_[0])
    return "separable" if right else "errs"


PEERS = {
    "linprog highs-ds": by_linprog,
    "linprog highs-ipm": by_linprog_ipm,
    "PIQP": by_piqp,
    "LinearSVC": by_linear_svc,
    "Perceptron": by_perceptron,
}


def ours(x, y):
    from unbend.numerics.separable import Overlap, Separation, separate

    verdict = separate(x, y)
    if isinstance(verdict, Overlap) and not verdict.verify(x, y):
        return "refused"
    return {Separation: "separable", Overlap: "overlap"}.get(type(verdict), "no answer")


def timed(function, x, y):
    start, cpu = time.perf_counter(), time.process_time()
    answer = function(x, y)
    del start
    return answer, time.process_time() - cpu


def _child(function, kind, n, d, queue):
    warnings.simplefilter("ignore")
    x, y = data(kind, n, d)
    x = x.astype(np.float64)
    small = np.linspace(0, n - 1, min(n, 300)).astype(int)
    with contextlib.suppress(Exception):
        function(x[small], y[small])
    queue.put("ready")
    queue.put(timed(function, x, y))


def peer(function, kind, n, d, limit):
    """A peer in its own process, so that it can be stopped after `limit` seconds."""
    queue = mp.get_context("fork").Queue()
    child = mp.get_context("fork").Process(target=_child, args=(function, kind, n, d, queue))
    child.start()
    try:
        queue.get(timeout=120)
        return queue.get(timeout=limit)
    except Exception:  # noqa: BLE001 (whatever a peer does, the table goes on)
        return "too slow", float(limit)
    finally:
        child.kill()
        child.join()


def cell(kind, n, d, limit, peers):
    x, y = data(kind, n, d)
    mine = [timed(ours, x, y) for _ in range(3)]
    others = {name: peer(PEERS[name], kind, n, d, limit) for name in peers}
    mine += [timed(ours, x, y) for _ in range(2)]
    return {answer for answer, _ in mine}, statistics.median(t for _, t in mine), others


def shown(answer, seconds, truth):
    if answer == "too slow":
        return f"> {seconds:.0f} s"
    mark = {truth: "", "errs": " (errs)", "no answer": " (no answer)"}.get(answer, " **(wrong)**")
    return f"{seconds:.3g}{mark}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="+", default=["100000x2", "100000x16", "100000x64", "10000x256"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--peers", nargs="+", default=list(PEERS))
    parser.add_argument("--limit", type=float, default=45, help="seconds after which a peer is stopped")
    args = parser.parse_args()
    ours(*data("sep 1", 1000, 4))
    ours(*data("overlap", 1000, 4))
    print("Seconds of processor time, one thread; ours includes the verification on all rows.\n")
    print("| n × d | data | ours | " + " | ".join(args.peers) + " | × fastest right peer | × linprog |")
    print("|---" * (5 + len(args.peers)) + "|")
    ratios = {}
    for size in args.sizes:
        n, d = map(int, size.split("x"))
        for kind in args.kinds:
            truth = TRUTH.get(kind, "separable")
            answers, seconds, others = cell(kind, n, d, args.limit, args.peers)
            right = [t for a, t in others.values() if a == truth]
            slow = [t for a, t in others.values() if a == "too slow"]
            ratio = min(right) / seconds if right else (min(slow) / seconds if slow else float("nan"))
            ratios.setdefault(size, []).append(ratio)
            lp = [(a, t) for name, (a, t) in others.items() if name == "linprog highs-ds"]
            lp_ratio = f"{'> ' if lp[0][0] == 'too slow' else ''}{lp[0][1] / seconds:.0f}" if lp else "·"
            mine = "" if answers == {truth} else f" **{answers}**"
            cells = " | ".join(shown(a, t, truth) for a, t in others.values())
            sign = "" if right else "> "
            print(f"| {size} | {kind} | {seconds:.4g}{mine} | {cells} | {sign}{ratio:.1f} | {lp_ratio} |", flush=True)
    print()
    for size, values in ratios.items():
        print(f"{size}: median ratio {statistics.median(values):.1f}, from {min(values):.1f} to {max(values):.1f}")


if __name__ == "__main__":
    main()
