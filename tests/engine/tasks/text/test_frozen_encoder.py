"""The files of a frozen encoder: made once, as good as torch, and never trusted unseen."""

import json
import os

import numpy as np
import pytest
import torch

from engine.events import Reporter
from engine.export import parity as exporting
from engine.export.parity import (
    FLOAT_FILE,
    INT8_FILE,
    HeldOutRows,
    export_onnx,
    onnx_logits,
    torch_logits,
)
from engine.pipeline import run_job
from engine.prediction_heads import MultiClass
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from engine.tasks.text import embeddings, frozen_encoder
from engine.tasks.text.base_models import load_encoder
from engine.tasks.text.frozen_encoder import cosine_similarity, load_or_export
from engine.tasks.text.network import TextNetwork

TRUTH = np.array([0, 1, 2] * 10)
JUDGE = MultiClass(TRUTH, ["a", "b", "c"], np.arange(30), smoothing=0, balanced=False)
ROWS = HeldOutRows([[2, 5, 6, 3], [2, 7, 3], [2, 9, 10, 11, 12, 3]] * 10, np.arange(30), JUDGE)
IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LATHE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoders"


@pytest.fixture
def base(models_folder):
    return models_folder / "all-MiniLM-L6-v2"


def network_on(base, seed=0):
    torch.manual_seed(seed)
    network = TextNetwork(load_encoder(base), 3, normalise=True).eval()
    network.head.weight.data.mul_(20)  # Answers far enough apart for eight bits.
    return network


def test_files_are_made_once_and_anew_when_the_weights_change(base, cache, tmp_path):
    import shutil

    own = shutil.copytree(base, tmp_path / "base")
    network = network_on(own)
    first = load_or_export(network, own)
    stamp = (first.folder / "encoder.onnx").stat().st_mtime_ns
    assert load_or_export(network, own) == first
    assert (first.folder / "encoder.onnx").stat().st_mtime_ns == stamp
    os.utime(own / "model.safetensors", ns=(1, 1))
    for name in ("making-now", "making-long-ago"):  # Another job's, and a killed one's.
        (cache / name).mkdir()
    os.utime(cache / "making-long-ago", (1, 1))
    second = load_or_export(network, own)
    assert second != first
    assert set(cache.iterdir()) == {second.folder, cache / "making-now"}


def test_the_file_embeds_as_torch_does_whatever_stands_beside_a_row(base):
    network = network_on(base)
    embed = load_or_export(network, base).load_embedder(1)
    assert cosine_similarity(embed, network, IDS, MASK) > 0.99
    assert torch.allclose(embed(IDS, MASK).norm(dim=-1), torch.ones(2), atol=1e-5)
    assert network.normalise  # Left as it was.


def test_only_the_layer_is_written_and_the_answers_are_the_networks(base, tmp_path, monkeypatch):
    network = network_on(base)
    frozen = load_or_export(network, base)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("no exporter is needed")

    monkeypatch.setattr(exporting, "write_text_traced", never)
    monkeypatch.setattr(exporting, "quantize_to_int8", never)
    served, parity = export_onnx(network, tmp_path, ROWS, frozen)
    assert served == INT8_FILE
    assert parity[FLOAT_FILE]["largest_logit_difference"] < 1e-4
    assert parity[INT8_FILE]["label_agreement"] >= 0.97


@pytest.mark.parametrize("harm", ["other weights", "torn file", "gone"])
def test_files_that_do_not_fit_the_network_are_not_used(base, tmp_path, harm):
    network = network_on(base)
    frozen = load_or_export(network, base)
    if harm == "other weights":
        with torch.no_grad():
            next(iter(network.encoder.parameters())).add_(0.5 * torch.randn(1, 32))
    elif harm == "torn file":
        (frozen.folder / "encoder.onnx").write_bytes(b"half of it")
    else:
        (frozen.folder / "encoder.int8.onnx").unlink()
    _served, parity = export_onnx(network, tmp_path, ROWS, frozen)
    assert parity[FLOAT_FILE]["accepted"]
    found = onnx_logits(tmp_path / FLOAT_FILE, ROWS.token_ids)
    assert np.allclose(found, torch_logits(network, ROWS.token_ids), atol=1e-3)


def trained(write_spec, monkeypatch, **hyperparameters):
    monkeypatch.setattr(embeddings, "MIN_TOKENS_FOR_ONNX", 100)
    spec = json.loads(
        write_spec(
            hyperparameters={"method": "probe", "precision": "bf16"} | hyperparameters
        ).read_text()
    )
    run_job(parse_spec(spec), Reporter(lambda _line: None), StopSignal())
    return json.loads(open(f"{spec['output']}/report.json").read())


@pytest.mark.slow
def test_a_quick_job_reads_its_rows_by_the_file_and_serves_it(write_spec, monkeypatch, cache):
    report = trained(write_spec, monkeypatch, contenders=False)  # Words tell these labels as well.
    assert len(list(cache.iterdir())) == 1
    accuracy = next(one["value"] for one in report["metrics"] if one["name"] == "accuracy")
    assert accuracy > 0.9
    assert report["parity"][INT8_FILE]["accepted"]


@pytest.mark.slow
def test_who_asks_for_float32_gets_float32(write_spec, monkeypatch, cache):
    trained(write_spec, monkeypatch, precision="fp32")
    assert not cache.exists()


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["no room", "poor likeness"])
def test_without_files_torch_reads_the_rows(write_spec, monkeypatch, cache, trouble):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if trouble == "no room":
        monkeypatch.setattr(frozen_encoder, "load_or_export", full)
    else:
        monkeypatch.setattr(frozen_encoder, "cosine_similarity", lambda *_: 0.5)
    report = trained(write_spec, monkeypatch)
    assert report["parity"][FLOAT_FILE]["accepted"]
