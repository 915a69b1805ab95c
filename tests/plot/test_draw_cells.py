"""Pictures of cells: what is on the axes is what was found."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.piecewise import network
from unbend.plot import cells as plot


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    net = network([rng.standard_normal((6, 2))], [rng.standard_normal(6) / 3], rng.standard_normal((3, 6)), np.zeros(3))
    return cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0)))


def test_every_face_and_every_kink_is_drawn(found):
    ax = Figure().subplots()
    plot.cells(ax, found)
    (faces,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    (kinks,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert len(faces.get_paths()) == found.n_faces
    assert len(kinks.get_segments()) == int((found.hinges >= 0).sum())
    corners = faces.get_paths()[0].vertices[:-1]
    assert np.allclose(corners, found.corners(0))
    assert ax.get_xlim() == (-1.0, 1.0)
    assert len(np.unique(faces.get_facecolor(), axis=0)) > found.n_faces // 2


def test_the_boundary_and_the_samples_are_drawn(found):
    edge = boundary(found)
    ax = Figure().subplots()
    points = np.random.default_rng(1).uniform(-1, 1, (20, 2))
    plot.cells(ax, found, boundary=edge, points=points, labels=np.arange(20) % 3)
    drawn = [c for c in ax.collections if c.get_gid() == "boundary"]
    assert len(drawn[0].get_segments()) == len(edge.polylines)
    (faces,) = [c for c in ax.collections if c.get_gid() == "faces"]
    assert len(faces.get_paths()) == int((edge.face_class >= 0).sum()) + len(edge.part_class)
    assert np.allclose(ax.collections[-1].get_offsets(), points)


def test_a_pattern_keeps_its_colour_from_frame_to_frame(found):
    level = plot.pattern_level(found)
    assert ((level >= 0) & (level <= 1)).all()
    smaller = cells(found.network, Plane.box((-0.5, -0.5), (0.5, 0.5)))
    here = {row.tobytes(): value for row, value in zip(found.bits(), level, strict=True)}
    again = plot.pattern_level(smaller)
    assert [here[row.tobytes()] for row in smaller.bits()] == pytest.approx(again.tolist())


def test_an_animation_has_one_frame_per_snapshot(found, tmp_path):
    figure = Figure()
    ax = figure.subplots()
    film = plot.animation(figure, ax, [found, found], titles=["step 0", "step 1"])
    film.save(tmp_path / "film.gif", writer="pillow")
    assert (tmp_path / "film.gif").stat().st_size > 1000
    assert f"{found.n_faces}" in ax.get_title(loc="left")
