"""Sinks: what a tracker holds is what the history holds. Trackers that are not installed are skipped by name."""

import json
import math
import shutil

import jaxtyping
import numpy as np
import pytest
import torch
from tests.study.watch.runs import Functional, batches, is_same, perceptron, train
from torch.nn import functional as F

import unbend
from unbend.errors import DataError, MissingExtraError, RecordError
from unbend.integrations.extra import library
from unbend.integrations.flat import flat
from unbend.integrations.jsonl import JsonLines
from unbend.study.history.values import Snapshot

pytestmark = pytest.mark.filterwarnings("ignore")
"""Trackers warn of their own."""


@pytest.fixture
def unchecked():
    """Types unchecked, as for a user, so that our own sentence is what a wrong value meets."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def run(sink, **how):
    """A run that ends as if nobody had watched."""
    one, other = perceptron(), perceptron()
    train(one, watched=False)
    watch = train(other, every=1, sinks=[sink], optimiser=torch.optim.Adam(other.parameters(), 1e-2), **how)
    assert is_same(one, other)
    return watch


def hot(sink):
    """A run that goes wrong, so that there are findings."""
    model = perceptron()
    watch = train(model, every=1, sinks=[sink], optimiser=torch.optim.SGD(model.parameters(), 1e4))
    assert any(one.finding.severity == "problem" for one in watch.findings)
    return watch


def test_json_lines_hold_the_run(tmp_path):
    place = tmp_path / "run.jsonl"
    watch = run(JsonLines(place))
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert [line["kind"] for line in lines if line["kind"] != "finding"] == ["begin", *["snapshot"] * 6, "end"]
    snapshots = [line for line in lines if line["kind"] == "snapshot"]
    np.testing.assert_allclose([s["layers"]["2"]["rms"] for s in snapshots], watch.history.layer("2", "rms"))
    hot(JsonLines(tmp_path / "hot.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "hot.jsonl").read_text().splitlines()]
    assert any(line["kind"] == "finding" and line["severity"] == "problem" for line in lines)


def test_tensorboard_holds_the_run(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra tensorboard)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    from unbend.integrations.tensorboard import TensorBoard

    with SummaryWriter(str(tmp_path)) as writer:
        watch = run(TensorBoard(writer))
    seen = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})  # all of them
    seen.Reload()
    events = seen.Scalars("unbend/2/rms")
    assert [event.step for event in events] == watch.history.steps.tolist()
    np.testing.assert_allclose([event.value for event in events], watch.history.layer("2", "rms"), rtol=1e-6)
    histograms = seen.Histograms("unbend/2/values")
    assert [event.step for event in histograms] == watch.history.steps.tolist()
    h = histograms[-1].histogram_value
    assert h.num == sum(h.bucket) == 32 * 48
    assert h.min == 0  # of a rectifier
    assert h.bucket_limit[-1] == h.max
    assert h.sum_squares / h.num == pytest.approx(watch.history.layer("2", "rms")[-1] ** 2, rel=1e-5)
    with SummaryWriter(str(tmp_path / "hot")) as writer:
        hot(TensorBoard(writer))
    seen = EventAccumulator(str(tmp_path / "hot"))
    seen.Reload()
    assert "unbend/findings/text_summary" in seen.Tags()["tensors"]


def test_weights_and_biases_offline_takes_numbers_and_alerts(tmp_path):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed (extra wandb)")
    from unbend.integrations.wandb import WeightsAndBiases

    alerts = []
    with wandb.init(mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True)) as run_:
        watch = run(WeightsAndBiases(run_))
        assert run_.summary["unbend/step"] == 6
        assert run_.summary["unbend/2/rms"] == pytest.approx(watch.history.layer("2", "rms")[-1])
    with wandb.init(mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True)) as run_:
        alert = run_.alert
        run_.alert = lambda **given: (alerts.append(given), alert(**given))
        hot(WeightsAndBiases(run_))
    assert alerts
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_trackio_takes_numbers_and_alerts(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    trackio = pytest.importorskip("trackio", reason="trackio is not installed (scripts/test says how)")
    from unbend.integrations.trackio import Trackio

    kept = trackio.init(project="watched", name="one", embed=False)
    watch = run(Trackio(kept))
    hot(Trackio(kept))
    trackio.finish()
    from trackio.sqlite_storage import SQLiteStorage

    logged = SQLiteStorage.get_logs("watched", "one")
    losses = [one["unbend/loss"] for one in logged if "unbend/loss" in one]
    assert losses[: len(watch.history.snapshots)] == pytest.approx(watch.history.value("loss"))
    alerts = SQLiteStorage.get_alerts("watched")
    assert alerts
    assert {one["level"] for one in alerts} <= {"warn", "error"}
    assert all(one["title"].startswith("unbend: ") for one in alerts)


def test_mlflow_takes_numbers_findings_and_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (extra mlflow)")
    from unbend.integrations.mlflow import MLflow

    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as active:
        watch = run(MLflow())
        hot_watch = hot(MLflow())
    client = mlflow.MlflowClient()
    kept = client.get_metric_history(active.info.run_id, "unbend/2/rms")[:6]
    np.testing.assert_allclose([m.value for m in kept], watch.history.layer("2", "rms"))
    assert any(tag.startswith("unbend.") for tag in client.get_run(active.info.run_id).data.tags)
    assert [f.path for f in client.list_artifacts(active.info.run_id, "unbend")] == ["unbend/run.html"]
    assert hot_watch.findings


def test_mlflow_logs_to_the_run_it_was_given_and_takes_every_name(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (extra mlflow)")
    from unbend.integrations.mlflow import MLflow

    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    client = mlflow.MlflowClient()
    place = client.create_experiment("watched")
    given = client.create_run(place).info.run_id
    hot(MLflow(given))
    model = Functional()  # which calls one function twice: its second layer is `relu#2`
    watch = train(model, every=1, sinks=[MLflow(given)])
    assert [run.info.run_id for run in client.search_runs([place, "0"])] == [given]
    assert mlflow.active_run() is None
    assert any(tag.startswith("unbend.") for tag in client.get_run(given).data.tags)
    kept = client.get_metric_history(given, "unbend/relu_2/rms")
    np.testing.assert_allclose([m.value for m in kept], watch.history.layer("relu#2", "rms"))


class Failing:
    """A sink that fails once it is told of something."""

    def __init__(self, at):
        self.at, self.heard = at, []

    def _hear(self, what):
        self.heard.append(what)
        if what == self.at:
            raise ConnectionError("the tracker is gone")

    def begin(self, about):
        self._hear("begin")

    def snapshot(self, snapshot):
        self._hear("snapshot")

    def event(self, event):
        self._hear("event")

    def finding(self, found):
        self._hear("finding")

    def end(self, history):
        self._hear("end")


def run_with_events(model, sinks):
    """A run of six steps with an event after each."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    torch.manual_seed(7)
    with unbend.watch(model, every=1, sinks=sinks) as watch:
        for x, y in batches(6):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
            watch.event("checkpoint")
    return watch


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("at", ["snapshot", "event", "end"])
def test_a_sink_that_fails_is_told_no_more_and_run_and_others_go_on(at):
    bare, model, failing, other = perceptron(), perceptron(), Failing(at), Failing(None)
    train(bare, watched=False)
    with pytest.warns(
        UserWarning, match=r"^watch: Failing failed and is told no more \(ConnectionError: the tracker is"
    ):
        watch = run_with_events(model, [failing, other])
    assert is_same(bare, model)
    assert failing.heard[-1] == at
    assert failing.heard.count(at) == 1
    assert other.heard.count("snapshot") == len(watch.history.snapshots) == 6
    assert other.heard[-1] == "end"


def test_a_sink_that_fails_hides_no_error_of_the_loop_and_one_that_cannot_begin_ends_the_run():
    with pytest.raises(KeyError, match="mine"), unbend.watch(perceptron(), sinks=[Failing("end")]):
        raise KeyError("mine")
    failing = Failing("begin")
    with pytest.raises(ConnectionError):
        train(perceptron(), sinks=[failing])
    assert failing.heard == ["begin"]


def test_a_history_whose_folder_goes_away_is_kept_in_memory(tmp_path):
    (tmp_path / "gone").mkdir()
    model = perceptron()

    def step(loss, optimiser):
        shutil.rmtree(tmp_path / "gone", ignore_errors=True)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    watch = train(model, every=1, file=tmp_path / "gone" / "run.unbend", step=step)
    assert watch.history.steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_run_of_which_no_layer_is_seen_is_whole_in_its_file(tmp_path):
    model, place = perceptron(), tmp_path / "run.unbend"
    watch = train(model, call=lambda x: model[6](model[:6].forward(x)), every=1, file=place)
    kept = unbend.open_history(place)
    assert kept.steps.tolist() == watch.history.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert [layer.name for layer in kept.about.layers] == ["0", "1", "4", "6"]
    np.testing.assert_allclose(kept.layer("4", "gradient"), watch.history.layer("4", "gradient"), rtol=1e-6)


@pytest.mark.parametrize("given", ["tensorboard", JsonLines, JsonLines.__new__(JsonLines), ["runs"], [JsonLines], 3])
def test_sinks_that_are_none_are_refused_before_the_run(given, unchecked):
    with pytest.raises(DataError, match=r"sinks: expected .*Pass sinks=|Make them"):
        unbend.watch(perceptron(), sinks=given)


def test_what_is_no_object_of_a_tracker_and_a_place_that_cannot_be_written_are_refused_before_the_run(tmp_path):
    from unbend.integrations.tensorboard import TensorBoard
    from unbend.integrations.trackio import Trackio
    from unbend.integrations.wandb import WeightsAndBiases

    for sink, words in ((TensorBoard, "SummaryWriter"), (WeightsAndBiases, "wandb.init"), (Trackio, "trackio.init")):
        for given in ("runs", None, tmp_path):
            with pytest.raises(DataError, match=rf"{sink.__name__}: expected .* Pass .*{words}"):
                sink(given)
    with pytest.raises(RecordError, match="no lines could be written: No such file"):
        JsonLines(tmp_path / "none" / "run.jsonl")


def test_a_missing_library_is_named_with_its_extra():
    with pytest.raises(MissingExtraError, match=r"nothing_of_the_kind: is not installed. .* 'unbend\[x\]'"):
        library("nothing_of_the_kind", "x")


def test_numbers_that_are_not_finite_and_names_that_are_too_long_do_not_reach_a_tracker():
    found = flat(Snapshot(1, 0.0, {"loss": math.inf}, {"a" * 400: {"rms": 1.0}}))
    assert list(found.values()) == [1.0]
    assert all(len(name) <= 250 for name in found)
