"""Maps of layers: the same rows in each, laid onto each other; what moved is told, and what another start moves."""

from importlib import import_module

import explained as nets
import numpy as np
import pytest
import torch
from tests import chromium
from torch import nn

import unbend
from unbend import zoo
from unbend.errors import DataError, LayerError, MissingExtraError
from unbend.numerics import embedding
from unbend.plot.maps import n_map_frames
from unbend.record.parquet import save_maps
from unbend.report.html import write
from unbend.report.maps import maps_page, maps_sentences, movements


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return zoo.mlp([4, 16, 16, 3], seed=0)


@pytest.fixture(scope="module")
def found(net):
    pytest.importorskip("openTSNE")
    return unbend.maps(net, nets.rows(400), rows=120, perplexity=10)


def test_every_method_has_the_same_rows_in_every_layer_and_says_how_they_were_made(found):
    assert [one.method for one in found.series] == ["pca", "discriminant", "tsne"]
    assert found.layers == ("input", "0", "1", "2", "3", "4")
    assert len(np.unique(found.ids)) == 120
    assert found.held_out.sum() == 60
    for one in found.series:
        assert one.points.shape == (6, 120, 2)
        np.testing.assert_allclose((one.points**2).sum(2).mean(1), 1)
        np.testing.assert_allclose(one.points.mean(1), 0, atol=1e-9)
        assert np.isnan(one.movement[0])
        assert (one.trustworthiness > 0.5).all()
    assert found["tsne"].words == "perplexity 10, seed 0"
    assert found["tsne"].engine.startswith("openTSNE")
    assert (found["tsne"].preservation > found["pca"].preservation)[1:4].all()
    with pytest.raises(DataError, match="no 'umap' among them"):
        found["umap"]


def test_movement_is_what_is_left_after_turning_and_mirroring(found):
    for one in found.series:
        for before, after, moved in zip(one.points, one.points[1:], one.movement[1:], strict=False):
            assert moved == pytest.approx(np.linalg.norm(before - after, axis=1).mean())
            turned = after.T @ before  # symmetric and positive where no turn lies nearer
            np.testing.assert_allclose(turned, turned.T, atol=1e-8)
            assert np.linalg.eigvalsh(turned).min() > -1e-8


def test_another_start_moves_rows_but_not_their_neighbours(found):
    series = found["tsne"]
    assert (series.agreement > 0.6).all()
    assert (series.moved_by_start > 0.02).all()
    assert np.isnan(found["pca"].moved_by_start).all()


def test_a_layer_that_does_nothing_moves_nothing():
    x, y = nets.rows(200)
    same = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 3))
    same[0].load_state_dict({"weight": -torch.eye(4), "bias": torch.ones(4)})
    shown = unbend.maps(same, (x, y), methods=["pca", "discriminant"], rows=80)
    for one in shown.series:
        assert one.movement[1] < 1e-4
        np.testing.assert_allclose(one.points[0], one.points[1], atol=1e-3)
        assert one.trustworthiness[0] == pytest.approx(one.trustworthiness[1])


def studied(net, data, **settings):
    return unbend.study(net, data, twin=False, measures=("planes",), trials=False, **settings)


def test_a_study_shows_the_same_as_the_model_it_was_made_of_whatever_its_batches_were(net):
    data = nets.rows(300)
    direct = unbend.maps(net, data, methods=["pca", "discriminant"], rows=80)
    study = studied(net, data, batch_size=37)
    kept = unbend.maps(study, methods=["pca", "discriminant"], rows=80)
    np.testing.assert_array_equal(kept.ids, direct.ids)
    np.testing.assert_array_equal(kept.y, direct.y)
    for mine, other in zip(kept.series, direct.series, strict=True):
        np.testing.assert_allclose(mine.points, other.points, atol=1e-4)
    with pytest.raises(LayerError, match="no layer named 'nine'"):
        unbend.maps(study, layers=["nine"])
    assert unbend.maps(study, methods=["pca"], layers=["0", "2"]).layers == ("0", "2")


def test_a_regression_has_planes_without_classes():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    study = studied(zoo.mlp([4, 8, 1], seed=0), (x, x[:, :1]))
    shown = unbend.maps(study, methods=["pca"], rows=60)
    assert shown.class_names == ()
    assert set(shown.y) == {0, 1, 2, 3, 4}
    assert np.isnan(shown["pca"].accuracy).all()
    assert "fifths of the targets" in maps_page(shown, title="t")
    with pytest.raises(DataError, match="needs classes"):
        unbend.maps(study, methods=["discriminant"], rows=60)


class Log(torch.nn.Module):
    def forward(self, x):
        return torch.log(x + 1)


def test_rows_with_values_that_are_no_numbers_are_left_out_and_counted():
    x, y = nets.rows(200)
    torch.manual_seed(0)
    hole = torch.nn.Sequential(torch.nn.Linear(4, 4), Log(), torch.nn.Linear(4, 3))
    shown = unbend.maps(hole, (x, y), methods=["pca"], rows=80, layers=["0", "1"])
    assert shown.n_left_out > 0
    assert len(shown.ids) + shown.n_left_out == 80
    assert f"{shown.n_left_out:,} more are left out" in maps_sentences(shown)[0]


def test_what_cannot_be_mapped_is_told_before_the_data_are_read(net, monkeypatch):
    with pytest.raises(DataError, match=r"methods: expected some of pca.* got mds"):
        unbend.maps(net, None, methods=["mds"])
    monkeypatch.setattr(embedding, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match="umap-learn"):
        unbend.maps(net, None, methods=["umap"])


def test_texts_are_written_with_the_words_of_the_vocabulary():
    words = [f"w{i}" for i in range(100)]
    shown = unbend.maps(nets.Words(), nets.words(), methods=["pca"], rows=40, words=words)
    assert len(shown.texts) == len(shown.ids)
    x = nets.words()[0]
    for text, row in zip(shown.texts[:5], shown.ids[:5], strict=True):
        assert text == " ".join(f"w{token}" for token in x[row].tolist() if token)[:300]


def test_the_page_the_pictures_and_the_table_hold_every_map(found, tmp_path):
    page = maps_page(found, title="<Maps>")
    assert "&lt;Maps&gt;" in page
    assert page.count('"view":"planes"') == 18
    assert page.count('"view":"film"') == 3
    assert "perplexity 10, seed 0" in page
    assert "how large or how dense a cluster is" in page
    told = movements(found)
    assert len(told) == 3
    assert told[0].startswith("Moved, PCA: input → 0 Linear 0.")
    figure = unbend.plot.map_grid(found, "tsne")
    assert len(figure.axes) == 6
    drawn = np.concatenate([np.asarray(line.get_xydata()) for line in figure.axes[2].lines])
    assert {tuple(row) for row in drawn.tolist()} == {tuple(row) for row in found["tsne"].points[2].tolist()}
    assert n_map_frames(found) == 6 + 5 * 18
    parquet = pytest.importorskip("pyarrow.parquet")
    save_maps(found, tmp_path / "maps.parquet")
    table = parquet.read_table(tmp_path / "maps.parquet")
    np.testing.assert_array_equal(table["row"], found.ids)
    np.testing.assert_allclose(table["tsne_4_y"], found["tsne"].points[5, :, 1], rtol=1e-6)
    assert set(table["part"].to_pylist()) == {"train", "held_out"}
    assert table["label"].to_pylist() == [found.class_names[label] for label in found.y]


def test_the_command_prints_the_movement_and_writes_page_film_and_table(folder, run, capsys):
    words = ["maps", "net.py:model", "data.npz", "-m", "pca", "--layer", "0", "--rows", "60"]
    told = run(*words, "--parquet", "maps.parquet")
    assert "Moved, PCA: input → 0 Linear" in told
    assert {"maps.html", "maps.gif", "maps.parquet"} <= {path.name for path in folder.iterdir()}
    with pytest.raises(SystemExit) as left:
        import_module("unbend.cli").main([*words[:3], "-m", "mds"])
    assert left.value.code == 2
    assert "methods: expected some of" in capsys.readouterr().err


@pytest.mark.browser
@chromium.IS_THERE
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_fits_its_window_and_its_slider_moves_the_rows(found, tmp_path, visit, width, scheme):
    write(maps_page(found, title="Maps"), tmp_path / "maps.html")
    page = visit(tmp_path / "maps.html", width=width, scheme=scheme, ready=".stage path.dots")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dots, slider = page.locator(".stage path.dots").first, page.locator(".reel input").first
    before = dots.get_attribute("d")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert dots.get_attribute("d") != before
    assert page.locator(".reel output").first.text_content() == "0 Linear"
    assert not chromium.faults(page)


def test_a_layer_that_only_turns_and_stretches_its_rows_leaves_every_map_as_it_was():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8, bias=False), nn.Linear(8, 3))
    with torch.no_grad():
        net[2].weight.copy_(3 * nn.init.orthogonal_(torch.empty(8, 8)))
    found = unbend.maps(net, nets.rows(150), methods=["pca", "tsne"], layers=["1", "2", "3"], restarts=0)
    for series in found.series:
        at = found.layers.index("2")
        assert series.movement[at] == pytest.approx(0, abs=1e-6)
        assert series.movement[at + 1] > 0.01
