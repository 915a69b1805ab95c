"""Rules about the data: labels, scales, and how the two parts relate."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unbend._names import first_few
from unbend._shares import percent
from unbend._typing import Array
from unbend.numerics.interval import wilson
from unbend.numerics.readout import READERS, Readout
from unbend.study.examine.values import APART, DataFacts, Examination
from unbend.study.findings.evidence import SURE, Evidence, name_of
from unbend.study.values import Finding, Severity

_MOVED = 0.5
"""Share of a class's rows that are called by another name from which the two are said to be exchanged."""
_FEWEST = 5
"""Held-out rows of a class from which it is said never to be called."""
_RARE = 5
"""Times that the largest class has as many rows as one that is called rare."""
_FINDS = 0.1
"""Accuracy averaged over the classes by which a read-out must exceed the network's to show that they can be told."""
_HARDLY = 0.1
"""Share of its rows up to which a class is hardly ever named."""
_FAR_APART = 0.9
"""And from which the difference is one of preparation, not of one sample against another."""
_COPIES = 0.2
_NOISE_ROWS = 200
"""Training rows from which label noise can be told from few rows."""
_NOISE_ERRORS = 4
"""Standard errors by which the two parts must differ for it."""
_LEAST_NOISE = 0.08
"""Share of wrong labels from which they are told."""
_TELL_REST = 0.7
"""Share of the rightly labelled rows that trees must tell for what they contradict to count."""
_BY_HEART = 0.1
"""Training above held-out score from which wrong labels have been learned."""
_GAP_R2 = 0.2
"""R² in training above that held out from which targets unrelated to their inputs are memorised."""
_ONE_SIDED = 1.64
_BEYOND = 0.25
"""Accuracy above the majority class from which labels are said to follow from their inputs."""


def exchanged_labels(e: Evidence) -> Iterator[Finding]:
    """The network tells the classes apart but calls some by others' names."""
    found = e.confusion
    if found is None or found.sum() == 0:
        return
    from scipy.optimize import linear_sum_assignment

    rows, names = linear_sum_assignment(-found)
    own, best = np.trace(found) / found.sum(), found[rows, names].sum() / found.sum()
    counts = found.sum(1)
    moved = [i for i in rows if names[i] != i and found[i, names[i]] > _MOVED * counts[i] and counts[i] >= 3]
    if not (best - own > max(0.05, e.margin) and len(moved) > 1 and best > 0.7):
        return
    called = [f"{e.about.class_names[i]} is called {e.about.class_names[names[i]]}" for i in moved[:4]]
    word = "Two classes are swapped" if len(moved) == 2 else "Class labels are mapped to other classes"
    yield Finding(
        "exchanged_labels", "problem", None,
        f"{word}: {', '.join(called)}.",
        f"Held-out accuracy {own:.3f}; with the names exchanged {best:.3f}, over {int(found.sum()):,} rows.",
        "The network knows these classes; the numbers of the labels are not those it was trained with.",
        "Check the mapping of the labels: the order of the class names in training and here.",
    )  # fmt: skip


def missing_class(e: Evidence) -> Iterator[Finding]:
    """A class that the network never calls, where that is all it falls short by."""
    never = _never_called(e)
    if never is None:
        return
    found, i, is_unseen = never
    others = np.delete(found, i, axis=0)
    right = float((np.trace(found) - found[i, i]) / max(others.sum(), 1))
    if is_unseen or (e.is_ill and right >= e.reachable - e.margin):
        yield _missing(e, found, i, "problem")


def unpredicted_class(e: Evidence) -> Iterator[Finding]:
    """A class that the network never calls, where it is wrong about others too."""
    never = _never_called(e)
    if never is not None and e.is_ill and not any(True for _ in missing_class(e)):
        yield _missing(e, never[0], never[1], "warning")


def _never_called(e: Evidence) -> tuple[Array, int, bool] | None:
    """The confusions, the first class that is never called, and whether no training row shown is of it."""
    found, x = e.confusion, e.examination
    if found is None or x is None or len(found) < 3 or x.rows.counts is None:
        return None
    never = [i for i in range(len(found)) if found[i].sum() >= _FEWEST and found[:, i].sum() == 0]
    unseen = [i for i in never if x.rows.counts[i] == 0]
    own = np.trace(found) / found.sum()
    if not never or own <= 1.5 / len(found) or len(unseen or never) > len(found) / 2:
        return None
    return found, (unseen or never)[0], bool(unseen)


def _missing(e: Evidence, found: Array, i: int, level: Severity) -> Finding:
    counts = None if e.examination is None else e.examination.rows.counts
    seen = "" if counts is None else f", {int(counts[i])} of {int(counts.sum()):,} training rows examined"
    return Finding(
        "missing_class", level, None,
        f"Class {e.about.class_names[i]} is never predicted: it was not learned.",
        f"{int(found[i].sum())} held-out rows are of that class{seen}. {e.own_score}",
        "All of its rows are wrong, which an accuracy over all classes hides.",
        "Check that the rows the network was trained on hold this class; weigh or sample it more often if it is rare.",
    )  # fmt: skip


def ignored_classes(e: Evidence) -> Iterator[Finding]:
    """Rare classes that the network never or hardly ever names, which its accuracy hides.

    A problem where a read-out of some layer does find their rows, which excludes that nothing could.
    """
    found, x = e.confusion, e.examination
    if found is None or x is None or not found.sum():
        return
    counts, hits, top = found.sum(1), np.diag(found), int(found.sum(1).argmax())
    rare = [
        int(j) for j in np.flatnonzero((counts >= _FEWEST) & (_RARE * counts <= counts[top]))
        if hits[j] <= _HARDLY * counts[j] and _most(int(hits[j]), int(counts[j])) < _MOVED
    ]  # fmt: skip
    if not rare:
        return
    all_rare = len(rare) == (counts > 0).sum() - 1
    named, n, seen = int(hits[rare].sum()), int(counts.sum()), counts > 0
    balanced, chance = float((hits[seen] / counts[seen]).mean()), 1 / int(seen.sum())
    best = _finds(e, rare)
    is_found = (
        best is not None and best.balanced - balanced > _FINDS and best.least > _most(named, int(counts[rare].sum()))
    )
    if not (all_rare or is_found):
        return
    names = [e.about.class_names[j] for j in rare]
    told = "" if best is None else f" {best.words}"
    never = "never" if not named else "hardly ever"
    yield Finding(
        "ignored_classes", "problem" if is_found else "warning", None,
        f"The network {never} names {'class' if len(names) == 1 else 'the classes'} {first_few(names)}"
        f"{f': it calls nearly every row {e.about.class_names[top]}' if all_rare else ''}.",
        f"Of {int(counts[rare].sum()):,} such rows among {n:,} held-out ones it names {named} rightly. Accuracy "
        f"{hits.sum() / n:.3f}, by always naming {e.about.class_names[top]} {counts[top] / n:.3f}; averaged over the "
        f"classes {balanced:.3f} (chance {chance:.3f}); average precision {x.rows.precision:.3f} (chance "
        f"{chance:.3f}).{told}",
        "An accuracy over all rows hides it: the largest class alone makes it high.",
        "Judge by the accuracy averaged over the classes and by average precision; weigh rare classes more in the "
        "loss, sample them more often, or lower the score from which they are named.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    """What a read-out makes of rare rows: its accuracy averaged over the classes, and how many of them it finds."""

    balanced: float
    least: float
    words: str


def _finds(e: Evidence, rare: list[int]) -> _Found | None:
    """The read-out that is best on average over the classes."""
    known = [(layer, r) for layer, r in e.layers_with(Readout) if r.confusion is not None and np.isfinite(r.balanced)]
    if not known:
        return None
    layer, r = max(known, key=lambda pair: pair[1].balanced)
    hits, n = (0, 0) if r.confusion is None else (np.diag(r.confusion)[rare].sum(), r.confusion.sum(1)[rare].sum())
    words = (
        f"A {READERS[r.reader]} of {name_of(layer)} names {int(hits):,} of {int(n):,} such rows rightly, with an "
        f"average precision of {r.precision:.3f}."
    )
    return _Found(r.balanced, float(wilson(int(hits), int(n), SURE)[0]), words)


def _most(hits: int, n: int) -> float:
    """Upper end of the interval of a share."""
    return float(wilson(hits, n)[1])


def shuffled_labels(e: Evidence) -> Iterator[Finding]:
    """Labels that do not follow from their inputs in one part, though they do in the other."""
    x = e.examination
    if x is None or not math.isfinite(x.rows.in_train) or not math.isfinite(x.rows.in_held_out):
        return
    t, h, s, r = x.rows.in_train, x.rows.in_held_out, x.scores, x.rows
    base_t, base_h = r.majority_train, s.majority
    easy = base_h + 0.25 * (h - base_h)
    has_classes = bool(e.about.class_names)
    gap = 0.3 if has_classes else _GAP_R2
    base, base_too = (f" (most frequent class {base_t:.3f})", f" ({base_h:.3f})") if has_classes else ("", "")
    seen = (
        f"Trees, cross-validated, reach an {e.score} of {t:.3f} within the training rows{base} and {h:.3f} within the "
        f"held-out rows{base_too}. {e.own_score}"
    )
    if h > base_h + _BEYOND and t < base_t + 0.25 * (h - base_h) and max(s.held_out, _number(s.reachable)) < easy:
        part, why = "training", "The training labels look shuffled: they are unrelated to their rows."
    elif t > base_t + _BEYOND and h < base_h + 0.25 * (t - base_t):
        part, why = "held-out", "The held-out labels look shuffled: they are unrelated to their rows."
    elif s.train - s.held_out > gap and t < base_t + 0.03 and h < base_h + 0.05:
        part, why = "all", "The labels look unrelated to their rows, and are memorised."
    else:
        return
    yield Finding(
        "shuffled_labels", "problem", None, why, seen,
        "What does not follow from the inputs can only be learned by heart.",
        f"Check the order of labels and rows in the {part} data." if part != "all" else
        "Check the order of the labels against their rows.",
    )  # fmt: skip


def noisy_labels(e: Evidence) -> Iterator[Finding]:
    """Labels that the other rows contradict as surely as they confirm the right ones, or that the network does."""
    x = e.examination
    if x is None or not e.about.class_names or x.n_train < _NOISE_ROWS:
        return
    level: Severity = "problem"
    share_wrong, seen = _noise_by_trees(e, x)
    if not share_wrong:
        level, (share_wrong, seen) = "warning", _noise_by_network(x)
    if not share_wrong:
        return
    also = ""
    if x.rows.noise_held_out > _LEAST_NOISE and x.n_held_out >= _NOISE_ROWS:
        also = f"; among the held-out labels about {percent(round(x.rows.noise_held_out, 2))}"
    yield Finding(
        "noisy_labels", level, None,
        f"Many training labels are wrong: label noise of about {percent(round(share_wrong, 2))}.",
        f"{seen}{also}. {e.own_score}",
        "A network that fits wrong labels learns them by heart.",
        "Clean the labels, or stop training earlier.",
    )  # fmt: skip


def _noise_by_trees(e: Evidence, x: Examination) -> tuple[float, str]:
    """The share of wrong training labels that trees tell, and how it was found; 0 where these do not cost anything.

    A network that tells the rows, as they are labelled, worse than trees do falls short by something else.
    """
    s = x.scores
    if s.train < x.rows.in_train - s.margin or not (e.is_ill or s.train - s.held_out > _BY_HEART):
        return 0.0, ""
    share_wrong, seen = _noise_by_parts(x) if e.is_ill else (0.0, "")
    return (share_wrong, seen) if share_wrong else _noise_within(x)


def _noise_by_parts(x: Examination) -> tuple[float, str]:
    """The share of wrong training labels where the held-out ones are clean, and how it was found; 0 for none."""
    inside, clean = x.rows.in_train, x.scores.curved
    if not math.isfinite(clean):
        return 0.0, ""
    error = math.sqrt(inside * (1 - inside) / x.n_train + clean * (1 - clean) / x.n_held_out)
    if not clean - inside > max(_NOISE_ERRORS * error, 0.08):
        return 0.0, ""
    seen = f"The same trees tell {inside:.3f} of training rows left out and {clean:.3f} of the held-out rows"
    return 1 - inside / clean, seen


def _noise_within(x: Examination) -> tuple[float, str]:
    """The same from the training rows alone, where trees can tell the rest of them."""
    noise, inside = x.rows.noise, x.rows.in_train
    half = noise / 2
    error = 2 * math.sqrt(max(half * (1 - half), 0.0) / x.n_train) if math.isfinite(noise) else math.nan
    if not (noise - _ONE_SIDED * error > _LEAST_NOISE and inside >= _TELL_REST * (1 - noise)):
        return 0.0, ""
    return noise, (
        f"{percent(round(half, 2))} of the training labels are contradicted by trees that were fitted to the other "
        "rows, by more votes than the median of those they confirm: about half of the wrong ones"
    )


def _noise_by_network(x: Examination) -> tuple[float, str]:
    """The same from a network that is right more often on rows it has not seen: of rows alike, that is their labels."""
    t, h, k = x.scores.train, x.scores.held_out, 0 if x.rows.counts is None else len(x.rows.counts)
    by_chance = (1 - h) / max(k - 1, 1)
    if not (x.is_declared and x.rows.apart <= APART and h > by_chance):
        return 0.0, ""
    error = math.sqrt(t * (1 - t) / x.n_train + h * (1 - h) / max(x.n_held_out, 1))
    if not h - t > max(_NOISE_ERRORS * error, _LEAST_NOISE):
        return 0.0, ""
    return (h - t) / (h - by_chance), (
        f"The network is right on {t:.3f} of the rows it was trained on and on {h:.3f} of the held-out ones, though "
        "their inputs look alike (else the training rows are the harder ones, as augmented rows are)"
    )


def _number(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def shifted(e: Evidence) -> Iterator[Finding]:
    """Training and held-out inputs that differ."""
    x = e.examination
    if x is None or not x.rows.apart > APART:
        return
    s, gap = x.scores, x.scores.train - x.scores.held_out
    costs = gap > 0.05 and (e.is_ill or x.rows.in_held_out - s.held_out > s.margin)
    yield Finding(
        "shifted", "note" if not costs else "problem" if x.rows.apart > _FAR_APART else "warning", None,
        "Training and held-out inputs come from different distributions: a shift between the parts.",
        f"Trees tell which part a row is from with an area under the ROC curve of {x.rows.apart:.2f} "
        f"(one half is chance). {e.own_score}",
        "What is learned on the one does not hold on the other.",
        "Prepare both parts in the same way: scaling, order of columns, source.",
    )  # fmt: skip


def leaked(e: Evidence) -> Iterator[Finding]:
    """A column that tells the label, or held-out rows that were trained on."""
    x = e.examination
    if x is None:
        return
    if x.rows.copies > _COPIES:
        yield Finding(
            "duplicated_rows", "warning", None,
            f"{percent(x.rows.copies)} of the held-out rows are among the training rows too.",
            f"Equal inputs, over {x.n_held_out:,} held-out and {x.n_train:,} training rows examined.",
            "The held-out score is then a score on rows the network has seen.",
            "Split again without copies, by group where rows belong together.",
        )  # fmt: skip
    if x.rows.leak >= 0:
        yield Finding(
            "leak", "warning", None,
            f"{_column(x.rows)} alone tells the label: a leak of the label?",
            f"A tree on this column is right on {x.rows.leak_score:.3f} of the held-out rows."
            if e.about.class_names else f"A tree on this column has a held-out R² of {x.rows.leak_score:.3f}.",
            "If the column is made from the label, the network will fail where that is not known.",
            "Check where this column comes from.",
        )  # fmt: skip


def _column(found: DataFacts) -> str:
    """The column that tells the label, by its name where it has one."""
    return f"Input column {found.leak}" if not found.leak_name else f"Input column \u201c{found.leak_name}\u201d"


def unscaled(e: Evidence) -> Iterator[Finding]:
    """Inputs or targets of large or widely different scale."""
    x = e.examination
    if x is None or not x.weights:
        return
    r, is_regression = x.rows, not e.about.class_names
    wide = r.spread_high > 20 * r.spread_median and r.spread_high > 10
    is_bad = not r.is_normalised and (wide or r.size > 20)
    far = is_regression and (r.y_spread > 100 or abs(r.y_mean) > 5 * max(r.y_spread, 1e-9))
    if not (is_bad or far):
        return
    scaled = x.trial("fresh, scaled")
    gains = scaled is not None and scaled.train - x.scores.train > 0.03 and scaled.held_out - x.scores.held_out > 0.01
    more = f" A fresh copy on standardised inputs reaches {scaled.held_out:.3f}." if scaled is not None else ""
    also = f" Targets have mean {r.y_mean:.3g} and standard deviation {r.y_spread:.3g}." if far else ""
    what = "The input features are not standardised: their scale is large or differs." if is_bad else (
        "The targets are not scaled: their mean or scale is large."
    )  # fmt: skip
    yield Finding(
        "unscaled", "problem" if e.is_ill else "warning" if gains else "note", None, what,
        f"Standard deviations of the columns run from {r.spread_low:.3g} to {r.spread_high:.3g}, overall size "
        f"{r.size:.3g}.{also}{more} {e.own_score}",
        "Steps that suit one column are far too large or too small for another, and activations saturate or die.",
        f"Standardise the inputs{' and the targets' if far else ''} with the mean and spread of the training rows.",
    )  # fmt: skip
