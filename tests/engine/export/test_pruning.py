import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import serving
from engine.artifact import read_manifest, verify
from engine.errors import ExportRefused
from engine.events import Reporter
from engine.export.attention_heads import (
    compute_head_importance,
    count_heads,
    find_attention_layers,
    select_heads,
)
from engine.export.huggingface_folder import HUGGINGFACE_FOLDER
from engine.pipeline import run_job
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from engine.tasks.text.network import load_network
from tests.engine.hpo.test_search import table

pytestmark = pytest.mark.xdist_group("shrinking")  # Where their models were trained.
DIALS = {"epochs": 6, "precision": "fp32", "method": "full", "batch_tokens": 128}


@pytest.fixture(scope="module")
def finished(models_folder, tmp_path_factory):
    """A finished text model; its spec as a dictionary."""
    from tests.engine.conftest import labelled_rows

    folder = tmp_path_factory.mktemp("finished")
    texts, labels = labelled_rows(500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATHE_MODELS_DIR", str(models_folder))
        return _trained(
            folder,
            {"text": texts, "label": labels},
            {"task": "text-classification", "text_columns": ["text"], "hyperparameters": DIALS},
        )


@pytest.fixture(scope="module")
def finished_table(tmp_path_factory):
    dials = {"precision": "fp32", "epochs": 10}
    spec = {"task": "tabular-classification", "hyperparameters": dials}
    return _trained(tmp_path_factory.mktemp("table"), table(600), spec)


def _trained(folder: Path, columns: dict, spec: dict) -> dict:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), folder / "data.parquet")
    spec |= {
        "data": str(folder / "data.parquet"),
        "target_column": "label",
        "output": str(folder / "artifact"),
        "work": str(folder / "work"),
        "base_model": "tabular-network" if "tabular" in spec["task"] else "all-MiniLM-L6-v2",
        "threads": 1,
    }
    run_job(parse_spec(spec), Reporter(lambda _line: None), StopSignal())
    return spec


def export(finished: dict, folder: Path, **options) -> Path:
    """The artifact folder of an export job."""
    spec = finished | {
        "output": str(folder / "made"),
        "work": str(folder / "work"),
        "export": {"source": finished["output"], "largest_loss": 0.2, **options},
    }
    run_job(parse_spec(spec), Reporter(lambda _line: None), StopSignal())
    verify(folder / "made")
    return folder / "made"


def card(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())["card"]


def shape(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())["encoder"]


@pytest.mark.nightly
def test_a_pruned_model_has_fewer_neurons_and_says_what_it_costs(finished, tmp_path):
    made = export(finished, tmp_path, format="pruned", keep=0.5)
    assert shape(made)["intermediate_size"] == 32
    comparison = card(made)
    assert comparison["made"]["parameters"] < comparison["source"]["parameters"]
    assert comparison["made"]["bytes"] < comparison["source"]["bytes"]
    assert comparison["times_smaller"] > 1
    assert comparison["loss"] <= 0.2
    assert 0.7 < comparison["agreement"] <= 1
    assert comparison["low"] <= comparison["difference"] <= comparison["high"]
    (answer,) = serving.load_model(made).answer(["my old hammer and saw"])
    assert answer["label"] in read_manifest(made).labels


def test_a_student_has_fewer_layers_and_learns_the_answers(finished, tmp_path):
    made = export(finished, tmp_path, format="distilled", layers=1, epochs=8)
    assert shape(made)["num_hidden_layers"] == 1
    assert read_manifest(made).training["method"] == "distilled"
    assert card(made)["agreement"] > 0.8


def test_the_int8_file_alone_answers_as_before(finished, tmp_path):
    made = export(finished, tmp_path, format="onnx-int8")
    assert not (made / "model.onnx").exists()
    assert card(made)["agreement"] >= 0.95


def test_the_full_precision_file_alone_answers_as_the_network(finished, tmp_path):
    made = export(finished, tmp_path, format="onnx")
    assert not (made / "model.int8.onnx").exists()
    assert read_manifest(made).serving.file == "model.onnx"
    texts = ["a new pear", "we saw oslo today"]
    own, theirs = (
        serving.load_model(Path(one)).answer(texts) for one in (made, finished["output"])
    )
    for mine, other in zip(own, theirs, strict=True):
        assert mine["probability"] == pytest.approx(other["probability"], abs=0.15)


def test_a_model_that_gets_too_much_worse_is_refused_and_nothing_is_left(finished, tmp_path):
    import pyarrow.parquet as pq

    rows = pq.read_table(finished["data"]).num_rows
    assert rows == 500
    broken = finished | {"hyperparameters": DIALS | {"learning_rate": 0.5, "seed": 3}}
    before = {p.name: p.stat().st_mtime_ns for p in Path(finished["output"]).iterdir()}
    with pytest.raises(ExportRefused, match="worse by"):
        export(broken, tmp_path, format="distilled", layers=1, epochs=1, largest_loss=0.0)
    assert not (tmp_path / "made").exists()
    after = {p.name: p.stat().st_mtime_ns for p in Path(finished["output"]).iterdir()}
    assert after == before


@pytest.mark.nightly
def test_a_table_model_becomes_one_network(finished_table, tmp_path):
    made = export(finished_table, tmp_path, format="distilled")
    assert read_manifest(made).training["method"] == "distilled"
    comparison = card(made)
    assert comparison["loss"] <= 0.2
    assert comparison["agreement"] > 0.75
    answers = serving.load_model(made).answer([{"size": 1.0, "weight": 1.0}])
    assert np.isclose(sum(answers[0]["probabilities"].values()), 1)


@pytest.mark.nightly
def test_heads_that_matter_least_go_and_every_layer_keeps_one(finished, tmp_path):
    made = export(finished, tmp_path, format="pruned", keep=1.0, keep_heads=0.5)
    counts = count_heads(load_network(made).encoder)
    assert sum(counts) == 4  # Of two layers with four heads each.
    assert min(counts) >= 1
    assert shape(made)["intermediate_size"] == 64
    comparison = card(made)
    assert comparison["made"]["parameters"] == comparison["source"]["parameters"] - 4 * (
        4 * 8 * 32 + 3 * 8
    )
    assert comparison["loss"] <= 0.2
    (answer,) = serving.load_model(made).answer(["my old hammer and saw"])
    assert answer["label"] == "tools"
    export(finished | {"output": str(made)}, tmp_path / "again", format="onnx")
    with pytest.raises(ExportRefused, match="heads were pruned"):
        export(finished | {"output": str(made)}, tmp_path / "hub", format="safetensors")


@pytest.mark.nightly
def test_a_head_counts_by_what_the_loss_loses_without_it(finished):
    network = load_network(Path(finished["output"]))
    first = find_attention_layers(network.encoder)[0]
    with torch.no_grad():
        first.output.weight[:, : first.size] = 0  # Whatever head 0 says is not heard.
    ids = torch.randint(4, 30, (8, 9))
    rows = [(ids, torch.ones_like(ids), torch.arange(8) % 3)]
    result = compute_head_importance(
        network, find_attention_layers(network.encoder), rows, torch.nn.functional.cross_entropy
    )
    assert result[0][0] == 0
    assert result[0][1:].min() > 0
    assert all(0 not in kept for kept in select_heads(result[:1], 0.75))
    few = select_heads([torch.tensor([0.9, 0.8]), torch.tensor([0.1, 0.2])], 0.1)
    assert few == [[0], [1]]


@pytest.mark.nightly
def test_cutting_a_head_equals_silencing_it(finished):
    network = load_network(Path(finished["output"]))
    ids = torch.randint(4, 30, (3, 7))
    mask = torch.ones_like(ids)
    attention = find_attention_layers(network.encoder)[1]
    whole = attention.output.weight.detach().clone()
    with torch.no_grad():
        attention.output.weight[:, attention.size : 2 * attention.size] = 0
        silenced = network(ids, mask)
        attention.output.weight.copy_(whole)
        attention.prune_to_heads([0, 2, 3])
        assert torch.allclose(network(ids, mask), silenced, atol=1e-6)


@pytest.mark.slow
def test_a_folder_for_transformers_answers_as_the_model(finished, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    made = export(finished, tmp_path, format="safetensors")
    comparison = card(made)
    assert comparison["agreement"] >= 0.95
    assert comparison["largest_difference"] < 0.5  # The original answers from its int8 file.
    tokenizer = AutoTokenizer.from_pretrained(made / HUGGINGFACE_FOLDER)
    encoder = AutoModel.from_pretrained(made / HUGGINGFACE_FOLDER)
    tokens = tokenizer("my old hammer and saw", return_tensors="pt")
    network = load_network(made)
    with torch.no_grad():
        states = encoder(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state
        own = network.encoder(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state
    assert torch.allclose(states, own, atol=1e-5)
    assert read_manifest(made).serving.file == "model.onnx"
    assert json.loads((made / HUGGINGFACE_FOLDER / "head.json").read_text())["labels"]


def test_a_folder_that_answers_otherwise_is_refused(finished, tmp_path, monkeypatch):
    from engine.export import huggingface_folder

    def careless(network, *rest, save=huggingface_folder.save_huggingface_folder):
        network.head.weight.data.neg_()
        return save(network, *rest)

    monkeypatch.setattr("engine.tasks.text.export.save_huggingface_folder", careless)
    with pytest.raises(ExportRefused, match="worse by"):
        export(finished, tmp_path, format="safetensors")
    assert not (tmp_path / "made").exists()


def test_pruning_that_removes_nothing_is_refused_before_it_begins(finished, tmp_path):
    with pytest.raises(ValueError, match="removes nothing"):
        export(finished, tmp_path, format="pruned", keep=1.0)
