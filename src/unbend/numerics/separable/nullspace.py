"""The one exact solution of a homogeneous system in integers, by p-adic lifting.

In: integers of any length. Out: the vector that spans the null space, where its dimension is one. Modulo a prime one
sees which equations are independent and inverts them; Dixon's lifting turns that inverse into one digit of the
solution after another; the digits give fractions; and every equation, the dependent ones too, is checked in exact
integers. The check is the proof, the rest only finds what to check.

Source:
    Dixon, Numer. Math. 40 (1982) 137.
"""

import math
import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64, Shaped

PRIME = 2**31 - 1
FIRST_LOOK = 16
"""Digits after which fractions are tried for the first time."""


def null_vector(matrix: Shaped[np.ndarray, "q m"], deadline: float = math.inf) -> list[int] | None:
    """The integer vector, without common factor, that spans the null space; None unless its dimension is one.

    A dimension of one that looks larger modulo `PRIME`, which has odds of about one to the prime, counts as not one.

    Args:
        matrix: equations [q, m], Python integers.
        deadline: `time.monotonic()` after which to give up, which also returns None.

    Cost:
        O(m³) operations modulo the prime, and O(m²) for each digit of 31 bits. The solution has no more bits than
        twice the logarithm of the largest minor of the matrix.
    """
    rows, columns = _pivots((matrix % PRIME).astype(np.int64))
    free = sorted(set(range(matrix.shape[1])) - set(columns))
    if len(free) != 1:
        return None
    A, b = matrix[rows][:, columns], -matrix[rows, free[0]]
    most = _digits_needed(np.column_stack([A, b])) if rows else 1
    digits: list[np.ndarray] = []
    for digit in _digits(A, b):
        digits.append(digit)
        n = len(digits)
        is_last = n >= most
        if is_last or (n >= FIRST_LOOK and n & (n - 1) == 0):
            solution = _fractions(_numbers(digits), PRIME**n)
            if solution is not None:
                whole = np.empty(matrix.shape[1], object)
                whole[columns], whole[free[0]] = solution[:-1], solution[-1]
                if not any(matrix @ whole):
                    return _primitive(whole.tolist())
        if is_last or time.monotonic() > deadline:
            break
    return None


def _pivots(a: Int64[np.ndarray, "q m"]) -> tuple[list[int], list[int]]:
    """Rows and columns of a regular part of full rank, in an order that needs no pivoting."""
    order, rows, columns = np.arange(len(a)), [], []
    for column in range(a.shape[1]):
        rank = len(rows)
        below = np.flatnonzero(a[rank:, column])
        if not len(below):
            continue
        swap = [rank, rank + below[0]]
        a[swap], order[swap] = a[swap[::-1]], order[swap[::-1]]
        factor = a[rank + 1 :, column] * pow(int(a[rank, column]), -1, PRIME) % PRIME
        hit = np.flatnonzero(factor) + rank + 1
        a[hit, column:] = (a[hit, column:] - factor[hit - rank - 1, None] * a[rank, column:] % PRIME) % PRIME
        rows.append(rank)
        columns.append(column)
    return order[: len(rows)].tolist(), columns


def _inverse(a: Int64[np.ndarray, "q q"]) -> Int64[np.ndarray, "q q"]:
    """The inverse modulo the prime, in place, for a matrix whose leading minors are not zero."""
    for k in range(len(a)):
        pivot = pow(int(a[k, k]), -1, PRIME)
        column = a[:, k].copy()
        column[k] = 0
        a[k, k] = 1
        a[k] = a[k] * pivot % PRIME
        a[:, k][np.arange(len(a)) != k] = 0
        a -= column[:, None] * a[k] % PRIME
        a %= PRIME
    return a


def _digits(A: Shaped[np.ndarray, "q q"], b: Shaped[np.ndarray, "q"]) -> Iterator[np.ndarray]:
    """The digits of A⁻¹ b to the base of the prime, least first; sums stay below 2⁶³ for fewer than 2¹⁵ rows."""
    inverse = _inverse((A % PRIME).astype(np.int64))
    limbs, size = _limbs(A)
    while True:
        residue = (b % PRIME).astype(np.int64)
        digit = (inverse @ (residue & 0xFFFF) + (inverse @ (residue >> 16) % PRIME << 16)) % PRIME
        yield digit
        product = np.zeros(len(b), object)
        for at, limb in enumerate(limbs):
            product += (limb @ digit).astype(object) << (at * size)
        b = (b - product) // PRIME


def _limbs(A: Shaped[np.ndarray, "q q"]) -> tuple[list[np.ndarray], int]:
    """A as a sum of int64 matrices times powers of two, so short that a product with digits does not overflow."""
    size = 31 - max(len(A), 1).bit_length()
    bits = max((abs(a).bit_length() for a in A.ravel().tolist()), default=0)
    sign, left, limbs = np.sign(A).astype(np.int64), np.abs(A), []
    for _ in range(0, bits, size):
        limbs.append(sign * (left & ((1 << size) - 1)).astype(np.int64))
        left = left >> size
    return limbs, size


def _digits_needed(equations: Shaped[np.ndarray, "q m"]) -> int:
    """Digits from which the fractions are unique, by Hadamard's bound of every minor."""
    bits = sum((int(sum(a * a for a in row)).bit_length() + 1) / 2 for row in equations.tolist())
    return math.ceil((2 * bits + 2) / math.log2(PRIME))


def _numbers(digits: list[np.ndarray]) -> list[int]:
    """The numbers with these digits, by halves."""
    level, base = [digit.astype(object) for digit in digits], PRIME
    while len(level) > 1:
        if len(level) % 2:
            level.append(np.zeros(len(level[0]), object))
        level = [low + high * base for low, high in zip(level[::2], level[1::2], strict=True)]
        base *= base
    return level[0].tolist()


def _fractions(residues: list[int], modulus: int) -> list[int] | None:
    """Numerators of small fractions with these residues, and last their common denominator; None if there are none."""
    bound = math.isqrt(modulus // 2)
    numerators: list[int] = []
    common = 1
    for residue in residues:
        value = residue * common % modulus
        value -= modulus if value > modulus // 2 else 0
        if abs(value) > bound:
            value, own = _fraction(value % modulus, modulus, bound)
            common *= own
            if common > bound:
                return None
            numerators = [a * own for a in numerators]
        numerators.append(value)
    return [*numerators, common]


def _fraction(residue: int, modulus: int, bound: int) -> tuple[int, int]:
    """Numerator and positive denominator congruent to a residue, the numerator at most `bound` (Wang 1981)."""
    a, b, u, v = modulus, residue, 0, 1
    while b > bound:
        q = a // b
        a, b, u, v = b, a - q * b, v, u - q * v
    return (b, v) if v > 0 else (-b, -v)


def _primitive(vector: list[int]) -> list[int]:
    common = math.gcd(*vector)
    return [value // common for value in vector]
