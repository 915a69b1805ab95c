"""Neighbour embeddings: clusters apart stay apart, the same seed gives the same map, what is missing is told of."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from unbend.errors import DataError, MissingExtraError
from unbend.numerics import embedding
from unbend.numerics.embedding import embedder

rng = np.random.default_rng(0)
LABEL = np.repeat(np.arange(3), 25)
ROWS = 12 * np.eye(3, 6)[LABEL] + rng.normal(size=(75, 6))
START = ROWS @ rng.normal(size=(6, 2))


def without(monkeypatch, *packages):
    monkeypatch.setattr(embedding, "find_spec", lambda name: None if name in packages else find_spec(name))


def is_clustered(points):
    distances = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(75)
    return (LABEL[distances.argmin(1)] == LABEL).all()


@pytest.mark.parametrize("package", ["openTSNE", "scikit-learn"])
def test_t_sne_keeps_clusters_together_the_same_for_every_scale_and_seed_alike(package, monkeypatch):
    if package == "scikit-learn":
        without(monkeypatch, "openTSNE")
    else:
        pytest.importorskip("openTSNE")
    make = embedder("tsne", 75, perplexity=10, seed=3)
    assert make.engine.startswith(package)
    assert make.words == "perplexity 10, seed 3"
    points = make(ROWS, START)
    assert points.shape == (75, 2)
    assert is_clustered(points)
    np.testing.assert_array_equal(embedder("tsne", 75, perplexity=10, seed=3)(ROWS, START), points)


def test_perplexity_is_at_most_a_third_of_the_rows():
    assert embedder("tsne", 31, perplexity=30).words == "perplexity 10, seed 0"
    with pytest.raises(DataError, match="perplexity"):
        embedder("tsne", 31, perplexity=0)
    with pytest.raises(DataError, match="at least 16"):
        embedder("tsne", 15)


@pytest.mark.parametrize(("method", "module", "package"), [("umap", "umap", "umap-learn"), ("pacmap",) * 3])
def test_a_missing_package_is_told_of_with_the_extra_that_brings_it(method, module, package, monkeypatch):
    without(monkeypatch, module)
    with pytest.raises(
        MissingExtraError, match=rf"needs the package {package}. Install it: pip install 'unbend\[{method}"
    ):
        embedder(method, 100)


def test_another_method_is_refused():
    with pytest.raises(DataError, match="expected tsne, umap or pacmap, got 'mds'"):
        embedder("mds", 100)


class Writer:
    """Stands for PaCMAP, which seeds numpy's global generator and warns of it."""

    def __init__(self, **settings):
        self.settings = settings

    def fit_transform(self, rows, init):
        np.random.seed(5)  # noqa: NPY002
        import warnings

        warnings.warn("as these packages do", UserWarning, stacklevel=1)
        return init + len(rows)


def test_numpys_generator_and_the_warnings_of_others_are_left_alone(monkeypatch):
    module = type(sys)("pacmap")
    module.PaCMAP = Writer
    monkeypatch.setitem(sys.modules, "pacmap", module)
    monkeypatch.setattr(embedding, "find_spec", lambda _name: True)
    monkeypatch.setattr(embedding, "_version", lambda package: f"{package} 1")
    np.random.seed(11)  # noqa: NPY002
    first = np.random.random()  # noqa: NPY002
    np.random.seed(11)  # noqa: NPY002
    np.testing.assert_array_equal(embedder("pacmap", 75)(ROWS, START), START + 75)
    assert np.random.random() == first  # noqa: NPY002
