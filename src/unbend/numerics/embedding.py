"""Neighbour embeddings: rows of many columns in a plane, so that the nearest stay near. t-SNE, UMAP, PaCMAP.

In: rows, and where they start in the plane. Out: where they end. The work is done by packages of the field, which are
extras; t-SNE falls back on scikit-learn's, several times slower.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from logging import WARNING, Filter, getLogger
from typing import Any, TypeAlias

import numpy as np

from unbend._typing import Array, Float64
from unbend.errors import DataError, MissingExtraError

PERPLEXITY = 30.0
FEWEST = 16
"""Rows that an embedding needs."""
_START = 1e-4
"""Spread of the start of t-SNE: from a wide one it does not get away (Kobak and Berens 2019)."""
_NEIGHBOURS: dict[str, int] = {"umap": 15, "pacmap": 10}
_PACKAGES: dict[str, tuple[str, str]] = {
    "umap": ("umap", "umap-learn"),
    "pacmap": ("pacmap", "pacmap"),
}
"""Module and package of a method that has one home."""
Number: TypeAlias = int | float
Embed: TypeAlias = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Embedder:
    """A way to embed rows, made ready.

    Attributes:
        method: `tsne`, `umap` or `pacmap`.
        engine: the package that does the work, with its version.
        words: its settings, in words.
        run: from rows [n, d] and a start [n, 2] to points [n, 2].
    """

    method: str
    engine: str
    words: str
    run: Embed

    def __call__(self, rows: Float64[Array, "n d"], start: Float64[Array, "n 2"]) -> Float64[Array, "n 2"]:
        """The rows in a plane."""
        with _kept_apart():
            return np.asarray(self.run(_even(rows), start), np.float64)


def embedder(method: str, n: int, *, perplexity: Number = PERPLEXITY, seed: int = 0, threads: int = 1) -> Embedder:
    """A neighbour embedding of `n` rows.

    Args:
        method: `tsne`, `umap` or `pacmap`.
        n: rows.
        perplexity: of t-SNE: about how many neighbours count; at most a third of the rows.
        seed: of what is left to chance.
        threads: that t-SNE may use.

    Raises:
        DataError: no such method, or fewer than 16 rows.
        MissingExtraError: its package is not installed.

    Example:
        >>> embedder("tsne", 60, perplexity=50).words
        'perplexity 19.7, seed 0'
    """
    if n < FEWEST:
        raise DataError(f"rows: expected at least {FEWEST} for a neighbour embedding, got {n}. Pass more rows.")
    if method == "tsne":
        near = float(min(perplexity, (n - 1) / 3))
        if not near >= 1:
            raise DataError(f"perplexity: expected at least 1, got {perplexity:g}.")
        engine, run = _tsne(near, seed, threads)
        return Embedder(method, engine, f"perplexity {near:.3g}, seed {seed}", run)
    if method not in _PACKAGES:
        raise DataError(f"method: expected tsne, umap or pacmap, got {method!r}.")
    module, package = _PACKAGES[method]
    if find_spec(module) is None:
        raise MissingExtraError(
            f"maps: {method} needs the package {package}. Install it: pip install 'unbend[{method}]'."
        )
    k = min(_NEIGHBOURS[method], n - 1)
    run = _umap(k, seed) if method == "umap" else _pacmap(k, seed)
    return Embedder(method, _version(package), f"{k} neighbours, seed {seed}", run)


def _tsne(perplexity: float, seed: int, threads: int) -> tuple[str, Embed]:
    """That of openTSNE where it is installed, else scikit-learn's."""

    def embed(rows: Array, start: Array) -> Array:
        import openTSNE  # an extra

        made = openTSNE.TSNE(perplexity=perplexity, initialization=_small(start), random_state=seed, n_jobs=threads)
        return np.asarray(made.fit(rows))

    def plain(rows: Array, start: Array) -> Array:
        from sklearn.manifold import TSNE  # slow to import

        small = _small(start).astype(np.float32)
        made = TSNE(perplexity=perplexity, init=small, random_state=seed, n_jobs=threads)
        return made.fit_transform(rows)

    return (_version("openTSNE"), embed) if find_spec("openTSNE") else (_version("scikit-learn"), plain)


def _umap(k: int, seed: int) -> Embed:
    def run(rows: Array, start: Array) -> Array:
        umap: Any = import_module("umap")
        return umap.UMAP(n_neighbors=k, init=start.astype(np.float32), random_state=seed, n_jobs=1).fit_transform(rows)

    return run


def _pacmap(k: int, seed: int) -> Embed:
    def run(rows: Array, start: Array) -> Array:
        pacmap: Any = import_module("pacmap")
        return pacmap.PaCMAP(n_neighbors=k, random_state=seed).fit_transform(rows.astype(np.float32), init=start)

    return run


def _small(start: Float64[Array, "n 2"]) -> Float64[Array, "n 2"]:
    spread = float(start.std())
    return start * (_START / spread) if spread > 0 else start


def _even(rows: Float64[Array, "n d"]) -> Float64[Array, "n d"]:
    """Rows around their mean, in units of their spread: all of these methods are the same at every scale."""
    centred = rows - rows.mean(0)
    spread = float(np.sqrt((centred**2).mean()))
    return centred / spread if spread > 0 else centred


def _version(package: str) -> str:
    from importlib.metadata import version  # reads the disk

    return f"{package} {version(package)}"


@contextmanager
def _kept_apart() -> Iterator[None]:
    """Without what these packages say of themselves, and with numpy's global generator as it was: PaCMAP seeds it."""
    state = np.random.get_state()  # noqa: NPY002  the one that they write to
    quiet = Filter()
    quiet.filter = lambda record: record.levelno > WARNING  # type: ignore[method-assign]
    logger = getLogger("pacmap.pacmap")
    logger.addFilter(quiet)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeFilter(quiet)
        np.random.set_state(state)  # noqa: NPY002  put back as it was
