"""A job whose model the packed encoder answers: tested with it, served by it, else by ONNX."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.artifact import Manifest, read_manifest
from engine.events import Reporter
from engine.export import parity as exporting
from engine.export.parity import (
    INT8_FILE,
    MIN_SPEEDUP,
    PACKED_FILE,
    HeldOutRows,
    check_packed_parity,
    describe_serving,
)
from engine.export.single_file import keep_requested_file
from engine.pipeline import run_job
from engine.prediction_heads import MultiClass
from engine.serving import load_model
from engine.serving.embeddings import open_embedder
from engine.serving.packed import library
from engine.spec import parse_spec
from engine.spec.exporting import ExportSpec
from engine.stop_signal import StopSignal
from tests.engine.conftest import labelled_rows

TEXTS = ["an old apple", "we saw the hammer today", "paris", "some nice cherry with a plum " * 5]
needs_kernel = pytest.mark.skipif(
    library.load_kernel() is None, reason="no AVX2 or no C compiler here"
)


@pytest.fixture
def wide_models(models_folder, tmp_path, monkeypatch):
    """The tiny base model, as wide as the kernel needs."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path / "models" / "all-MiniLM-L6-v2"
    narrow = models_folder / "all-MiniLM-L6-v2"
    config = BertConfig.from_pretrained(narrow)
    config.hidden_size, config.intermediate_size, config.num_attention_heads = 64, 128, 2
    torch.manual_seed(1)
    BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((narrow / "tokenizer.json").read_bytes())
    monkeypatch.setenv("LATHE_MODELS_DIR", str(folder.parent))
    monkeypatch.setenv("LATHE_CACHE_DIR", str(tmp_path / "cache"))
    library.load_kernel.cache_clear()
    yield folder
    library.load_kernel.cache_clear()


def train(write_spec, **changes) -> Path:
    hyperparameters = {"epochs": 2, "batch_tokens": 256, "precision": "fp32", "contenders": False}
    hyperparameters |= changes.pop("hyperparameters", {})
    spec = json.loads(write_spec(hyperparameters=hyperparameters, **changes).read_text())
    run_job(parse_spec(spec), Reporter(lambda _line: None), StopSignal())
    return Path(spec["output"])


@pytest.mark.slow
@needs_kernel
@pytest.mark.parametrize("method", ["probe", "full"])
def test_what_was_tested_is_what_answers(wide_models, write_spec, monkeypatch, method):
    folder = train(write_spec, hyperparameters={"method": method})
    manifest = read_manifest(folder)
    facts = manifest.parity[PACKED_FILE]
    assert (manifest.serving.engine, manifest.parity["served"]) == ("packed", PACKED_FILE)
    assert facts["accepted"]
    assert manifest.serving.weight_steps == facts["weight_steps"]
    assert facts["speedup"] >= MIN_SPEEDUP
    assert json.loads((folder / "report.json").read_text())["evaluated_file"] == PACKED_FILE
    packed = load_model(folder)
    assert packed.engine == "packed"
    predictions = pq.read_table(folder / "predictions.parquet").to_pydict()
    answers = packed.answer(predictions["text"])
    assert [answer["label"] for answer in answers] == predictions["predicted"]
    embedded = open_embedder(folder)
    vectors = embedded.outputs(embedded.encode(TEXTS))

    monkeypatch.setenv(library.SWITCH, "off")
    library.load_kernel.cache_clear()
    by_onnx = load_model(folder)
    assert by_onnx.engine == "onnxruntime"
    difference = by_onnx.outputs(by_onnx.encode(TEXTS)) - packed.outputs(packed.encode(TEXTS))
    assert 0 < np.abs(difference).max() < 0.2
    other = open_embedder(folder)
    likeness = (other.outputs(other.encode(TEXTS)) * vectors).sum(axis=1)
    assert likeness.min() > 0.98


@pytest.mark.nightly
@needs_kernel
def test_numbers_are_answered_by_it_too(wide_models, write_spec):
    texts, labels = labelled_rows(300)
    numbers = [str({"fruit": 1.0, "tools": 5.0, "cities": 9.0}[label]) for label in labels]
    columns = {"text": texts, "label": numbers}
    folder = train(write_spec, task="text-regression", columns=columns)
    model = load_model(folder)
    assert model.engine == "packed"
    assert all(-5 < answer["value"] < 15 for answer in model.answer(TEXTS))


@pytest.mark.slow
def test_without_the_kernel_a_job_serves_its_onnx_file(wide_models, write_spec, monkeypatch):
    monkeypatch.setenv(library.SWITCH, "off")
    folder = train(write_spec, hyperparameters={"method": "probe"})
    manifest = read_manifest(folder)
    assert manifest.serving.engine == "onnxruntime"
    assert PACKED_FILE not in manifest.parity
    assert manifest.parity["served"] == manifest.serving.file


@pytest.mark.slow
@needs_kernel
def test_a_kernel_that_fails_does_not_end_the_job(wide_models, write_spec, monkeypatch):
    def fail(_folder: Path) -> None:
        raise ValueError("torn weights")

    monkeypatch.setattr(exporting, "pack_network", fail)
    folder = train(write_spec, hyperparameters={"method": "probe"})
    assert read_manifest(folder).serving.engine == "onnxruntime"


TRUTH = np.array([0, 1] * 200)
JUDGE = MultiClass(TRUTH, ["a", "b"], np.arange(400), smoothing=0, balanced=False)
ROWS = HeldOutRows([[1]] * 400, np.arange(400), JUDGE)
RIGHT = np.eye(2, dtype=np.float32)[TRUTH]


def flipped(count: int, outputs: np.ndarray = RIGHT) -> np.ndarray:
    changed = outputs.copy()
    changed[:count] = changed[:count, ::-1]
    return changed


@pytest.mark.parametrize(
    ("reference", "packed", "speedup", "accepted"),
    [
        (RIGHT, flipped(4), 2.0, True),  # 99 %.
        (RIGHT, flipped(5), 2.0, False),  # Less, and one more is wrong.
        (flipped(5), RIGHT, 2.0, True),  # Less, but more are right.
        (flipped(13), RIGHT, 2.0, False),  # Another model, however good.
        (RIGHT, RIGHT, 1.1, False),  # Not worth it.
        (RIGHT, RIGHT * np.nan, 2.0, False),
    ],
)
def test_it_is_refused_below_99_percent_unless_nothing_is_lost(
    reference, packed, speedup, accepted
):
    parity = check_packed_parity(ROWS, reference, packed, INT8_FILE, speedup)
    assert parity.accepted is accepted
    assert parity.reason.startswith("kept" if accepted else "refused")


def test_who_asks_for_one_file_is_served_from_it():
    parity = {
        INT8_FILE: {"accepted": True},
        PACKED_FILE: {"weight_steps": "bounded", "check": [0.5]},
        "served": PACKED_FILE,
    }
    serving = describe_serving(INT8_FILE, parity)
    assert (serving.engine, serving.weight_steps, serving.check) == ("packed", "bounded", [0.5])
    manifest = Manifest(
        task="text-classification",
        base_model="m",
        inputs={"kind": "text"},
        target={"kind": "label"},
        serving=serving,
        parity=parity,
    )
    asked = ExportSpec.model_construct(format="onnx-int8")
    kept = keep_requested_file(asked, manifest, Path("/nowhere"))
    assert (kept.serving.engine, kept.serving.check) == ("onnxruntime", [])
    assert kept.parity == {INT8_FILE: {"accepted": True}, "served": INT8_FILE}
