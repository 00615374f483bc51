"""What a real job's report says beyond its answers, on the tiny model."""

import json

import pytest
from pydantic import TypeAdapter

from engine.analysis.on_demand import AnalysisRequest, analyse
from engine.evaluation import Report
from tests.engine.conftest import labelled_rows
from tests.engine.test_pipeline import folder_of, run_here

OPTIONS = {"epochs": 3, "batch_tokens": 128, "precision": "fp32", "adversarial": 0.05}


@pytest.mark.slow
def test_the_report_holds_groups_robustness_attacks_and_the_words_that_counted(write_spec):
    texts, labels = labelled_rows(600)
    columns = {"text": texts, "label": labels, "shop": ["north", "south", "west"] * 200}
    spec = write_spec(
        columns=columns,
        hyperparameters=OPTIONS,
        fairness_columns=["shop"],
        split={"test_fraction": 0.2},
    )
    run_here(spec)
    folder = folder_of(spec)
    report = json.loads((folder / "report.json").read_text())
    TypeAdapter(Report).validate_python(
        {k: report[k] for k in Report.__annotations__ if k in report}
    )
    assert report["fairness"][0]["column"] == "shop"
    assert {one["by"] for one in report["breakdowns"]} == {"length", "shop"}
    assert [one["id"] for one in report["robustness"]["changes"]] == [
        "typos", "case", "punctuation", "drop",
    ]  # fmt: skip
    attacked = report["robustness"]["adversarial"]
    assert {one["attack"] for one in attacked["attacks"]} == {"FGSM", "PGD"}
    assert "Adversarial training took" in attacked["sentence"]
    best = report["examples"]["confused"][0]
    assert best["explanation"]["words"]
    _ask_afterwards(folder, json.loads(spec.read_text())["data"])


def _ask_afterwards(folder, data):
    request = AnalysisRequest(
        kind="groups", artifact=folder, data=data, column="shop", label="fruit"
    )
    assert analyse(request)["fairness"][0]["questions"][0]["label"] == "fruit"
    request = AnalysisRequest(kind="explain", artifact=folder, input="the old apple")
    analysis = analyse(request)
    assert [word["text"] for word in analysis["words"]] == ["the", "old", "apple"]
    assert analysis["answer"]["label"] == analysis["label"]
