"""The same rows in a plane for every layer: planes of the field and neighbour embeddings, laid onto each other.

In: a model and data, or a study. Out: `LayerMaps`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack, final

import numpy as np
from torch import get_num_threads, nn

from unbend._typing import Array, Bool, Float, Float64, Int64
from unbend.errors import DataError
from unbend.explain.defaults import MAP_METHODS, MAP_ROWS, PLANES
from unbend.explain.maps.rows import LayerRows, rows_of_model, rows_of_study
from unbend.explain.maps.texts import texts_of
from unbend.explain.setup import setup
from unbend.numerics.embedding import PERPLEXITY, Embedder, Number, embedder
from unbend.numerics.neighbours import (
    NEIGHBOURS,
    Ranks,
    agreement,
    nearest,
    neighbour_accuracy,
    preservation,
    ranks,
    trustworthiness,
)
from unbend.numerics.planes import discriminant_axes, variance_axes
from unbend.numerics.procrustes import displacement, turn, unit_size
from unbend.numerics.result import result
from unbend.numerics.second import SecondState
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs
from unbend.study.values import Study

_NAN = float("nan")
_PROBED = 16
"""Rows whose distances to all others tell whether two layers hold the same picture,"""
_ROUNDING = 1e-5
"""up to this share of the mean distance."""


@result
class MapSeries:
    """One method's map of every layer, each laid onto the one before.

    Every map is centred, in units of the root-mean-square distance of its rows from the middle, and turned or mirrored
    as a whole. What it says of the neighbours of a row is about the 10 nearest.

    Attributes:
        method: `pca`, `discriminant`, `tsne`, `umap` or `pacmap`.
        engine: the package that made it, with its version.
        words: its settings.
        points: where each row lies in each layer [l, n, 2].
        movement: mean distance that a row moves from the layer before [l]; NaN for the first.
        trustworthiness: whether neighbours in the map are near in the layer [l]; about ½ for a random plane.
        preservation: share of a row's neighbours in the layer that are its neighbours in the map [l].
        accuracy: share of the held-out rows whose class most of their neighbours among the training rows have, in the
            map [l]; NaN without classes.
        moved_by_start: mean distance between the places of a row when the map is made again from a random start, laid
            onto this one [l]; NaN for planes, and where it was not made again.
        agreement: share of a row's neighbours in the map that are its neighbours in that other one [l].
    """

    method: str
    engine: str
    words: str
    points: Float64[Array, "l n 2"]
    movement: Float64[Array, "l"]
    trustworthiness: Float64[Array, "l"]
    preservation: Float64[Array, "l"]
    accuracy: Float64[Array, "l"]
    moved_by_start: Float64[Array, "l"]
    agreement: Float64[Array, "l"]


@result
class LayerMaps:
    """The same rows in a plane for every layer, by one or several methods.

    Attributes:
        layers: in the order in which they run; the input first where it is numbers.
        labels: what pictures call them.
        ids: row numbers in the data set [n].
        y: class of each row [n]; for a regression which fifth of the targets it is in.
        held_out: whether it was held out [n].
        class_names: of the classes, or of no and yes to one label of several; none for a regression.
        label_names: of several yes/no labels; else none.
        marks: which of these each row has [n, t].
        by: the label that rows are told apart by; empty without several.
        texts: the rows as words, where they are tokens and the vocabulary is known; else none.
        accuracy: share of the held-out rows whose class most of their 10 nearest training rows have, in the layer
            itself [l].
        base_rate: share of the most frequent class among the held-out rows; NaN without classes.
        series: one for each method.
        n_left_out: rows left out because a layer has a value that is not finite.
    """

    layers: tuple[str, ...]
    labels: tuple[str, ...]
    ids: Int64[Array, "n"]
    y: Int64[Array, "n"]
    held_out: Bool[Array, "n"]
    class_names: tuple[str, ...]
    label_names: tuple[str, ...]
    marks: Bool[Array, "n t"]
    by: str
    texts: tuple[str, ...]
    accuracy: Float64[Array, "l"]
    base_rate: float
    series: tuple[MapSeries, ...]
    n_left_out: int

    def __getitem__(self, method: str) -> MapSeries:
        """The maps of one method.

        Raises:
            DataError: it is not among them.
        """
        for one in self.series:
            if one.method == method:
                return one
        raise DataError(f"maps: no {method!r} among them. There are: {', '.join(one.method for one in self.series)}.")


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A layer's rows, with what is asked of them for every method."""

    name: str
    rows: Float64[Array, "n d"]
    ranks: Ranks


@with_bars
def maps(  # noqa: PLR0913  every setting by name, so that an editor completes it
    model: nn.Module | Study,
    data: Any = None,
    *,
    methods: Sequence[str] | None = None,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    rows: int = MAP_ROWS,
    perplexity: Number = PERPLEXITY,
    seed: int = 0,
    restarts: int = 1,
    by: str | None = None,
    words: Sequence[str] | Callable[[int], str] | None = None,
    batch_size: int = 512,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> LayerMaps:
    """The same rows in a plane for every layer: PCA, discriminant plane, t-SNE, UMAP, PaCMAP.

    Each layer's embedding starts from the map of the layer before, and every map is turned and mirrored to lie on the
    one before, so that what moves between two layers is what the layer moved, as far as the method can tell.
    `restarts` more maps of each layer from random starts tell how far that is.

    Args:
        model: any module, which stays as it is; or a study, whose row sample is shown.
        data: samples, as `unbend.study` takes them; None for a study.
        methods: of `pca`, `discriminant`, `tsne`, `umap`, `pacmap`; None for the first three.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs (of a study: names); None for a sensible choice.
        rows: rows that are shown, half of them held-out rows where there are as many.
        perplexity: of t-SNE: about how many neighbours count.
        seed: of the embeddings and of random starts.
        restarts: how often each embedding is made again from a random start.
        by: which of several yes/no labels rows are told apart by; None for the first. The page lets one choose.
        words: the vocabulary, where the input is token numbers: a list, or a function of the number.
        batch_size: rows per forward pass.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: no such method, labels that are no classes, or fewer than 16 finite rows.
        LayerError: no such layer.
        MissingExtraError: the package of a method is not installed.

    Cost:
        One pass over the data; t-SNE of 1,000 rows takes some two seconds of one core, for each layer and start.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=300, seed=0)
        >>> net = unbend.zoo.mlp([2, 8, 2], seed=0)
        >>> found = unbend.maps(net, (data.x_train, data.y_train), methods=["pca"], rows=100)
        >>> found["pca"].points.shape, bool(found["pca"].trustworthiness[0] > 0.99)
        ((4, 100, 2), True)
    """
    chosen = _choose(methods)
    for method in chosen:
        if method not in PLANES:
            embedder(method, rows, perplexity=perplexity)  # a package that is missing is told of before the pass
    texts: tuple[str, ...] = ()
    if isinstance(model, Study):
        _refuse(read_as)
        shown = rows_of_study(model, rows, layers, by)
    else:
        with setup(
            model, data, held_out=held_out, layers=layers, rows=64, batch_size=batch_size, needs_classes=False,
            **read_as,
        ) as made:  # fmt: skip
            shown = rows_of_model(made, rows, by, progress)
            texts = texts_of(made.work, words, shown.ids, shown.held_out)
    if "discriminant" in chosen and not shown.has_classes and methods is None:
        chosen = tuple(method for method in chosen if method != "discriminant")
    n_maps = sum(1 if method in PLANES else 1 + restarts for method in chosen)
    tick = ticker(progress, "Drawing maps", n_maps * len(shown.layers))
    ways = [_Way(method, _Settings(perplexity, seed, restarts, lambda: tick(1)), shown) for method in chosen]
    accuracy = []
    for name, table in zip(shown.layers, shown.tables, strict=True):
        layer = _layer(name, table)
        accuracy.append(_accuracy(layer.rows, shown))
        for way in ways:
            way.add(layer)
    held = shown.y[shown.held_out]
    return LayerMaps(
        layers=shown.layers, labels=shown.labels, ids=shown.ids, y=shown.y, held_out=shown.held_out,
        class_names=shown.class_names, label_names=shown.label_names, marks=shown.marks, by=shown.by, texts=texts,
        accuracy=np.array(accuracy),
        base_rate=float(np.bincount(held).max() / len(held)) if shown.class_names and len(held) else float("nan"),
        series=tuple(way.series() for way in ways), n_left_out=shown.n_left_out,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Settings:
    perplexity: Number
    seed: int
    restarts: int
    tick: Callable[[], None]


def _refuse(read_as: ReadAs) -> None:
    """Refuse what says how data are read: those of a study have been read."""
    told = [name for name, value in read_as.items() if value is not None]
    if told:
        raise DataError(
            f"{told[0]}: a saved study has been read already. Leave it out, or give the model and its data."
        )


def _choose(methods: Sequence[str] | None) -> tuple[str, ...]:
    unknown = [method for method in methods or () if method not in MAP_METHODS]
    if unknown or (methods is not None and not methods):
        raise DataError(f"methods: expected some of {', '.join(MAP_METHODS)}, got {', '.join(unknown) or 'none'}.")
    wanted = MAP_METHODS[:3] if methods is None else methods
    return tuple(method for method in MAP_METHODS if method in wanted)


@final
class _Way:
    """The maps of one method, layer after layer: only the one before is needed for the next."""

    def __init__(self, method: str, how: _Settings, shown: LayerRows) -> None:
        self._method, self._how, self._shown = method, how, shown
        self._make = None if method in PLANES else self._embedder(0)
        self._points: list[Array] = []
        self._last: Array | None = None
        self._found: list[tuple[float, ...]] = []

    def add(self, layer: _Layer) -> None:
        """The map of the next layer, and what it is worth."""
        before = self._points[-1] if self._points else None
        last, self._last = self._last, layer.rows
        if before is not None and last is not None and is_alike(layer.rows, last):
            raw = before
        elif self._make is None:
            raw = _plane(self._method, layer, self._shown.second.get(layer.name), self._shown)
        else:
            raw = self._make(layer.rows, start_of(layer.rows) if before is None else before)
        points = unit_size(raw) if before is None else turn(unit_size(raw), before)
        near = nearest(points, layer.ranks.anchors, _k(len(points)))
        self._how.tick()
        self._points.append(points)
        self._found.append((
            _NAN if before is None else displacement(points, before), trustworthiness(layer.ranks, near),
            preservation(layer.ranks, near), _accuracy(points, self._shown), *self._again(layer, points, near),
        ))  # fmt: skip

    def series(self) -> MapSeries:
        """All of them."""
        moved, trust, kept, accuracy, moved_by_start, same = np.array(self._found).T
        return MapSeries(
            method=self._method, engine="" if self._make is None else self._make.engine,
            words="" if self._make is None else self._make.words, points=np.stack(self._points), movement=moved,
            trustworthiness=trust, preservation=kept, accuracy=accuracy, moved_by_start=moved_by_start,
            agreement=same,
        )  # fmt: skip

    def _embedder(self, more: int) -> Embedder:
        how, n = self._how, len(self._shown.ids)
        return embedder(self._method, n, perplexity=how.perplexity, seed=how.seed + more, threads=get_num_threads())

    def _again(self, layer: _Layer, points: Array, near: Array) -> tuple[float, float]:
        """How far rows move, and how many neighbours stay, when the map is made again from random starts."""
        if self._make is None or not self._how.restarts:
            return _NAN, _NAN
        found = []
        for i in range(1, self._how.restarts + 1):
            start = np.random.default_rng((self._how.seed, i)).normal(size=points.shape)
            other = turn(unit_size(self._embedder(i)(layer.rows, start)), points)
            same = agreement(near, nearest(other, layer.ranks.anchors, near.shape[1]))
            found.append((displacement(other, points), same))
            self._how.tick()
        moved, same = np.mean(found, axis=0)
        return float(moved), float(same)


def is_alike(rows: Float64[Array, "n d"], others: Float64[Array, "n e"]) -> bool:
    """Whether rows lie as others do, turned, mirrored or in another size, so that their maps are one.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(50, 3))
        >>> is_alike(2 * rows[:, ::-1], rows), is_alike(rows, rows**2)
        (True, False)
    """
    from scipy.spatial.distance import cdist  # noqa: PLC0415  half a second to load

    step = -(-len(rows) // _PROBED)
    far, other = cdist(rows, rows[::step]), cdist(others, others[::step])
    size, beside = float(far.mean()), float(other.mean())
    return size > 0 and beside > 0 and float(np.abs(far / size - other / beside).max()) < _ROUNDING


def _plane(method: str, layer: _Layer, second: SecondState | None, shown: LayerRows) -> Float64[Array, "n 2"]:
    """The rows in a plane that was fitted to the training rows."""
    if method == "pca":
        return layer.rows @ (_axes(layer.rows) if second is None else variance_axes(second)[1])
    if second is None or not shown.has_classes:
        raise DataError("discriminant: needs classes and the second moments of every layer. Leave it out.")
    return layer.rows @ discriminant_axes(second)


def start_of(rows: Float64[Array, "n d"]) -> Float64[Array, "n 2"]:
    """Where the first layer's embedding starts: the plane of most variance of these rows, which are centred."""
    return unit_size(rows @ _axes(rows))


def _axes(rows: Float64[Array, "n d"]) -> Float64[Array, "d 2"]:
    """The two directions of most variance among these rows."""
    _, _, right = np.linalg.svd(rows, full_matrices=False)
    axes = np.zeros((rows.shape[1], 2))
    k = min(2, len(right))
    axes[:, :k] = right[:k].T
    return axes * np.where(axes[np.abs(axes).argmax(0), range(2)] < 0, -1.0, 1.0)


def _layer(name: str, table: Float[Array, "n d"]) -> _Layer:
    rows = table.astype(np.float64)
    rows -= rows.mean(0)
    return _Layer(name, rows, ranks(rows))


def _k(n: int) -> int:
    return min(NEIGHBOURS, (n - 1) // 2)


def _accuracy(points: Float64[Array, "n d"], shown: LayerRows) -> float:
    return neighbour_accuracy(points, shown.y, shown.held_out) if shown.class_names else float("nan")
