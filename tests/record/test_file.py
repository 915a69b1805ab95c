import builtins
import json
import os
import random
import re
import resource
import stat
import struct
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import unbend
from unbend.errors import RecordError
from unbend.numerics.batch import batch, samples
from unbend.numerics.state import MEASURES, HeldOut
from unbend.record import Unknown, arrays, file, save
from unbend.record import open as opened
from unbend.record.schema import FORMAT, SCHEMA
from unbend.study.compare import compare

LINES = Path("docs/record.md")


def header(path):
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size])


def rewritten(path, change):
    """The file with its metadata changed, its digest made right again."""
    metadata = header(path)["__metadata__"]
    tensors = safetensors.torch.load_file(path)
    change(metadata, tensors)
    digests = {key: file.digest(t) for key, t in tensors.items()}
    metadata["digest"] = file._digest(metadata["study"], digests)
    safetensors.torch.save_file(tensors, path, metadata)


def retold(path, change):
    def change_tree(metadata, _tensors):
        tree = json.loads(metadata["study"])
        metadata["study"] = json.dumps(change(tree) or tree)

    rewritten(path, change_tree)


@pytest.mark.parametrize("name", ["classified", "regressed"])
def test_a_study_comes_back_bit_by_bit(name, request, tmp_path, same):
    study = request.getfixturevalue(name)
    save(study, tmp_path / "a.unbend")
    found = opened(tmp_path / "a.unbend")
    assert same(found, study)
    assert {"readout", "planes", "histogram"} <= set(found.layers[0].results)
    assert found.sums.train["0"].keys() >= {"SecondState", "SampleState", "MomentState"}


def test_a_study_saved_again_is_the_same(saved, tmp_path):
    save(opened(saved), tmp_path / "b.unbend")
    a, b = (header(p)["__metadata__"] for p in (saved, tmp_path / "b.unbend"))
    assert a == b


def test_every_state_comes_back(classified, tmp_path, same):
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    kinds = {n.state if isinstance(n, HeldOut) else n for m in MEASURES.values() for n in m.needs}
    made = batch(x, samples(torch.tensor([0, 1, 2, 0, 1, 2])))
    states = {kind.__name__: kind.of(made) for kind in kinds}
    empty = {kind.__name__: kind.empty(4, 3) for kind in kinds}
    sums = replace(classified.sums, train=classified.sums.train | {"x": states}, held_out={"x": empty})
    save(replace(classified, sums=sums), tmp_path / "a.unbend")
    found = opened(tmp_path / "a.unbend").sums
    assert same(found.train["x"], states)
    assert same(found.held_out["x"], empty)
    assert found.train["x"]["SecondState"].loose == ()
    for kind in kinds:
        assert same(found.train["x"][kind.__name__] + found.held_out["x"][kind.__name__], states[kind.__name__])


def test_a_study_of_schema_1_whose_row_samples_are_tensors_comes_back(classified, saved, same):
    def as_before(metadata, _tensors):
        samples = re.compile(r'("\$type": ?"SampleState".*?"rows": ?)(.*?)("targets": ?)(.*?\]\}?\])', re.DOTALL)
        told = samples.sub(lambda m: m[0].replace("$array", "$tensor"), metadata["study"])
        assert told.count("$tensor") > 2 * len(classified.layers)
        metadata.update(schema="1", study=told)

    rewritten(saved, as_before)
    assert same(opened(saved), classified)


def test_a_comparison_in_a_study_comes_back(classified, tmp_path, same):
    comparison = compare(classified, classified)
    save(replace(classified, across={"comparison": comparison}), tmp_path / "a.unbend")
    assert same(opened(tmp_path / "a.unbend").across["comparison"], comparison)


@dataclass(frozen=True, slots=True, eq=False)
class Toy:
    n: int
    mean: np.ndarray


def test_a_result_of_an_unknown_measure_is_kept(classified, tmp_path, same):
    layer = classified.layers[0]
    layer = replace(layer, results=layer.results | {"toy": Toy(3, np.arange(4.0))})
    save(replace(classified, layers=(layer,)), tmp_path / "a.unbend")
    found = opened(tmp_path / "a.unbend")
    toy = found.layers[0].results["toy"]
    assert isinstance(toy, Unknown)
    assert same(toy.fields, {"n": 3, "mean": np.arange(4.0)})
    save(found, tmp_path / "b.unbend")
    assert same(opened(tmp_path / "b.unbend").layers[0].results["toy"], toy)


def test_a_registered_measure_of_another_package_gets_its_class_back(classified, tmp_path, monkeypatch):
    from unbend.numerics.moments import MomentState
    from unbend.numerics.state import Measure

    def toy(state: MomentState) -> Toy:
        return Toy(state.n, state.total)

    layer = classified.layers[0]
    layer = replace(layer, results=layer.results | {"toy": Toy(3, np.arange(4.0))})
    save(replace(classified, layers=(layer,)), tmp_path / "a.unbend")
    monkeypatch.setitem(MEASURES, "toy", Measure("toy", (MomentState,), toy))
    assert isinstance(opened(tmp_path / "a.unbend").layers[0].results["toy"], Toy)


def test_equal_arrays_are_stored_once(saved, classified):
    keys = [key for key in header(saved) if key.endswith("SampleState/ids")]
    assert len(keys) == 2
    assert len(classified.layers) > 2


def test_file_is_written_with_the_users_rights(saved):
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o666 & ~mask


def test_an_existing_file_is_replaced(classified, tmp_path):
    (tmp_path / "a.unbend").write_text("before")
    save(classified, tmp_path / "a.unbend")
    assert [p.name for p in tmp_path.iterdir()] == ["a.unbend"]
    opened(tmp_path / "a.unbend")


def test_a_full_disk_leaves_what_was_there(classified, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file that the limit cuts short would be kept
    target = tmp_path / "a.unbend"
    target.write_text("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(RecordError, match=r"a.unbend: the study could not be written: .*File too large"):
            save(classified, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_what_the_system_refuses_is_one_sentence(error, classified, tmp_path, monkeypatch):
    def refused(tensors, path, metadata):
        Path(path).write_text("half")
        raise error

    monkeypatch.setattr(arrays, "save_file", refused)
    with pytest.raises(RecordError, match=f"could not be written: {error.strerror}\\. Choose another place\\.$"):
        save(classified, tmp_path / "a.unbend")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["save_file", "os.fsync"])
def test_an_interrupt_leaves_nothing(step, classified, tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(arrays.os if step == "os.fsync" else arrays, step.removeprefix("os."), interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(classified, tmp_path / "a.unbend")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["gone/a.unbend", "", "/proc/a.unbend", "/dev/null"])
def test_places_where_no_file_can_be(path, classified, tmp_path):
    with pytest.raises(RecordError, match=r"\.$"):
        save(classified, Path(path) if path.startswith("/") else tmp_path / path)


def test_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(RecordError, match="no such file"):
        opened(tmp_path / "gone.unbend")
    with pytest.raises(RecordError, match="expected a file, got a folder or a device"):
        opened(tmp_path)
    with pytest.raises(RecordError, match="expected a file"):
        opened("/dev/null")
    empty = tmp_path / "empty.unbend"
    empty.touch()
    with pytest.raises(RecordError, match="the file is empty"):
        opened(empty)
    for content in (b"x", b"not a study at all", b"PK\x03\x04" + b"\0" * 100, b"\xff" * 64, b"\x80\x04\x95"):
        empty.write_bytes(content)
        with pytest.raises(RecordError, match="not a saved study, or cut short"):
            opened(empty)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, empty)
    with pytest.raises(RecordError, match="not a saved study"):
        opened(empty)


def test_a_newer_schema_is_named(saved):
    rewritten(saved, lambda metadata, _: metadata.update(schema="7", unbend="9.9.9"))
    expected = f"written by unbend 9.9.9, schema 7; this is unbend {unbend.__version__}, schema {SCHEMA}: upgrade"
    with pytest.raises(RecordError, match=expected):
        opened(saved)


@pytest.mark.parametrize("schema", ["", "0", "-1", "one", "٣", "9" * 5000])
def test_a_schema_that_is_no_number_is_refused(saved, schema):
    rewritten(saved, lambda metadata, _: metadata.update(schema=schema))
    with pytest.raises(RecordError):
        opened(saved)


def test_another_format_is_refused(saved):
    rewritten(saved, lambda metadata, _: metadata.update(format=FORMAT + " 2"))
    with pytest.raises(RecordError, match="not a saved study"):
        opened(saved)


@pytest.mark.parametrize("tree", ["", "{", "[NaN", "null", "3", '"x"', "[" * 200_000, '{"a":' * 200_000, "9" * 5000])
def test_trees_that_are_no_study_are_refused(saved, tree):
    rewritten(saved, lambda metadata, _: metadata.update(study=tree))
    with pytest.raises(RecordError):
        opened(saved)


def test_a_missing_tensor_is_named(saved):
    def without_one(_metadata, tensors):
        del tensors[next(key for key in tensors if key.endswith("moments/mean"))]

    rewritten(saved, without_one)
    with pytest.raises(RecordError, match=r"layers.0..results.moments.mean: the tensor .* is missing"):
        opened(saved)


def test_a_tensor_of_another_shape_is_named(saved):
    def shorter(_metadata, tensors):
        key = next(key for key in tensors if key.endswith("moments/mean"))
        tensors[key] = tensors[key][:-1].clone()

    rewritten(saved, shorter)
    with pytest.raises(RecordError, match=r"expected .*'shape': \[5\].*got a tensor of .*\[4\]"):
        opened(saved)


def test_a_result_in_the_place_of_another_is_refused(saved):
    def swapped(tree):
        results = tree["layers"][0]["results"]
        results["moments"] = results["activity"]

    retold(saved, swapped)
    with pytest.raises(RecordError, match="moments holds Activity"):
        opened(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["about"],
        lambda tree: tree["about"].update(n_train="many"),
        lambda tree: tree["about"].update({"$type": "Study"}),
        lambda tree: tree["about"].update(task="guessing"),
        lambda tree: tree["layers"][0].update(view=None),
        lambda tree: tree["layers"][0]["results"].update(moments={"$type": "os.system"}),
        lambda tree: tree["layers"][0]["results"].update(moments=3),
        lambda tree: tree["across"].update(depth=tree["about"]),
        lambda tree: tree["sums"]["train"].update(more={"MomentState": tree["about"]}),
        lambda tree: tree["sums"]["gradient"].update(more=3),
        lambda tree: tree.update(findings=[{"$type": "Finding"}]),
        lambda tree: tree.update(layers={}),
    ],
)
def test_trees_of_wrong_types_are_refused(saved, change):
    retold(saved, change)
    with pytest.raises(RecordError):
        opened(saved)


def test_a_cut_file_is_refused(saved):
    content = saved.read_bytes()
    for percent in range(100):
        saved.write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(RecordError):
            opened(saved)
    saved.write_bytes(content + b"\0")
    with pytest.raises(RecordError):
        opened(saved)


def test_flipped_bytes_give_an_error_or_the_same_study(saved, classified, same):
    content = saved.read_bytes()
    tree = len(content) - 8
    draw = random.Random(0)
    places = [*range(24), *(draw.randrange(tree) for _ in range(60)), *(draw.randrange(3000) for _ in range(60))]
    refused = 0
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        saved.write_bytes(flipped)
        try:
            assert same(opened(saved), classified)
        except RecordError:
            refused += 1
    assert refused > 0.9 * len(places)


def test_flipped_bytes_of_the_tree_give_errors_even_with_a_right_digest(saved):
    metadata = header(saved)["__metadata__"]
    tensors = safetensors.torch.load_file(saved)
    draw = random.Random(1)
    refused = 0
    for _ in range(25):
        place = draw.randrange(len(metadata["study"]))
        text = metadata["study"][:place] + draw.choice('0"{}[]$,:x-') + metadata["study"][place + 1 :]
        digests = {key: file.digest(t) for key, t in tensors.items()}
        safetensors.torch.save_file(tensors, saved, metadata | {"study": text, "digest": file._digest(text, digests)})
        try:
            opened(saved)
        except RecordError:
            refused += 1
    assert refused > 4


def test_arrays_are_the_readers_own(saved):
    found = opened(saved)
    content = saved.read_bytes()
    found.layers[0].results["moments"].mean[:] = 7
    assert saved.read_bytes() == content
    saved.write_bytes(b"")
    assert found.layers[0].results["moments"].mean[0] == 7


def test_nothing_is_unpickled_or_imported(saved, monkeypatch):
    def refused(*_args, **_kwargs):
        raise AssertionError

    retold(saved, lambda tree: tree["across"].update(evil={"$type": "antigravity.Evil", "x": 1}))
    original = builtins.__import__
    monkeypatch.setattr("pickle.loads", refused)
    monkeypatch.setattr("pickle.load", refused)
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *a, **k: refused() if name == "antigravity" else original(name, *a, **k)
    )
    assert opened(saved).across["evil"].name == "antigravity.Evil"


def test_the_ten_lines_of_the_docs_read_a_study(saved, classified, monkeypatch):
    code = LINES.read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(saved.parent)
    saved.rename("run.unbend")
    scope = {}
    exec(code, scope)
    assert scope["study"]["about"]["model"] == "toy"
    mean = scope["array"](scope["study"]["layers"][0]["results"]["moments"]["mean"])
    np.testing.assert_array_equal(mean, classified.layers[0].results["moments"].mean)
    assert [line for line in code.splitlines() if "unbend" in line and "import" in line] == []
