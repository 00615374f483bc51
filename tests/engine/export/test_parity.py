"""An export that computes something else is never served."""

import numpy as np
import pytest
import torch

from engine.catalog import get_base_model
from engine.errors import BrokenExport
from engine.export import parity as exporting
from engine.export.parity import (
    FLOAT_FILE,
    HeldOutRows,
    check_float_parity,
    check_int8_parity,
    export_onnx,
    torch_logits,
)
from engine.prediction_heads import MultiClass
from engine.tasks.text.base_models import load_encoder, locate_base_model
from engine.tasks.text.network import TextNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    encoder = load_encoder(locate_base_model(get_base_model("all-MiniLM-L6-v2")))
    return TextNetwork(encoder, 3).eval()


TRUTH = np.array([0, 1, 2] * 10)
JUDGE = MultiClass(TRUTH, ["a", "b", "c"], np.arange(30), smoothing=0, balanced=False)
ROWS = HeldOutRows([[2, 5, 6, 3], [2, 7, 3], [2, 9, 10, 11, 12, 3]] * 10, np.arange(30), JUDGE)


@pytest.mark.nightly
def test_the_second_exporter_steps_in_when_the_first_is_broken(network, tmp_path, monkeypatch):
    def broken(_network, _path, **_names):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(exporting, "write_text_traced", broken)
    _served, parity = export_onnx(network, tmp_path, ROWS)
    assert parity[FLOAT_FILE]["largest_logit_difference"] < 1e-3


@pytest.mark.slow
def test_a_float_export_with_other_weights_fails_the_job(network, tmp_path, monkeypatch):
    for name in ("write_text_traced", "write_text_dynamo"):
        monkeypatch.setattr(exporting, name, _with_a_wrong_bias(getattr(exporting, name)))
    with pytest.raises(BrokenExport, match="does not compute"):
        export_onnx(network, tmp_path, ROWS)


def _with_a_wrong_bias(write):
    def writing(network, path):
        network.head.bias.data += 1
        write(network, path)
        network.head.bias.data -= 1

    return writing


def test_a_broken_int8_file_is_refused_and_float_is_served(network, tmp_path, monkeypatch):
    def shuffled(source, target):
        network.head.weight.data = -network.head.weight.data
        exporting.write_text_traced(network, target)

    monkeypatch.setattr(exporting, "quantize_to_int8", shuffled)
    served, parity = export_onnx(network, tmp_path, ROWS)
    assert served == FLOAT_FILE
    assert not parity["model.int8.onnx"]["accepted"]
    assert parity["model.int8.onnx"]["reason"].startswith("refused")


def test_numbers_that_are_not_numbers_are_refused():
    reference = np.eye(3, dtype=np.float32)[[0, 1, 2] * 10]
    broken = np.full_like(reference, np.nan)
    assert not check_float_parity(ROWS, reference, broken).accepted
    assert not check_int8_parity(ROWS, reference, broken).accepted


def test_the_reference_is_computed_with_exact_products_whatever_training_allowed():
    seen = []

    class Recording(torch.nn.Module):
        def forward(self, ids, _mask):
            seen.append(torch.get_float32_matmul_precision())
            return torch.zeros(len(ids), 2)

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # As prepare_device sets it.
    try:
        torch_logits(Recording(), [[2, 3, 4], [2, 3]])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {"highest"}
