"""Every kind of text target and every method: exported, served as tested, resumed bit for bit."""

import json
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from engine import artifact, serving
from engine.errors import BadTrainingData, OutOfMemory
from engine.events import CheckpointSaved, Message, parse_event
from engine.prediction import evaluate_artifact, reexport_onnx
from engine.spec import JobSpec, TextHyperparameters
from tests.engine.conftest import TOPICS, labelled_rows
from tests.engine.test_pipeline import folder_of, only, run_here, weights

BRIEF = {"epochs": 2, "batch_tokens": 128, "precision": "fp32"}


def tagged_rows(rows, seed=0):
    """Texts that speak of one or two topics, and the topics between bars."""
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(rows):
        topics = sorted(rng.sample(list(TOPICS), rng.choice([1, 2])))
        words = [word for topic in topics for word in rng.choices(TOPICS[topic], k=2)]
        texts.append(" ".join([*words, "the", "old"][: rng.randint(4, 6)]))
        labels.append("|".join(topics))
    return {"text": texts, "label": labels}


def counted_rows(rows, seed=0):
    """Texts and how many fruits they name."""
    rng = random.Random(seed)
    texts, numbers = [], []
    for _ in range(rows):
        fruits = rng.randint(0, 4)
        words = rng.choices(TOPICS["fruit"], k=fruits) + rng.choices(TOPICS["tools"], k=4)
        rng.shuffle(words)
        texts.append(" ".join(words))
        numbers.append(fruits * 2.5)
    return {"text": texts, "label": numbers}


VARIANTS = {
    "several": (tagged_rows, {}),
    "number": (counted_rows, {}),
    "upper": (None, {"method": "upper"}),
    "upper, random below": (None, {"method": "upper", "dropout": 0.1}),
    "lora": (None, {"method": "lora", "lora_rank": 4, "dropout": 0.1}),
    "head": (None, {"method": "head", "dropout": 0.1, "class_weights": "balanced"}),
    "dropout": (None, {"dropout": 0.2, "accumulation": 2, "schedule": "cosine"}),
    "sgd": (None, {"optimizer": "sgd", "gradient_checkpointing": True}),
    "adversarial": (None, {"adversarial": 0.05, "dropout": 0.1}),
    "augmented": (None, {"augmentation": "strong", "epochs": 2}),
    "augmented, upper": (None, {"method": "upper", "augmentation": "light"}),
    "fp16": (None, {"precision": "fp16"}),
    "adafactor": (None, {"optimizer": "adafactor", "schedule": "constant", "gradient_clip": 0}),
}


def variant(write_spec, name, **changes):
    make, hyperparameters = VARIANTS[name]
    columns = make(200) if make else None
    task = "text-regression" if name == "number" else "text-classification"
    return write_spec(
        changes.pop("file", name),
        rows=200,
        columns=columns,
        task=task,
        hyperparameters={"method": "full"} | BRIEF | hyperparameters,
        **changes,
    )


SHORT_RUN = ("several",)  # The commonest form; all others in the long run.


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SHORT_RUN else pytest.mark.nightly)
        for name in VARIANTS
    ],
)
def test_each_variant_is_served_as_tested_and_resumes_bit_for_bit(write_spec, name, monkeypatch):
    if name == "fp16":  # Meant for GPUs, but what it keeps is the same here.
        monkeypatch.setattr(JobSpec, "device_problem", lambda *_: "")
    straight = variant(write_spec, name, file="straight", checkpoint_seconds=600)
    run_here(straight)
    folder = folder_of(straight)
    manifest = artifact.verify(folder)
    assert manifest.parity["model.onnx"]["accepted"]
    assert manifest.parity["model.onnx"]["largest_logit_difference"] < 1e-3
    _check_answers(folder, manifest)
    broken = variant(write_spec, name, file="broken", checkpoint_seconds=1e-9)
    saved = _stop_in_the_middle(broken)
    broken.write_text(json.dumps(json.loads(broken.read_text()) | {"resume_from": saved}))
    run_here(broken)
    assert weights(broken) == weights(straight)


def _check_answers(folder, manifest):
    stored = pq.read_table(folder / "predictions.parquet").to_pydict()
    answers = serving.load_model(folder).answer(stored["text"])
    if manifest.target.kind == "number":
        assert [one["value"] for one in answers] == pytest.approx(stored["predicted"], abs=1e-3)
    elif manifest.target.kind == "labels":
        assert [", ".join(one["labels"]) or "" for one in answers] == [
            text.replace("none", "") for text in stored["predicted"]
        ]
    else:
        assert [one["label"] for one in answers] == stored["predicted"]


def _stop_in_the_middle(spec):
    """Leave after some steps, as on SIGTERM; returns the checkpoint's folder."""
    from engine.errors import StopRequested
    from engine.events import Reporter
    from engine.pipeline import run_job
    from engine.spec import parse_spec
    from engine.stop_signal import StopSignal

    stop, lines = StopSignal(), []

    def write(line):
        lines.append(line)
        stop.requested |= sum('"checkpoint"' in one for one in lines) >= 2

    with pytest.raises(StopRequested):
        run_job(parse_spec(json.loads(spec.read_text())), Reporter(write), stop)
    saved = only([parse_event(line) for line in lines], CheckpointSaved)
    return saved[-1].path


@pytest.mark.slow
def test_several_labels_carry_their_thresholds_and_can_be_measured_and_exported_again(write_spec):
    spec = variant(write_spec, "several")
    run_here(spec)
    folder, data = folder_of(spec), artifact.Path(json.loads(spec.read_text())["data"])
    manifest = artifact.verify(folder)
    assert manifest.labels == sorted(TOPICS)
    assert len(manifest.target.thresholds) == len(TOPICS)
    assert {one["name"] for one in evaluate_artifact(folder, data)["metrics"]} >= {
        "micro_f1",
        "macro_f1",
    }
    assert reexport_onnx(folder, folder.parent / "again", data)["parity"]["model.onnx"]["accepted"]


@pytest.mark.slow
def test_a_number_is_answered_in_its_own_unit_and_beats_the_mean(write_spec):
    spec = variant(write_spec, "number")
    spec.write_text(
        json.dumps(
            json.loads(spec.read_text())
            | {"hyperparameters": BRIEF | {"epochs": 20, "learning_rate": 0.003}}
        )
    )
    run_here(spec)
    report = json.loads((folder_of(spec) / "report.json").read_text())
    own = {metric["name"]: metric["value"] for metric in report["metrics"]}
    mean = next(one for one in report["baselines"] if one["id"] == "mean")
    assert own["rmse"] < next(m["value"] for m in mean["metrics"] if m["name"] == "rmse")


@pytest.mark.nightly
def test_a_model_from_scratch_needs_no_base(write_spec):
    columns = dict(zip(("text", "label"), labelled_rows(300), strict=True))
    spec = write_spec(
        columns=columns,
        base_model="small-text-transformer",
        hyperparameters=BRIEF | {"epochs": 3},
    )
    run_here(spec)
    report = json.loads((folder_of(spec) / "report.json").read_text())
    assert "probe" not in {one["id"] for one in report["baselines"]}
    assert serving.load_model(folder_of(spec)).answer(["apple pear"])[0]["label"] in TOPICS


@pytest.mark.parametrize("method", ["probe", pytest.param("full", marks=pytest.mark.nightly)])
def test_folds_report_mean_and_spread(write_spec, method):
    spec = write_spec(rows=120, hyperparameters=BRIEF | {"method": method, "folds": 3, "epochs": 1})
    run_here(spec)
    report = json.loads((folder_of(spec) / "report.json").read_text())
    crossed = report["data"]["cross_validation"]
    values = crossed["metrics"]["accuracy"]["values"]
    assert len(values) == crossed["folds"] == 3
    assert crossed["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(values))


@pytest.mark.parametrize(
    ("rows", "method", "factor"), [(31, "probe", 1), (2499, "full", 1), (2500, "upper", 1.75)]
)
def test_what_automatic_means_follows_from_the_rows(rows, method, factor):
    hyperparameters = TextHyperparameters()
    assert hyperparameters.chosen_method(rows, 2) == method
    assert hyperparameters.rate_factor(from_scratch=False, train_rows=rows) == factor
    assert hyperparameters.rate_factor(from_scratch=True, train_rows=rows) == 1


@pytest.mark.nightly
def test_the_lower_half_stays_as_the_base_model_has_it(write_spec, models_folder):
    spec = write_spec(rows=200, hyperparameters=BRIEF | {"method": "upper"})
    run_here(spec)
    learnt = weights(spec)
    base = load_file(models_folder / "all-MiniLM-L6-v2" / "model.safetensors")
    kept = {name for name, one in base.items() if learnt[f"encoder.{name}"] == one.tobytes()}
    outer = {name for name in base if not name.startswith("encoder.layer.1.")}
    assert kept == outer


def test_large_batches_are_only_chosen_where_enough_of_them_are_left():
    hyperparameters = TextHyperparameters()
    assert [hyperparameters.planned_batch_tokens(rows) for rows in (100, 2500, 2600)] == [
        512,
        512,
        1024,
    ]
    assert TextHyperparameters(batch_tokens=64).planned_batch_tokens(10_000) == 64
    with pytest.raises(ValueError, match="Use 0 for the automatic choice"):
        TextHyperparameters(batch_tokens=31)


@pytest.mark.slow
def test_tens_of_rows_are_taught_by_the_probe(write_spec):
    """Beside it a linear model on words, which easy rows make the model."""
    spec = write_spec(rows=40, hyperparameters={"precision": "fp32"})
    run_here(spec)
    assert artifact.verify(folder_of(spec)).training["method"] in ("probe", "ngrams")


@pytest.mark.nightly
def test_what_does_not_fit_is_computed_in_pieces_with_the_same_steps(write_spec, monkeypatch):
    from engine.loop import memory_planning

    whole = write_spec("whole", rows=120, hyperparameters=BRIEF | {"method": "full"})
    plain = run_here(whole)
    # Room for four rows of a batch, beside weights and optimizer.
    monkeypatch.setattr(memory_planning, "measure_activation_bytes_per_row", lambda *_: 1e6)
    monkeypatch.setattr(memory_planning, "estimate_training_state_bytes", lambda *_: 1e6)
    monkeypatch.setattr(
        memory_planning,
        "available_memory_bytes",
        lambda *_, **__: 1e6 + 4.5e6 * memory_planning.MEMORY_SAFETY_FACTOR,
    )
    tight = write_spec("tight", rows=120, hyperparameters=BRIEF | {"method": "full"})
    events = run_here(tight)
    warned = [one.text for one in only(events, Message) if one.level == "warning"]
    assert any("pieces" in text for text in warned)
    last = [only(one, CheckpointSaved)[-1] for one in (plain, events)]
    assert last[0].step == last[1].step


def test_what_fits_in_no_pieces_is_refused_with_advice():
    from engine.loop.memory_planning import compute_microbatch_splits

    assert compute_microbatch_splits(0, 10, 64, 10_000) == 0
    assert compute_microbatch_splits(100, 10, 64, 300) == 2
    with pytest.raises(OutOfMemory, match="Shorten the longest"):
        compute_microbatch_splits(1000, 10, 64, 1005)


def test_half_precision_is_refused_on_a_processor_with_the_field_named(write_spec, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    spec = write_spec(hyperparameters=BRIEF | {"precision": "fp16"})
    with pytest.raises(BadTrainingData, match="hyperparameters.precision: fp16 needs a GPU"):
        run_here(spec)


def test_numbers_that_are_words_are_refused(write_spec):
    columns = {"text": [f"t{n}" for n in range(20)], "label": ["high", "low"] * 10}
    with pytest.raises(BadTrainingData, match="not hold|other things than numbers"):
        run_here(write_spec(columns=columns, task="text-regression"))


@pytest.mark.nightly
def test_a_retry_in_smaller_pieces_goes_on_from_the_checkpoint(write_spec):
    spec = write_spec(rows=120, checkpoint_seconds=1e-9, hyperparameters=BRIEF | {"method": "full"})
    saved = _stop_in_the_middle(spec)
    again = json.loads(spec.read_text()) | {"resume_from": saved, "halvings": 1}
    spec.write_text(json.dumps(again))
    events = run_here(spec)
    assert not any("starting from the beginning" in one.text for one in only(events, Message))
    assert only(events, CheckpointSaved)[0].step > 1
