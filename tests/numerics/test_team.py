"""Sums on torch's threads are the sums of one thread, to the last bit, and bring no threads of their own."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from unbend.numerics.activity import ActivityState
from unbend.numerics.batch import batch, samples
from unbend.numerics.centroids import CentroidState
from unbend.numerics.compiled import team as teams
from unbend.numerics.compiled.team import team
from unbend.numerics.moments import MomentState
from unbend.numerics.saturation import saturation
from unbend.numerics.streaming.in_place import KINDS, InPlaceSums
from unbend.numerics.view import View
from unbend.zoo.randomness import threads

needs_runtime = pytest.mark.skipif(
    teams._runtime() is None, reason="torch's OpenMP runtime, which only some builds bring along, was not found"
)


def assert_same_bits(alone, together):
    for a, b in zip(alone, together, strict=True):
        for field in fields(a):
            assert np.array_equal(getattr(a, field.name), getattr(b, field.name)), (type(a).__name__, field.name)


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)) + 0.3


CASES = {
    "rows": ((700, 300), View("features", "none", 300)),
    "many columns": ((90, 1500), View("features", "none", 1500)),
    "few columns": ((9000, 40), View("features", "none", 40)),
    "tokens": ((40, 30, 130), View("tokens", "mean", 130)),
    "small maps": ((64, 24, 7, 7), View("maps", "mean", 24)),
    "large maps": ((16, 5, 40, 33), View("maps", "mean", 5)),
}


@needs_runtime
@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("activation", [None, torch.relu, torch.nn.functional.gelu, torch.tanh])
def test_any_number_of_threads_gives_the_same_sums(n, case, activation):
    shape, view = CASES[case]
    z = drawn(*shape)
    h = z if activation is None else activation(z)
    edge = None if activation is None else saturation(activation)
    if edge is not None and edge.pre is not None:
        edge = type(edge)(edge.low, edge.high, z)
    of = samples(torch.arange(len(h)) % 3, n_classes=3)

    def made():
        one = batch(h, of, view=view, saturation=edge)
        return [kind.of(one) for kind in (MomentState, ActivityState, CentroidState)]

    with threads(1):
        alone = made()
    with threads(n):
        together = made()
    assert_same_bits(alone, together)


@needs_runtime
def test_sums_in_place_are_the_same_too():
    def summed():
        before, after, edges = InPlaceSums(KINDS), InPlaceSums(KINDS), saturation(torch.relu)
        for i in range(3):
            z = drawn(700, 300) * (i + 1)
            of = samples(torch.arange(700) % 3, n_classes=3)
            before.add(batch(z, of))
            after.add(batch(z.relu(), of, saturation=edges))
        return [state for sums in (before, after) for state in sums.states()]

    with threads(1):
        alone = summed()
    with threads(3):
        together = summed()
    assert_same_bits(alone, together)


@needs_runtime
def test_there_are_as_many_threads_as_torch_uses():
    for n in (1, 2, 5):
        with threads(n):
            assert team()[0] == n


def test_without_the_runtime_of_torch_there_is_one_thread(monkeypatch):
    monkeypatch.setattr(teams, "_runtime", lambda: None)
    teams._team.cache_clear()
    try:
        with threads(2):
            assert team()[0] == 1
    finally:
        teams._team.cache_clear()


SUMMED = """
import os, sys, torch
from unbend.numerics.batch import batch, samples
from unbend.numerics.moments import MomentState
x = (torch.arange(700 * 300) * 7919 % 1009).float().reshape(700, 300) / 1009
for n in map(int, sys.argv[1:]):
    torch.set_num_threads(n)
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)
    before = len(os.listdir("/proc/self/task"))
    state = MomentState.of(batch(x, samples(torch.arange(700) % 3)))
    print(state.total.sum().hex(), len(os.listdir("/proc/self/task")) - before)
"""


@needs_runtime
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc, which Linux has")
def test_no_threads_are_started_and_a_team_that_is_too_small_does_it_all():
    def begin(*words, **env):
        command = [sys.executable, "-c", SUMMED, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | env)

    def lines(process):
        said, _ = process.communicate()
        assert process.returncode == 0
        return [line.split() for line in said.splitlines()]

    free, bound = begin("1", "2"), begin("2", OMP_THREAD_LIMIT="1")
    (alone, together), (limited,) = lines(free), lines(bound)
    assert together == alone
    assert limited[0] == alone[0]
    assert alone[1] == "0"
