"""An exact linear program in plain fractions, written for small tests and for nothing else."""

from fractions import Fraction

import pytest


def overlaps(vectors):
    """Whether λ >= 0, Σ λ = 1, Σ λ_i z_i = 0 has a solution: phase one of the simplex method, Bland's rule."""
    m, D = len(vectors), len(vectors[0])
    table = [[Fraction(v[j]) for v in vectors] + [Fraction(0)] for j in range(D)]
    table.append([Fraction(1)] * (m + 1))
    basis = [None] * (D + 1)
    while True:
        free = [i for i, b in enumerate(basis) if b is None]
        gain = [sum((table[i][j] for i in free), Fraction(0)) for j in range(m + 1)]
        entering = next((j for j in range(m) if gain[j] > 0), None)
        if entering is None:
            return gain[m] == 0
        rows = [i for i in range(D + 1) if table[i][entering] > 0]
        # Artificials count as after all others, so the rule stays Bland's.
        leaving = min(rows, key=lambda i: (table[i][m] / table[i][entering], m + i if basis[i] is None else basis[i]))
        pivot = table[leaving][entering]
        table[leaving] = [a / pivot for a in table[leaving]]
        for i in range(D + 1):
            if i != leaving and table[i][entering]:
                factor = table[i][entering]
                table[i] = [a - factor * b for a, b in zip(table[i], table[leaving], strict=True)]
        basis[leaving] = entering


def binary_vectors(x, y):
    signs = [1 if label == max(y) else -1 for label in y]
    return [[s * Fraction(float(a)) for a in row] + [Fraction(s)] for row, s in zip(x, signs, strict=True)]


def joint_vectors(x, y):
    classes = sorted(set(y))
    out = []
    for row, label in zip(x, y, strict=True):
        long = [Fraction(float(a)) for a in row] + [Fraction(1)]
        for rival in classes:
            if rival != label:
                z = {c: [Fraction(0)] * len(long) for c in classes}
                z[label], z[rival] = long, [-a for a in long]
                out.append([a for c in classes for a in z[c]])
    return out


@pytest.fixture(scope="session")
def is_separable():
    return _is_separable


def _is_separable(x, y):
    y = [int(label) for label in y]
    if len(set(y)) < 2:
        return True
    return not overlaps(binary_vectors(x, y) if len(set(y)) == 2 else joint_vectors(x, y))
