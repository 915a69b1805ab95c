"""Many small random problems: no wrong verdict, hardly one undecided.

Each verdict is checked against its own data with plain `fractions`, by code that shares nothing with unbend; a
random part is also put to scipy's HiGHS. Prints a Markdown table per family.

    python benchmarks/separate_agreement.py --n 100000
"""

import argparse
import collections
import time
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from unbend.numerics.separable import Overlap, Separation, separate


def family(name, rng):
    d, n = int(rng.integers(1, 20)), int(rng.integers(2, 200))
    x = rng.standard_normal((n, d)).astype(np.float32)
    y = rng.integers(0, 2, n)
    if name == "gap":
        y = (x[:, 0] > 0.3).astype(int)
    elif name == "one flipped":
        y = (x[:, 0] > 0).astype(int)
        y[rng.integers(n)] ^= 1
    elif name == "relu":
        x = np.maximum(x, 0)
        y = (x.sum(axis=1) > x.sum(axis=1).mean()).astype(int)
    elif name == "grid of 3":
        x = rng.integers(0, 3, (n, d)).astype(np.float32)
    elif name == "line with rounding":
        x = (x[:, :1] @ rng.standard_normal((1, d)).astype(np.float32)).astype(np.float32)
    elif name == "majority of bits":
        x = rng.integers(0, 2, (n, d)).astype(np.float32)
        y = (x.sum(axis=1) > d / 2).astype(int)
    elif name == "far from zero":
        x = (x + np.float32(1000)).astype(np.float32)
    elif name == "wild scales":
        x = x.astype(np.float64) * 10.0 ** rng.integers(-300, 300, d)
    return x, y


FAMILIES = (
    "random",
    "gap",
    "one flipped",
    "relu",
    "grid of 3",
    "line with rounding",
    "majority of bits",
    "far from zero",
    "wild scales",
)


def is_true(verdict, x, y):
    """The verdict's claim in exact rationals: all margins positive, or the unique dependency positive."""
    if isinstance(verdict, Separation):
        w, b = verdict.plane.fractions()
        s = [sum((Fraction(float(a)) * c for a, c in zip(row, w, strict=True)), b) for row in x]
        return all((v > 0) if label == 1 else (v < 0) for v, label in zip(s, y, strict=True))
    rows = [[Fraction(float(a)) for a in x[i]] + [Fraction(1)] for i in verdict.rows]
    signs = [1 if y[i] == 1 else -1 for i in verdict.rows]
    solution = nullspace([[s * row[j] for s, row in zip(signs, rows, strict=True)] for j in range(len(rows[0]))])
    return len(verdict.rows) <= x.shape[1] + 2 and solution is not None and (min(solution) > 0 or max(solution) < 0)


def nullspace(equations):
    """The one solution of a homogeneous system, by textbook elimination; None if there is not exactly one."""
    a, m, pivots = [list(e) for e in equations], len(equations[0]), []
    for column in range(m):
        row = next((r for r in range(len(pivots), len(a)) if a[r][column]), None)
        if row is None:
            continue
        at = len(pivots)
        a[at], a[row] = a[row], a[at]
        a[at] = [v / a[at][column] for v in a[at]]
        for r in range(len(a)):
            if r != at and a[r][column]:
                a[r] = [v - a[r][column] * u for v, u in zip(a[r], a[at], strict=True)]
        pivots.append(column)
    free = [c for c in range(m) if c not in pivots]
    if len(free) != 1:
        return None
    solution = [Fraction(0)] * m
    solution[free[0]] = Fraction(1)
    for r, column in enumerate(pivots):
        solution[column] = -a[r][free[0]]
    return solution


def highs(x, y):
    signed = np.c_[x.astype(np.float64), np.ones(len(x))] * np.where(y == 1, -1.0, 1.0)[:, None]
    answer = linprog(np.zeros(signed.shape[1]), A_ub=signed, b_ub=-np.ones(len(x)), bounds=(None, None))
    return {0: "separable", 2: "overlap"}.get(answer.status, "no answer")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exact-share", type=float, default=0.05, help="part also checked in plain fractions")
    parser.add_argument("--highs-share", type=float, default=0.05, help="part also put to HiGHS")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    table = {name: collections.Counter() for name in FAMILIES}
    start = time.process_time()
    for at in range(args.n):
        name = FAMILIES[at % len(FAMILIES)]
        x, y = family(name, rng)
        row = table[name]
        verdict = separate(x, y)
        row["problems"] += 1
        row[type(verdict).__name__] += 1
        row["wrong"] += not verdict.verify(x, y)
        is_both = len(set(y.tolist())) == 2
        if rng.random() < args.exact_share and is_both and isinstance(verdict, (Separation, Overlap)):
            row["in fractions"] += 1
            row["wrong"] += not is_true(verdict, x, y)
        if rng.random() < args.highs_share:
            other = highs(x, y)
            mine = {"Separation": "separable", "Overlap": "overlap"}.get(type(verdict).__name__, "undecided")
            row["HiGHS asked"] += 1
            row["HiGHS silent"] += other == "no answer"
            row["HiGHS differs"] += other not in (mine, "no answer")
    columns = (
        "problems",
        "Separation",
        "Overlap",
        "Undecided",
        "wrong",
        "in fractions",
        "HiGHS asked",
        "HiGHS differs",
        "HiGHS silent",
    )
    print("| family | " + " | ".join(columns) + " |\n|---" * 1 + "|---" * len(columns) + "|")
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(str(row[c]) for c in columns) + " |")
    total = sum(table.values(), collections.Counter())
    print("| **all** | " + " | ".join(str(total[c]) for c in columns) + " |")
    print(f"\n{args.n} problems, seed {args.seed}, {time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
