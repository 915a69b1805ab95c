"""What a bottleneck shows, in sentences."""

from collections import Counter

from unbend._shares import percent
from unbend.explain.bottleneck.bottleneck import BottleneckPlane
from unbend.numerics.separable import JointOverlap, JointSeparation, Overlap, Separation

_NO_LINES = "What follows them is more than an affine layer, so the lines of the output cannot be drawn in the plane."


def sentences(plane: BottleneckPlane) -> tuple[str, ...]:
    """The verdict, what the two units cost, and where they stand."""
    return (verdict(plane), cost(plane), place(plane))


def verdict(plane: BottleneckPlane) -> str:
    """Whether the classes lie apart in the plane, or what stands in the way."""
    found, n = plane.verdict, len(plane.y)
    if isinstance(found, (JointSeparation, Separation)):
        checked = "the proof was checked" if plane.is_verified else "the proof was not accepted"
        return (
            f"Separable: a linear read-out of the two units is right in all {n:,} training rows ({checked}; the "
            f"nearest row is {found.margin:.2g} from its boundary)."
        )
    if isinstance(found, (JointOverlap, Overlap)):
        checked = "the proof was checked" if plane.is_verified else "the proof was not accepted"
        return (
            f"Not separable: {len(set(found.rows.tolist()))} of the {n:,} training rows prove that no linear read-out "
            f"of the two units is right everywhere ({checked}). In the way {_in_the_way(plane, found)}."
        )
    return f"Undecided within the time given ({found.reason}); {percent(plane.train)} of the training rows are right."


def _in_the_way(plane: BottleneckPlane, found: JointOverlap | Overlap) -> str:
    every = sorted(set(found.rows.tolist()))  # a row may stand against several classes
    counts = Counter(plane.class_names[i] for i in plane.y[every])
    told = ", ".join(f"{n} of class {name}" for name, n in counts.most_common(5))
    rows = ", ".join(str(row) for row in every[:6])
    return f"are {told} (rows {rows}{', …' if len(every) > 6 else ''} of the training rows)"


def cost(plane: BottleneckPlane) -> str:
    """What the two units cost in held-out accuracy."""
    gap = plane.cost
    lost = 100 * gap.difference
    word = "costs" if lost >= 0 else "gains"
    ends = sorted(100 * (1 if lost >= 0 else -1) * end for end in (gap.low, gap.high))
    return (
        f"It {word} {abs(lost):.1f} points of held-out accuracy (95 % interval {ends[0]:.1f} to {ends[1]:.1f}): "
        f"{percent(plane.held_out)} instead of {percent(plane.plain_held_out)} of {gap.n:,} rows. On the training "
        f"rows it is right in {percent(plane.train)} instead of {percent(plane.plain_train)}."
    )


def place(plane: BottleneckPlane) -> str:
    """Where the units were put, and how the copy was trained."""
    trained = "The new layers alone were" if plane.only_new else "The whole copy was"
    lines = "" if plane.has_lines else f" {_NO_LINES}"
    return f"{plane.reason} {trained} trained for {plane.n_steps:,} steps; the network itself stays as it is.{lines}"
