"""Sums of products with what their rounding is bounded by, compiled; `separable.rounding` says what follows from them.

In: rows, coefficients, and arrays for what comes out. Out: these, filled.
"""

from typing import no_type_check

import numpy as np

from unbend.numerics.compiled.jit import entry

SPLIT = 134217729.0
"""2**27 + 1, Veltkamp's constant for float64."""


@entry({"reassoc", "contract", "nsz"})
@no_type_check
def row_sums(x, w, total, size):
    """`x·w` and `Σ|x_j w_j|` of every row."""
    for i in range(x.shape[0]):
        s = 0.0
        a = 0.0
        for j in range(x.shape[1]):
            t = np.float64(x[i, j]) * w[j]
            s += t
            a += abs(t)
        # The order of the sum is free: the bound holds for any.
        total[i] = s
        size[i] = a


@entry({"reassoc", "contract", "nsz"})
@no_type_check
def row_margins(x, sign, w, b, wide, least, part, low, size):
    """One pass: lower bounds of the signed scores, nan where the sign is open; returns how many are."""
    n_open = 0
    for i in range(x.shape[0]):
        s = b
        a = 0.0
        for j in range(x.shape[1]):
            t = np.float64(x[i, j]) * w[j]
            s += t
            a += abs(t)
        a = a * wide + least
        # `least` covers what underflows, which no relative bound does.
        error = (a + abs(b)) * part + least
        s = s * sign[i]
        size[i] = a
        if abs(s) > error:
            s = s - error
            # The subtraction rounds as well, by less than this share of what comes out.
            low[i] = s - abs(s) * 4e-16
        else:
            low[i] = np.nan
            n_open += 1
    return n_open


@entry(set())
@no_type_check
def dot_twice(a, b, out):
    """Row i of `a` against row k of `b`, accurate as if summed in twice the working precision."""
    for i in range(a.shape[0]):
        for k in range(b.shape[0]):
            s = 0.0
            c = 0.0
            for j in range(a.shape[1]):
                u = a[i, j]
                v = b[k, j]
                p = u * v
                # Dekker: each factor in two halves of 26 bits, whose products are exact, so `e` is the error of `p`.
                q = SPLIT * u
                uh = q - (q - u)
                ul = u - uh
                q = SPLIT * v
                vh = q - (q - v)
                vl = v - vh
                e = ul * vl - (((p - uh * vh) - ul * vh) - uh * vl)
                # Knuth: the error of a sum, whichever is larger.
                t = s + p
                z = t - s
                c += ((s - (t - z)) + (p - z)) + e
                s = t
            out[i, k] = s + c
