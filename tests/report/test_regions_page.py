"""The page of regions: self-contained, complete, safe."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.piecewise import network
from unbend.report import regions
from unbend.report.regions import PlaneSamples, regions_page
from unbend.study.window import FlatSamples, samples_on


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    net = network([rng.standard_normal((6, 2))], [rng.standard_normal(6) / 3], rng.standard_normal((2, 6)), np.zeros(2))
    return cells(net, Plane.box((-1.0, -1.0), (1.0, 1.0)))


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def array(blob):
    return np.frombuffer(base64.b64decode(blob["data"]), f"<{blob['type']}")


def test_the_page_holds_maps_patterns_and_the_boundary(found):
    edge = boundary(found)
    samples = PlaneSamples(np.zeros((1, 2)), np.zeros(1, np.int64), ("</script><b>", "two"))
    page = regions_page([found], boundaries=[edge], samples=samples, title="<i>net</i>")
    assert not re.search(r'(?:src|href)="http', page)
    assert "<i>net</i>" not in page
    assert page.count("</script>") == 2
    data = data_of(page)
    assert data["class_names"] == ["</script><b>", "two"]
    (frame,) = data["frames"]
    weight, bias = found.affine()
    maps = np.concatenate([weight, bias[:, :, None]], axis=2)
    assert np.allclose(array(frame["maps"]), maps.ravel(), rtol=1e-6, atol=1e-7)
    bits = np.unpackbits(array(frame["bits"]).reshape(found.n_faces, -1), axis=1, count=6).astype(bool)
    assert (bits == found.bits()).all()
    assert len(array(frame["segments"])) == 4 * len(edge.segments)
    assert f"{found.n_faces:,} regions" in page


def test_a_film_and_a_cut_search(found, monkeypatch):
    part = cells(found.network, found.plane, max_cells=2)
    monkeypatch.setattr(regions, "_MOST_BYTES", 10)
    page = regions_page([found, part], titles=["start", "end"])
    assert "Not complete" in page
    frames = data_of(page)["frames"]
    assert [frame["title"] for frame in frames] == ["start", "end"]
    assert "maps" not in frames[0]


def test_outlines_that_do_not_fit_become_a_picture_of_the_same_classes_and_kinks(found, monkeypatch):
    monkeypatch.setattr(regions, "_MOST_BYTES", 600)
    page = regions_page([found], boundaries=[boundary(found)])
    assert "Drawn as a picture: the outlines are too many for one page." in page
    assert len(page) - len(regions_page([found])) < 20_000
    (frame,) = data_of(page)["frames"]
    assert frame["n_faces"] == 0
    assert ["regions", f"{found.n_faces:,}"] in frame["facts"]
    height, width = frame["picture"]["size"]
    at = (np.arange(width) + 0.5) / width
    points = np.stack(np.meshgrid(2 * at - 1, 1 - 2 * at), axis=-1).reshape(-1, 2)
    faces = found.locate(points)
    weight, bias = found.affine(faces)
    scores = np.einsum("nkd,nd->nk", weight, points) + bias
    assert (array(frame["picture"]["kind"]) == scores.argmax(axis=1)).all()
    square = faces.reshape(height, width)
    kinks = array(frame["picture"]["kink"]).reshape(height, width)
    assert (kinks[:-1, :-1] == ((square[:-1, :-1] != square[:-1, 1:]) | (square[:-1, :-1] != square[1:, :-1]))).all()


def test_a_page_of_many_regions_is_at_most_5_mb():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((160, 2)), rng.standard_normal((160, 160)) / 12
    biases = [0.7 * rng.standard_normal(160) for _ in range(2)]
    net = network([first, second], biases, rng.standard_normal((3, 160)), np.zeros(3))
    found = cells(net, Plane.box((-2.0, -2.0), (2.0, 2.0)))
    assert found.n_faces > 20_000
    page = regions_page([found, found, found], boundaries=[boundary(found)] * 3)
    assert len(page) < 5_000_000
    assert "3 snapshots are drawn as a picture" in page


def test_the_three_samples_of_a_plane_are_shown_as_images():
    rng = np.random.default_rng(1)
    x = rng.random((3, 16))
    net = network([rng.standard_normal((5, 16))], [rng.standard_normal(5)], rng.standard_normal((2, 5)), np.zeros(2))
    plane = Plane.through(*x)
    samples = samples_on(plane, FlatSamples(x, np.arange(3), (4, 4), ("a", "b", "c")))
    page = regions_page([cells(net, plane)], samples=samples)
    images = data_of(page)["images"]
    assert [image["size"] for image in images] == [[4, 4]] * 3
    for image, row, point in zip(images, x, plane.project(x)[0], strict=True):
        assert np.allclose(image["at"], point)
        shade = 1 - (row - row.min()) / (row.max() - row.min())
        assert np.abs(array(image["grey"]) / 255 - shade).max() < 1 / 255
    many = samples_on(plane, FlatSamples(np.repeat(x, 9, axis=0), None, (16,)))
    assert data_of(regions_page([cells(net, plane)], samples=many))["images"] == []


def test_the_policy_names_script_and_style_by_their_hashes(found):
    page = regions_page([found])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "unsafe" not in policy
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert not re.search(r"<[^>]* style=", page)
