"""What feeds what among the layers of a study: names set aside, branches kept apart."""

import pytest

from unbend.numerics.view import View
from unbend.study.depth import depth
from unbend.study.paths import paths
from unbend.study.values import Layer

PLAIN = View("features", "none", 4)


def layers(alias=None, **feeders):
    """Layers with what feeds each, as a word list; the input comes first."""
    made = [Layer("input", "input", "data", (4,), PLAIN)]
    for name, fed in feeders.items():
        kind = "activation" if name.startswith("act") else "affine"
        one = Layer(name, kind, "Linear", (4,), PLAIN, feeders=tuple(fed.split()), alias_of=(alias or {}).get(name))
        made.append(one)
    return made


RESIDUAL = {"stem": "input", "a": "stem", "act1": "a", "b": "act1", "act2": "stem b", "head": "act2"}


def test_only_a_layer_that_nothing_passes_by_is_compared_with_the_one_before_it():
    graph = paths(layers(**RESIDUAL))
    assert {name: graph.before(name) for name in RESIDUAL} == {
        "stem": "input", "a": None, "act1": "a", "b": "act1", "act2": None, "head": "act2",
    }  # fmt: skip


def test_branches_meet_where_a_layer_has_several_feeders():
    graph = paths(layers(**RESIDUAL))
    assert graph.joins() == [("act2", "stem", ("b",)), ("act2", "b", ("stem",))]
    assert graph.ancestors["b"] == {"input", "stem", "a", "act1"}


def test_the_trunk_is_what_every_path_passes():
    assert paths(layers(**RESIDUAL)).trunk() == {"input", "stem", "act2", "head"}
    assert paths(layers(a="input", b="input", act="a b", head="act")).trunk() == {"input", "act", "head"}
    assert paths(layers(a="input", act="a", head="act")).trunk() == {"input", "a", "act", "head"}


def test_other_names_of_the_same_values_are_set_aside():
    graph = paths(layers({"block": "b", "same": "block"}, a="input", b="a", block="b", same="block", head="same"))
    assert graph.own["same"] == graph.own["block"] == "b"
    assert graph.before("head") == "b"
    assert set(graph.feeders) == {"input", "a", "b", "head"}


def test_names_that_lead_in_a_circle_end():
    assert set(paths(layers({"a": "b", "b": "a"}, a="input", b="a")).own) == {"input", "a", "b"}


def test_a_study_that_knows_no_feeders_goes_by_the_tensors_that_are_known():
    old = [
        Layer("input", "input", "data", (4,), PLAIN),
        Layer("a", "affine", "Linear", (4,), PLAIN),
        Layer("b", "affine", "Linear", (4,), PLAIN, fed_by="a"),
        Layer("c", "affine", "Linear", (4,), PLAIN),
    ]
    graph = paths(old)
    assert [graph.before(layer.name) for layer in old] == [None, "input", "a", None]


@pytest.mark.parametrize(("made", "feeders", "is_one_path"), [
    (layers(a="input", act="a"), ((), (0,), (1,)), True),
    (layers(a="input", b="input", act="a b"), ((), (0,), (0,), (1, 2)), False),
    (layers({"out": "a"}, a="input", out="a"), ((), (0,), (1,)), True),
])  # fmt: skip
def test_the_curves_over_depth_say_what_feeds_what(made, feeders, is_one_path):
    found = depth(made)
    assert (found.feeders, found.is_one_path) == (feeders, is_one_path)


def test_a_map_that_is_reduced_to_its_mean_takes_no_part_in_the_theorem():
    made = layers(a="input", act="a")
    made[2] = Layer("act", "activation", "ReLU", (4, 2, 2), View("maps", "mean", 4), feeders=("a",))
    assert (depth(made).is_whole, depth(made).is_one_path) == ((True, True, False), False)


def test_the_law_over_depth_is_fitted_over_what_every_path_passes():
    assert depth(layers(**RESIDUAL)).line_layers == ("act2",)
