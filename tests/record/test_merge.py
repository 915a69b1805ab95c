from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from unbend.errors import MergeError
from unbend.record import Unknown, save
from unbend.record import open as opened
from unbend.study.merge import merge
from unbend.study.prepare import subsample_note
from unbend.study.study import study

N = 300


def rows(seed, *, n=N):
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()


def net(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))


def studied(train, held_out=None, **settings):
    return study(settings.pop("model", None) or net(), train, held_out=held_out, name="toy", **settings)


@pytest.fixture(scope="module")
def shards():
    """Two studies of different rows with the same row numbers, and the study of all their rows."""
    parts = [(rows(2 * i), rows(2 * i + 1)) for i in range(2)]
    both = [tuple(torch.cat(v) for v in zip(*(p[j] for p in parts), strict=True)) for j in range(2)]
    return studied(*parts[0]), studied(*parts[1]), studied(*both)


def test_shards_merge_to_the_study_of_all_rows(shards):
    first, second, whole = shards
    merged = merge(first, second)
    assert (merged.about.n_train, merged.about.n_held_out) == (2 * N, 2 * N)
    for a, b in zip(merged.layers, whole.layers, strict=True):
        np.testing.assert_allclose(a.results["moments"].mean, b.results["moments"].mean, atol=1e-6)
        np.testing.assert_array_equal(a.results["scatter"].counts, b.results["scatter"].counts)
        assert a.results["scatter"].fisher == pytest.approx(b.results["scatter"].fisher, rel=1e-4)
        assert a.results["readout"].n_held_out == b.results["readout"].n_held_out == 2 * N
        assert a.results["readout"].held_out == pytest.approx(b.results["readout"].held_out, abs=1e-3)
        assert set(a.results) == set(b.results)
        assert set(a.twin) == set(b.twin) != set()
    assert set(merged.across) == set(whole.across)
    assert merged.across["head"].own == pytest.approx(whole.across["head"].own)
    assert [f.rule for f in merged.findings] == [f.rule for f in whole.findings]


def test_order_does_not_matter(shards):
    one, other = merge(shards[0], shards[1]), merge(shards[1], shards[0])
    for a, b in zip(one.layers, other.layers, strict=True):
        assert a.results["scatter"].fisher == pytest.approx(b.results["scatter"].fisher, rel=1e-9)
        assert a.results["readout"].held_out == pytest.approx(b.results["readout"].held_out)


def test_merging_files_is_merging_studies(shards, tmp_path):
    for name, shard in zip("ab", shards, strict=False):
        save(shard, tmp_path / name)
    found = merge(opened(tmp_path / "a"), opened(tmp_path / "b"))
    expected = merge(shards[0], shards[1])
    for a, b in zip(found.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(a.results["moments"].std, b.results["moments"].std)
        np.testing.assert_array_equal(a.results["planes"].ids, b.results["planes"].ids)
        np.testing.assert_array_equal(a.results["readout"].correct, b.results["readout"].correct)
        np.testing.assert_allclose(a.results["spectrum"].values, b.results["spectrum"].values, atol=1e-9)
        np.testing.assert_allclose(a.results["scatter"].fisher, b.results["scatter"].fisher, rtol=1e-9)
    np.testing.assert_allclose(found.across["similarity"].cka, expected.across["similarity"].cka, atol=1e-12)


def test_operands_stay_as_they_are(shards, tmp_path, same):
    save(shards[0], tmp_path / "a")
    merge(shards[0], shards[1])
    assert same(opened(tmp_path / "a"), shards[0])


def test_one_study_merges_to_itself(shards, same):
    assert same(merge(shards[0]).layers, shards[0].layers)


def test_three_merge_in_one_go(shards):
    third = studied(rows(6), rows(7))
    merged = merge(shards[0], shards[1], third)
    assert merged.about.n_train == 3 * N
    assert len(np.unique(merged.layers[0].results["planes"].ids)) == len(merged.layers[0].results["planes"].ids)
    assert merged.layers[0].results["readout"].n_train == 3 * N


def test_a_held_out_set_in_common_counts_once():
    held_out = rows(9)
    first, second = studied(rows(0), held_out), studied(rows(1), held_out)
    merged = merge(first, second)
    assert (merged.about.n_train, merged.about.n_held_out) == (2 * N, N)
    assert merged.layers[0].results["readout"].n_held_out == N


@pytest.mark.parametrize("sizes", [(97, 153), (200, 80), (150, 151)])
def test_a_held_out_set_in_common_counts_once_whatever_the_sizes(sizes):
    held_out = rows(9)
    first, second = (studied(rows(i, n=n), held_out, twin=False) for i, n in enumerate(sizes))
    merged = merge(first, second)
    assert (merged.about.n_train, merged.about.n_held_out) == (sum(sizes), N)
    assert merged.layers[0].results["readout"].n_held_out == N


def test_the_same_rows_twice_are_refused(shards):
    with pytest.raises(MergeError, match="the same training rows"):
        merge(shards[0], shards[0])


def test_held_out_sets_that_overlap_in_part_are_refused():
    x, y = rows(9)
    first = studied(rows(0), (x, y))
    second = studied(rows(1), (x[: N // 2], y[: N // 2]))
    with pytest.raises(MergeError, match="share some rows, not all"):
        merge(first, second)


def test_without_a_twin_on_both_sides_there_is_none(shards):
    merged = merge(shards[0], studied(rows(2), rows(3), twin=False))
    assert all(layer.twin == {} for layer in merged.layers)
    assert merged.sums.twin_train == merged.sums.twin_held_out == {}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda s: replace(s, about=replace(s.about, task="regression")), "task: expected one for all studies"),
        (lambda s: replace(s, about=replace(s.about, class_names=("a", "b", "c"))), "class_names"),
        (lambda s: replace(s, about=replace(s.about, n_parameters=3)), "n_parameters"),
        (lambda s: replace(s, layers=s.layers[:-1]), "they differ at 'the end'"),
        (lambda s: replace(s, layers=(s.layers[0], replace(s.layers[1], shape=(9,)))), "they differ at '0'"),
        (lambda s: replace(s, sums=replace(s.sums, train={})), "without its sums"),
        (lambda s: replace(s, sums=replace(s.sums, head_bias=None)), "other weights"),
        (
            lambda s: replace(s, sums=replace(s.sums, train={"input": {"Toy": Unknown("toy.Toy", {})}})),
            "toy.Toy is not",
        ),
    ],
)
def test_what_does_not_add_up_is_refused(shards, changed, words):
    with pytest.raises(MergeError, match=words):
        merge(shards[0], changed(shards[1]))


def test_other_weights_are_refused(shards):
    with pytest.raises(MergeError, match="other weights"):
        merge(shards[0], studied(rows(2), rows(3), model=net(1)))


def _first(model):
    model[0].weight.data[0, 0] += 1e-3


def _dtype(model):
    model.register_buffer("mask", torch.zeros(3, dtype=torch.int32))


def _buffer(model):
    model.register_buffer("mask", torch.ones(3))


@pytest.mark.parametrize("change", [_first, _dtype, _buffer])
def test_networks_that_differ_anywhere_are_refused(change):
    model, other = net(), net()
    if change is not _first:
        model.register_buffer("mask", torch.zeros(3))
    change(other)
    first, second = studied(rows(0), twin=False, model=model), studied(rows(1), twin=False, model=other)
    with pytest.raises(MergeError, match="weights: the networks have other weights"):
        merge(first, second)


def test_studies_of_older_versions_have_no_fingerprint_and_merge(shards):
    first, second = (replace(s, about=replace(s.about, fingerprint="")) for s in shards[:2])
    assert merge(first, shards[1]).about.n_train == merge(first, second).about.n_train == 2 * N


def test_the_control_of_merged_shards_is_that_of_the_whole(shards):
    first, second, whole = shards
    merged = merge(first, second)
    for a, b in zip(merged.layers, whole.layers, strict=True):
        assert a.results["readout"].control_train == b.results["readout"].control_train
        assert a.results["readout"].control_held_out == b.results["readout"].control_held_out
        assert sorted(a.results["planes"].ids) == sorted(b.results["planes"].ids)


@pytest.mark.parametrize("sizes", [(300, 300), (97, 250), (250, 97)])
def test_held_out_sets_of_their_own_keep_numbers_apart(sizes):
    first, second = (studied(rows(2 * i, n=90), rows(2 * i + 1, n=n), twin=False) for i, n in enumerate(sizes))
    merged = merge(first, second)
    assert merged.layers[0].results["readout"].n_held_out == merged.about.n_held_out == sum(sizes)


def test_ranks_with_row_numbers_of_their_own_keep_them():
    x, y = rows(0)
    whole = TensorDataset(x, y)
    merged = merge(studied(whole))
    assert sorted(merged.layers[0].results["planes"].ids) == list(range(N))


def shard_studies(x, y, *parts, **settings):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(x.shape[1], 6), nn.ReLU(), nn.Linear(6, 2))
    return [study(net, (x[a:b], y[a:b]), twin=False, trials=False, **settings) for a, b in parts]


def labelled(n, width=5):
    x = torch.randn(n, width, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long()


def test_rows_that_are_in_two_studies_under_other_numbers_are_told():
    x, y = labelled(500)
    told = [
        note for note in merge(*shard_studies(x, y, (0, 300), (200, 500))).about.notes if note.startswith("At least")
    ]
    counts = [int(note.split()[2]) for note in told]
    assert "are counted twice" in told[0]
    assert "are held-out rows of another study" in told[1]
    both_held_out = 100 - sum(counts)
    assert 0 <= both_held_out < 20
    apart = merge(*shard_studies(x, y, (0, 250), (250, 500))).about.notes
    assert not any(note.startswith("At least") for note in apart)


def test_rows_that_repeat_within_a_study_are_not_taken_for_those_of_another():
    x, y = labelled(400, width=3)
    notes = merge(*shard_studies(x.sign(), y, (0, 200), (200, 400))).about.notes
    assert not any(note.startswith("At least") for note in notes)


def test_a_merge_tells_the_share_of_all_rows_in_second_moments_and_shards_that_weigh_unlike(monkeypatch):
    monkeypatch.setattr("unbend.study.prepare.DENSE", 100)
    x, y = labelled(2000)
    merged = merge(*shard_studies(x, y, (0, 1500), (1500, 2000), rows=100))
    share = merged.sums.train["0"]["SecondState"].settle().n / merged.about.n_train
    told = [note for note in merged.about.notes if note.startswith("Second moments")]
    assert told == [subsample_note(share)]
    assert any(note.startswith("The studies weigh unlike") for note in merged.about.notes)
    alike = merge(*shard_studies(x, y, (0, 1000), (1000, 2000), rows=100)).about.notes
    assert not any(note.startswith("The studies weigh unlike") for note in alike)
