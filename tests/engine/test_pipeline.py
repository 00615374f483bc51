"""Whole jobs through the command, on the tiny model: artifact, report, resuming, failures."""

import json
import signal

import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from engine import artifact
from engine.errors import BadTrainingData
from engine.events import (
    CheckpointSaved,
    DatasetLoaded,
    Failure,
    Progress,
    Reporter,
    Result,
    parse_event,
)
from engine.pipeline import run_job
from engine.serving.text import TextClassifier, predict_all
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from tests.engine.conftest import engine_process, labelled_rows


def run(spec):
    """The job in a process of its own: exit code, events, standard error."""
    process = engine_process("train", spec)
    output, errors = process.communicate(timeout=300)
    return process.returncode, [parse_event(line) for line in output.splitlines()], errors


def run_here(spec):
    """The same job in this process, which has torch loaded already; returns its events."""
    lines = []
    report = Reporter(lines.append)
    report(run_job(parse_spec(json.loads(spec.read_text())), report, StopSignal()))
    return [parse_event(line) for line in lines]


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def folder_of(spec):
    return artifact.Path(json.loads(spec.read_text())["output"])


def weights(spec):
    return {
        name: part.tobytes()
        for name, part in load_file(folder_of(spec) / "model.safetensors").items()
    }


@pytest.mark.slow
def test_a_job_leaves_a_whole_artifact_and_a_truthful_report(write_spec):
    spec = write_spec()
    code, events, errors = run(spec)
    assert code == 0, errors
    folder = folder_of(spec)
    manifest = artifact.verify(folder)
    report = json.loads((folder / "report.json").read_text())
    predictions = pq.read_table(folder / "predictions.parquet").to_pydict()
    data, result = only(events, DatasetLoaded)[0], events[-1]
    assert isinstance(result, Result)
    assert data.labels == manifest.labels == ["cities", "fruit", "tools"]
    assert len(predictions["text"]) == data.test_rows == 40
    share = sum(predictions["correct"]) / 40
    # Of so few test rows the figure is that of a repeated cross-validation.
    assert report["cross_validation"]
    accuracy = report["metrics"][0]["value"]
    assert result.metrics["accuracy"] == accuracy
    assert report["metrics"][0]["low"] <= share <= report["metrics"][0]["high"]
    assert report["verdict"] in ("helped", "no_difference", "hurt")
    assert f"accuracy {accuracy:.1%}" in report["headline"]
    assert {one["id"] for one in report["baselines"]} >= {"majority", "tfidf"}
    assert manifest.parity["model.onnx"]["accepted"]
    assert manifest.parity["model.onnx"]["largest_logit_difference"] < 1e-3
    what_is_served = TextClassifier(folder)
    encoded = what_is_served.encode(predictions["text"])
    answers = predict_all(what_is_served, encoded).argmax(1)
    assert [manifest.labels[answer] for answer in answers] == predictions["predicted"]
    progress = [event.fraction for event in only(events, Progress)]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    _check_the_saved_network_and_a_second_export(spec)


def _check_the_saved_network_and_a_second_export(spec):
    import numpy as np

    from engine.export.parity import onnx_logits, torch_logits
    from engine.prediction import evaluate_artifact, reexport_onnx
    from engine.tasks.text.network import load_network

    folder, data = folder_of(spec), json.loads(spec.read_text())["data"]
    encoded = TextClassifier(folder).encode(["apple the saw", "paris"])
    torch_side = torch_logits(load_network(folder), encoded)
    assert np.abs(torch_side - onnx_logits(folder / "model.onnx", encoded)).max() < 1e-3
    again = reexport_onnx(folder, folder.parent / "again", artifact.Path(data))
    assert again["parity"]["model.onnx"]["accepted"]
    assert evaluate_artifact(folder, artifact.Path(data))["rows"] == 400


@pytest.mark.nightly
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_killing_and_resuming_gives_the_same_bits(write_spec, how):
    epochs = {"hyperparameters": {"epochs": 3, "batch_tokens": 128, "precision": "fp32"}}
    straight = write_spec("straight", rows=1000, checkpoint_seconds=600, **epochs)
    run_here(straight)
    broken = write_spec("broken", rows=1000, checkpoint_seconds=0.3, **epochs)
    process = engine_process("train", broken)
    saved = None
    for line in process.stdout:
        event = parse_event(line)
        if isinstance(event, CheckpointSaved):
            saved = event
            if event.step > 10:
                process.send_signal(how)
                break
    output, _ = process.communicate(timeout=30)  # A supervisor's patience.
    if how == signal.SIGTERM:
        assert process.returncode == 4
    lines = [line for line in output.splitlines() if line.endswith("}")]
    later = only([parse_event(line) for line in lines], CheckpointSaved)
    saved = later[-1] if later else saved
    assert not folder_of(broken).exists()
    spec = json.loads(broken.read_text()) | {"resume_from": saved.path}
    broken.write_text(json.dumps(spec))
    events = run_here(broken)
    assert only(events, CheckpointSaved)[0].step > saved.step
    assert weights(broken) == weights(straight)


@pytest.mark.nightly
def test_a_finished_checkpoint_is_exported_without_training_again(write_spec):
    spec = write_spec()
    events = run_here(spec)
    before = weights(spec)
    last = only(events, CheckpointSaved)[-1]
    spec.write_text(json.dumps(json.loads(spec.read_text()) | {"resume_from": last.path}))
    again = run_here(spec)
    assert not only(again, CheckpointSaved)
    assert weights(spec) == before


@pytest.mark.slow
def test_the_quick_method_trains_no_encoder(write_spec):
    hyperparameters = {"method": "probe", "precision": "fp32", "contenders": False}
    spec = write_spec(hyperparameters=hyperparameters)
    events = run_here(spec)
    assert not only(events, CheckpointSaved)
    assert artifact.verify(folder_of(spec)).training["method"] == "probe"


def test_a_split_that_leaves_one_label_to_train_on_is_refused(write_spec):
    texts, labels = labelled_rows(60)
    parts = ["train" if label == "fruit" else "test" for label in labels]
    columns = {"text": texts, "label": labels, "part": parts}
    spec = write_spec(columns=columns, split={"column": "part"})
    with pytest.raises(BadTrainingData, match="only one label"):
        run_here(spec)


def test_texts_that_never_differ_cannot_be_tested_and_say_so(write_spec):
    columns = {"text": ["yes", "no"] * 20, "label": ["y", "n"] * 20}
    with pytest.raises(BadTrainingData, match="too few different texts"):
        run_here(write_spec(columns=columns))


@pytest.mark.slow
@pytest.mark.parametrize("labels", [2, 3])
def test_a_dozen_rows_are_enough_for_a_model_with_warnings(write_spec, labels):
    texts = [f"apple {number}" for number in range(12)]
    spec = write_spec(columns={"text": texts, "label": [n % labels for n in range(12)]})
    events = run_here(spec)
    assert isinstance(events[-1], Result)
    assert "fitted again to other rows" in only(events, DatasetLoaded)[0].warnings[-1]


@pytest.mark.slow
def test_bad_data_ends_with_code_3_and_a_sentence_for_the_customer(write_spec):
    texts, labels = labelled_rows(50)
    spec = write_spec(columns={"text": texts, "label": ["same"] * len(labels)})
    code, events, _ = run(spec)
    (failure,) = only(events, Failure)
    assert code == 3
    assert (failure.code, failure.fault, failure.detail) == (
        "bad_data",
        "customer",
        "too_few_labels",
    )
    assert "at least two labels" in failure.sentence
