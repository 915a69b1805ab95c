"""Working-set search: solve a few vectors, sweep all of them, add what is violated, until one side is proved.

In: a cone. Out: a proved claim in the units of the data, or what is known. The order of attempts on a working
set: Newton; its forces reduced to few witnesses; the same on the faces that one-sided columns leave over; flat
coordinates made round; exact integers. Every claim is checked by `clearance` or `dependency` before it leaves.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy.linalg import qr, solve_triangular

from unbend.numerics.separable import simplex
from unbend.numerics.separable.clearance import Clearance
from unbend.numerics.separable.cone import Chart, Cone, Hyperplanes, chart_of
from unbend.numerics.separable.dependency import balance, dependency
from unbend.numerics.separable.newton import Descent, Effort, Status, descend
from unbend.numerics.separable.rounding import dot2
from unbend.numerics.separable.witness import polish, reduce

SIMPLEX_SIZE = 60_000
"""Entries of the tableau up to which the exact method is worth its time: some seconds."""
ROUNDS = 60
STATED = 0.5
"""Part of a proved robustness that is stated: who verifies it may compute with another order of sums, or threads."""
FORCE_FLOORS = (1e-6, 1e-3, 1e-9)
"""Forces below this part of the greatest are left out, the likeliest floor first."""
FACES = 8
"""Faces within faces that are looked at for one floor."""
ROUND_SIZE = 10**9
"""Products up to which round coordinates are computed in two words."""
LARGEST = 1000
"""Exponent of two that no coefficient exceeds."""
ROWS_PER_COLUMN = 6
"""Vectors of the first working set for each column. A random set of 2 D vectors can be separated by chance (Cover);
with 4 D or more, the hyperplane of the set errs on few of the others."""
WIDE_ROWS_PER_COLUMN = 4
"""The same above `WIDE` columns, where a step costs the square of them."""
WIDE = 300
LEAST_ROWS = 400
"""A working set is no smaller: Newton on fewer vectors takes no less time."""
MOST_SHARE, MOST_ROWS = 50, 20_000
"""Where there are many vectors, one in fifty of them, at most so many: then the first sweep leaves little to add."""
WHOLE = 1.5
"""With no more than this many times the first working set, all vectors are taken at once."""
MOST_GROWTH = 12
"""A working set that grows to this many times the first is halved, to the vectors with the least products."""


@dataclass(frozen=True, slots=True, eq=False)
class Separated:
    """Hyperplanes that provably clear every vector.

    Attributes:
        planes: one per block.
        clearance: of every vector, as far as it is proved.
    """

    planes: Hyperplanes
    clearance: Clearance


@dataclass(frozen=True, slots=True, eq=False)
class Overlapping:
    """Vectors with a proved positive dependency, and the hyperplanes that came nearest.

    Attributes:
        index: which vectors.
        weights: of each of them.
        robustness: part stated of the change, relative to each stored number, that the dependency provably survives.
        planes: that came nearest, if any.
    """

    index: Int64[np.ndarray, "s"]
    weights: Float64[np.ndarray, "s"]
    robustness: float
    planes: Hyperplanes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Open:
    """No proof: why, the best hyperplanes, and forces that come near to balance.

    Attributes:
        reason: why there is no proof.
        planes: the best ones.
        errors: vectors that they get wrong.
        index: of the vectors with a force.
        forces: of each of them.
    """

    reason: str
    planes: Hyperplanes
    errors: int
    index: Int64[np.ndarray, "m"]
    forces: Float64[np.ndarray, "m"]


_Back: TypeAlias = Callable[[Float64[np.ndarray, "D"]], Hyperplanes]
Outcome: TypeAlias = Separated | Overlapping | Open


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up, and the seed of the working set.

    Attributes:
        deadline: when to give up, as `time.monotonic` counts.
        seed: of the working set.
    """

    deadline: float = math.inf
    seed: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the time is spent."""
        return time.monotonic() > self.deadline


@dataclass(slots=True)
class _Progress:
    """What the rounds carry along: the working set, the best claim so far, and how hard to try."""

    index: Int64[np.ndarray, "m"]
    planes: Hyperplanes
    level: int = 0
    best: Hyperplanes | None = None
    forces: Float64[np.ndarray, "m"] = field(default_factory=lambda: np.zeros(0))

    def open(self, reason: str, cone: Cone) -> Open:
        best = self.best or self.planes
        errors = cone.clear(best).wrong
        forces = self.forces if len(self.forces) == len(self.index) else np.ones(len(self.index))
        return Open(reason, best, errors, self.index, forces)


def search(cone: Cone, limits: Limits, start: Hyperplanes | None = None) -> Outcome:
    """Decide whether some v has a positive product with every vector of the cone.

    Args:
        cone: the question.
        limits: when to give up.
        start: hyperplanes to begin from.
    """
    generator = np.random.default_rng(limits.seed)
    d = cone.features(np.zeros(1, np.int64)).shape[1]
    dim = cone.blocks * (d + 1)
    per_column = WIDE_ROWS_PER_COLUMN if dim > WIDE else ROWS_PER_COLUMN
    first = max(per_column * dim, min(cone.size // MOST_SHARE, MOST_ROWS), LEAST_ROWS)
    index = np.arange(cone.size) if cone.size <= WHOLE * first else np.unique(generator.integers(0, cone.size, first))
    zero = Hyperplanes(np.zeros((cone.blocks, d)), np.zeros(cone.blocks))
    progress = _Progress(index, start or zero)
    for _ in range(ROUNDS):
        answer = _round(cone, progress, limits)
        if isinstance(answer, Overlapping):
            return replace(answer, planes=progress.best or progress.planes)
        if answer is not None:
            return answer
        found = cone.clear(progress.planes)
        if found.wrong == 0:
            return Separated(progress.planes, found)
        progress.best = progress.planes
        if limits.is_over:
            return progress.open("out of time", cone)
        _grow(progress, found.values, first, dim, generator)
        if progress.level > 3:
            return progress.open("the hyperplane is too fine for two float64 words", cone)
    return progress.open("too many rounds", cone)


def _round(cone: Cone, progress: _Progress, limits: Limits) -> Overlapping | Open | None:
    """Work on the working set: new hyperplanes in `progress`, or an answer."""
    chart = chart_of(cone.features(progress.index))
    for attempt in range(progress.level, 3):
        if attempt == 2 and progress.level < 2:
            break
        coordinates = _standard_coordinates if attempt == 0 else _round_coordinates
        Z, back = coordinates(cone, progress.index, chart, progress.planes)
        descent = _descent(Z, _into(chart, progress.planes), progress, limits, attempt)
        if descent.status is Status.SEPARATED:
            progress.planes = back(descent.v)
            return None
        progress.forces = descent.forces
        progress.best = back(descent.v)
        if descent.status is Status.STALLED and limits.is_over:
            return progress.open("out of time", cone)
        answer = _overlap(cone, progress, Z, descent, coordinates, limits)
        if answer is not None:
            return answer
        if limits.is_over:
            return progress.open("out of time", cone)
    return _by_simplex(cone, progress, chart, limits)


def _descent(
    Z: Float64[np.ndarray, "m D"], v: Float64[np.ndarray, "D"], progress: _Progress, limits: Limits, attempt: int
) -> Descent:
    """Newton as it comes; or from zero to the last digit."""
    effort = Effort(extra=3 + 8 * progress.level, deadline=limits.deadline)
    if attempt == 0 and len(Z) >= Z.shape[1]:
        return descend(Z, v, effort)
    return descend(Z, np.zeros(Z.shape[1]), replace(effort, steps=80, tolerance=1e-12, is_exact=True))


_Coordinates: TypeAlias = Callable[
    [Cone, Int64[np.ndarray, "m"], Chart, Hyperplanes], tuple[Float64[np.ndarray, "m D"], _Back]
]


def _standard_coordinates(
    cone: Cone, index: Int64[np.ndarray, "m"], chart: Chart, like: Hyperplanes
) -> tuple[Float64[np.ndarray, "m D"], _Back]:
    """Some vectors in standard units, and the way back."""
    return cone.gather(index, chart), lambda v: _out_of(chart, v, like)


def _round_coordinates(
    cone: Cone, index: Int64[np.ndarray, "m"], chart: Chart, like: Hyperplanes
) -> tuple[Float64[np.ndarray, "m r"], _Back]:
    """Some vectors in coordinates where it is as wide in each direction, and the way back.

    Where the rows are nearly flat, such as those of an affine layer in more dimensions than it has inputs, standard
    units have lost what decides. So the coordinates of all vectors are computed again from the rows as stored, in two
    words of precision.
    """
    Z = cone.gather(index, chart)
    P = _whitening(Z)
    if Z.size * P.shape[1] > ROUND_SIZE:
        return Z @ P, lambda v: _out_of(chart, P @ v, like)
    columns = [_out_of(chart, p, like) for p in P.T]
    whole = np.stack([np.hstack([p.weight, p.bias[:, None]]).ravel() for p in columns])
    exact = dot2(cone.vectors(index), whole)
    if not np.isfinite(exact).all():  # denormal columns take coefficients so large that their products overflow
        return Z @ P, lambda v: _out_of(chart, P @ v, like)
    return exact, lambda v: _planes(v @ whole, like)


def _planes(v: Float64[np.ndarray, "D"], like: Hyperplanes) -> Hyperplanes:
    v = v.reshape(like.weight.shape[0], -1)
    return Hyperplanes(v[:, :-1].copy(), v[:, -1].copy())


def _whitening(Z: Float64[np.ndarray, "m D"]) -> Float64[np.ndarray, "D r"]:
    factors = qr(Z, mode="r", pivoting=True, check_finite=False)
    R, order = np.asarray(factors[0]), np.asarray(factors[1])
    size = np.abs(np.diagonal(R))
    rank = max(int((size > size[0] * 1e-15).sum()), 1)
    P = np.zeros((Z.shape[1], rank))
    P[order[:rank]] = np.asarray(solve_triangular(R[:rank, :rank], np.eye(rank))) * math.sqrt(len(Z))
    return P


def _overlap(
    cone: Cone,
    progress: _Progress,
    Z: Float64[np.ndarray, "m D"],
    descent: Descent,
    coordinates: _Coordinates,
    limits: Limits,
) -> Overlapping | None:
    """Few witnesses from the forces of a descent, on the whole working set or on a face of it."""
    index, top = progress.index, descent.forces.max()
    if descent.status is Status.CONVERGED:
        few = _heaviest(Z, descent, limits)
        for part, forces in ([few] if few else []) + [(np.arange(len(index)), descent.forces)]:
            answer = _reduce(cone, index[part], Z[part], forces, limits)
            if answer is not None:
                return answer
    for floor in FORCE_FLOORS:
        kept = index[descent.forces > floor * top]
        width = Z.shape[1]
        for _ in range(FACES):
            if limits.is_over:
                return None
            face, _ = coordinates(cone, kept, chart_of(cone.features(kept)), progress.planes)
            again = descend(face, np.zeros(face.shape[1]), Effort(0, 60, 1e-8, is_exact=True, deadline=limits.deadline))
            if again.status is Status.SEPARATED:
                break
            heavy = again.forces > 1e-6 * again.forces.max()
            answer = _reduce(cone, kept[heavy], face[heavy], again.forces[heavy], limits)
            if answer is not None:
                return answer
            if heavy.all() or face.shape[1] == width:
                break
            kept, width = kept[heavy], face.shape[1]
    return None


def _heaviest(
    Z: Float64[np.ndarray, "m D"], descent: Descent, limits: Limits
) -> tuple[Int64[np.ndarray, "s"], Float64[np.ndarray, "s"]] | None:
    """Fewer vectors that still balance, so that there is less to reduce; None where they do not."""
    m, D = Z.shape
    if m < 4 * D:
        return None
    part = np.argpartition(-descent.forces, int(2.5 * D))[: int(2.5 * D)]
    again = descend(Z[part], descent.v, Effort(0, 30, 1e-4, deadline=limits.deadline))
    return (part, again.forces) if again.status is Status.CONVERGED else None


def _reduce(
    cone: Cone,
    index: Int64[np.ndarray, "m"],
    Z: Float64[np.ndarray, "m D"],
    forces: Float64[np.ndarray, "m"],
    limits: Limits,
) -> Overlapping | None:
    reduced = None if limits.is_over else reduce(Z, forces)
    if reduced is None:
        return None
    kept, weights = reduced
    for floor in (0.0, 1e-10, 1e-7):
        heavy = weights > floor
        few = index[kept[heavy]]
        answer = _prove(cone, few, weights[heavy], limits)
        if answer is not None or heavy.all():
            return answer
    return None


def _prove(
    cone: Cone, index: Int64[np.ndarray, "s"], weights: Float64[np.ndarray, "s"], limits: Limits
) -> Overlapping | None:
    """The proof these witnesses make, their weights moved onto the exact ones."""
    vectors = cone.proof_vectors(index)
    exact = polish(balance(vectors)[0], weights)
    robustness = None if exact is None else dependency(vectors, exact, limits.deadline)
    return None if exact is None or robustness is None else Overlapping(index, exact, STATED * robustness)


def _by_simplex(cone: Cone, progress: _Progress, chart: Chart, limits: Limits) -> Overlapping | Open | None:
    """The exact simplex method on the working set, where it is small enough."""
    columns = (np.arange(cone.blocks)[:, None] * (progress.planes.weight.shape[1] + 1)) + np.append(
        chart.columns, progress.planes.weight.shape[1]
    )
    vectors = cone.vectors(progress.index)[:, columns.ravel()]
    m, D = vectors.shape
    if (D + 2) * (m + D + 2) > SIMPLEX_SIZE:
        return progress.open("nearly flat, and too large for the exact method", cone)
    integers, exponents = _integral(vectors)
    guess = np.argsort(-progress.forces) if len(progress.forces) == m else np.arange(m)
    try:
        weights, v = simplex.solve(integers, guess, limits.deadline)
    except simplex.OutOfTimeError:
        return progress.open("out of time", cone)
    if weights is not None:
        kept = np.array(sorted(weights))
        top = max(weights.values())
        floats = np.array([float(Fraction(weights[i], top)) for i in kept])
        robustness = dependency(cone.proof_vectors(progress.index[kept]), floats, limits.deadline)
        if robustness is None:
            return progress.open("weights too fine for float64", cone)
        return Overlapping(progress.index[kept], floats, STATED * robustness)
    progress.planes = _two_words(v or [], exponents, chart, progress.planes)
    progress.level = 3
    return None


def _integral(vectors: Float64[np.ndarray, "m D"]) -> tuple[Shaped[np.ndarray, "m D"], list[int]]:
    """Columns times powers of two that make them integral and, where possible, free of trailing zeros."""
    out, exponents = np.empty(vectors.shape, object), []
    for j, column in enumerate(vectors.T):
        ratios = [float(a).as_integer_ratio() for a in column]
        denominator = max(b for _, b in ratios)
        whole = [a * (denominator // b) for a, b in ratios]
        shift = min(((a & -a).bit_length() - 1 for a in whole if a), default=0)
        out[:, j] = [a >> shift for a in whole]
        exponents.append(denominator.bit_length() - 1 - shift)
    return out, exponents


def _two_words(v: list[int], exponents: list[int], chart: Chart, like: Hyperplanes) -> Hyperplanes:
    """Integer multipliers of scaled columns as two float64 words each, in the units of the data."""
    blocks, d = like.weight.shape
    exact = [Fraction(a) * Fraction(2) ** e for a, e in zip(v, exponents, strict=True)]
    spread = np.tile(np.append(chart.size, 0), blocks)
    size = max(_exponent(a) + int(e) for a, e in zip(exact, spread, strict=True) if a)
    exact = [a / Fraction(2) ** size for a in exact]
    top = max(0, max(_exponent(a) for a in exact if a) - LARGEST)
    exact = [a / 2**top for a in exact]
    high = [float(a) for a in exact]
    low = [float(a - Fraction(h)) for a, h in zip(exact, high, strict=True)]
    words = np.zeros((2, blocks, d + 1))
    words[:, :, np.append(chart.columns, d)] = np.array([high, low]).reshape(2, blocks, -1)
    return Hyperplanes(words[0, :, :-1].copy(), words[0, :, -1].copy(), words[1])


def _exponent(a: Fraction) -> int:
    return a.numerator.bit_length() - a.denominator.bit_length()


def _into(chart: Chart, planes: Hyperplanes) -> Float64[np.ndarray, "D"]:
    """Hyperplanes in the coordinates of a chart."""
    weight = planes.weight[:, chart.columns]
    with np.errstate(over="ignore", invalid="ignore"):
        if chart.exponent is not None:
            weight = np.ldexp(weight, chart.exponent)
        v = np.hstack([weight * chart.scale, (planes.bias + weight @ chart.mean)[:, None]]).ravel()
    return v if np.isfinite(v).all() else np.zeros_like(v)


def _out_of(chart: Chart, v: Float64[np.ndarray, "D"], like: Hyperplanes) -> Hyperplanes:
    """Hyperplanes in the units of the data, scores about as large as in the chart."""
    v = v.reshape(like.weight.shape[0], -1)
    part, exponent = np.frexp(v[:, :-1] / chart.scale)
    shift = exponent if chart.exponent is None else exponent - chart.exponent
    top = max(0, int(shift[part != 0].max(initial=0)) - LARGEST)
    weight = np.zeros(like.weight.shape)
    with np.errstate(under="ignore"):
        own = np.ldexp(part, shift - top)
        weight[:, chart.columns] = own
        own = own if chart.exponent is None else np.ldexp(own, chart.exponent)
        bias = np.ldexp(v[:, -1], -top) - own @ chart.mean
    return Hyperplanes(weight, bias)


def _grow(
    progress: _Progress, values: Float64[np.ndarray, "size"], first: int, dim: int, generator: np.random.Generator
) -> None:
    """Add violated vectors to the working set: the worst, a random part, and the nearest of the others."""
    violated = ~(values > 0)
    wrong = np.flatnonzero(violated)
    is_member = np.zeros(len(values), bool)
    is_member[progress.index] = True
    if is_member[wrong].all():
        progress.level += 1
        return
    room = max(dim if dim > WIDE else 2 * dim, first // 2)
    if len(wrong) > room:
        worst = np.argpartition(values[wrong], room // 2)
        drawn = generator.choice(worst[room // 2 :], room - room // 2, replace=False)
        wrong = wrong[np.concatenate([worst[: room // 2], drawn])]
    elif len(values) > room:
        near = np.argpartition(values, room)[:room]
        wrong = np.concatenate([wrong, near[~violated[near]]])
    new = wrong[~is_member[wrong]]
    if len(progress.index) + len(new) > MOST_GROWTH * max(first, 2 * dim):
        half = len(progress.index) // 2
        progress.index = progress.index[np.argpartition(values[progress.index], half)[:half]]
    progress.index = np.concatenate([progress.index, new])
    progress.forces = np.zeros(0)
