"""Certificates: right cells are proved, tampered ones are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from unbend.capture.lower import lower
from unbend.numerics.cells import cells
from unbend.numerics.cells.certificate import certify, values_and_bounds
from unbend.numerics.cells.compiled.mesh import Mesh
from unbend.numerics.cells.compiled.queries import face_sides
from unbend.numerics.cells.compiled.rebuild import joins_after, rebuild
from unbend.numerics.cells.exact import exact_bits, homogeneous


def without_edge(found, edge):
    """The same cells with one edge forgotten: two faces become one."""
    mesh = Mesh(found.vertices, found.edges, found.hinges, found.face_ptr, found.half_edges)
    drop = np.zeros(len(found.edges), bool)
    drop[edge] = True
    mesh = rebuild(mesh, drop, *joins_after(mesh, drop))
    sides = face_sides(mesh.edge, mesh.ptr, mesh.half)
    return replace(found, vertices=mesh.xy, edges=mesh.edge, hinges=mesh.label, sides=sides,
                   face_ptr=mesh.ptr, half_edges=mesh.half, packed_bits=None)  # fmt: skip


@pytest.mark.parametrize("rational", [False, True])
def test_right_cells_are_proved(make_mlp, square, rational):
    proof = certify(cells(make_mlp([12, 12]), square), rational=rational)
    assert proof.is_proved
    assert proof.method == ("rational areas" if rational else "float64 bounds")


def test_a_forgotten_edge_is_noticed(make_mlp, square):
    found = cells(make_mlp([10, 10]), square)
    inner = np.flatnonzero(found.hinges >= 0)
    for edge in inner[:: max(1, len(inner) // 12)]:
        worse = without_edge(found, edge)
        assert worse.n_faces == found.n_faces - 1
        assert not certify(worse, rational=False).is_proved
        assert not certify(worse, rational=True).is_proved


def test_a_wrong_label_or_a_moved_vertex_is_noticed(make_mlp, square):
    found = cells(make_mlp([10, 10]), square)
    hinges = found.hinges.copy()
    inner = np.flatnonzero(hinges >= 0)
    hinges[inner[0]] = (hinges[inner[0]] + 1) % found.network.n_hinges
    assert not certify(replace(found, hinges=hinges), rational=False).is_proved
    vertices = found.vertices.copy()
    vertices[found.edges[inner[0], 0]] += 1e-3
    assert not certify(replace(found, vertices=vertices), rational=False).is_proved


def test_cells_of_another_network_are_refused(make_mlp, square):
    found = cells(make_mlp([10, 10]), square)
    other = make_mlp([10, 10], seed=1)
    assert not certify(replace(found, network=other), rational=False).is_proved
    assert not certify(replace(found, network=other), rational=True).is_proved


def test_the_rounding_bound_holds(make_mlp):
    """Against rational arithmetic: where the bound says a sign is certain, it is the true sign."""
    net = make_mlp([8, 8], slope=-0.3)
    points = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    z, bound = values_and_bounds(net, points)
    for index, point in enumerate(points.tolist()):
        truth = np.array(exact_bits(net, homogeneous(*point)))
        certain = np.abs(z[:, index]) > bound[:, index]
        assert certain.all()
        assert (truth == (z[:, index] > 0)).all()
    assert (bound < 1e-13).all()


def test_cells_under_maxima_are_proved_as_unions(square):
    torch.manual_seed(0)
    pooled = nn.Sequential(nn.Linear(2, 40), nn.Unflatten(1, (1, -1)), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(10, 4))
    found = cells(lower(pooled.append(nn.ReLU()).append(nn.Linear(4, 2)).double(), (2,)), square)
    proof = certify(found)
    assert proof.is_proved
    assert "finer" in proof.method
    inner = np.flatnonzero(found.hinges >= 0)
    for edge in inner[:: max(1, len(inner) // 6)]:
        assert not certify(without_edge(found, edge)).is_proved
