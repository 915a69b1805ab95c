"""The schema in the docs is what the types say now, and it is true of what every command prints with --json."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from unbend.cli import main

WRITTEN = Path("docs/schema.json")
HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def schema():
    return json.loads((HERE / WRITTEN).read_text(encoding="utf-8"))


@pytest.fixture
def printed(capsys):
    """What a command line prints, as JSON that allows no NaN."""

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(words))
        assert end.value.code == 0
        return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)

    return run


@pytest.fixture
def check(schema):
    """Refuse what is not as the schema says of one of its names."""

    def validate(name, value):
        jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]}).validate(value)

    return validate


def test_the_written_schema_is_that_of_the_types(printed, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == printed("schema"), f"write it anew: unbend schema > {WRITTEN}"


@pytest.mark.parametrize("name", ["a.unbend", "b.unbend"])
def test_a_study_is_as_the_schema_says(name, studies, printed, check):
    found = printed("show", str(studies / name), "--json")
    check("study", found)
    for change in (
        lambda s: s.pop("about"),
        lambda s: s["about"].update(n_train="many"),
        lambda s: s["layers"][0].update(more=1),
        lambda s: s["layers"][0]["results"]["readout"].update(weight=[1.0]),
        lambda s: s["layers"][0]["results"]["readout"].update(train_interval=[0.1]),
    ):
        wrong = copy.deepcopy(found)
        change(wrong)
        with pytest.raises(jsonschema.ValidationError):
            check("study", wrong)


def test_a_comparison_is_as_the_schema_says(studies, printed, check):
    check("comparison", printed("compare", str(studies / "a.unbend"), str(studies / "b.unbend"), "--json"))


def test_a_report_is_as_the_schema_says(tmp_path, printed, check, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("import torch\n\ndef model():\n    return torch.nn.Linear(2, 2)\n")
    Path("data.csv").write_text("a,b,kind\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40)))
    check("study", printed("report", "net.py:model", "data.csv", "--label", "kind", "--no-twin", "--json"))


def test_a_run_is_as_the_schema_says(tmp_path, printed, check, schema):
    import torch

    import unbend

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    optimiser, y = torch.optim.SGD(net.parameters(), lr=0.1), torch.arange(8) % 2
    with unbend.watch(net, file=tmp_path / "run.unbend", every=1) as run:
        for _ in range(3):
            loss = torch.nn.functional.cross_entropy(net(torch.randn(8, 3)), y)
            optimiser.zero_grad()
            loss.backward()
            run.label(y)
            run.log(loss=loss, odd=float("nan"))
            optimiser.step()
    found = printed("show", str(tmp_path / "run.unbend"), "--json")
    check("run", found)
    assert found["snapshots"]


def test_the_lab_is_as_the_schema_says(tmp_path, printed, check):
    check("claims", printed("lab", "--json"))
    check("entries", printed("lab", "xor_impossible", "--quick", "-o", str(tmp_path), "--json"))
