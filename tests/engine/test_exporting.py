"""An export that computes something else is never served."""

import numpy as np
import pytest

from engine import exporting
from engine.catalog import find
from engine.errors import BrokenExport
from engine.exporting import FLOAT_FILE, HeldOutRows, export, float_verdict, int8_verdict
from engine.goals import OneLabel
from engine.loading import load_encoder, locate
from engine.network import TextNetwork


@pytest.fixture
def network():
    import torch

    torch.manual_seed(0)
    encoder = load_encoder(locate(find("all-MiniLM-L6-v2")))
    return TextNetwork(encoder, 3).eval()


TRUTH = np.array([0, 1, 2] * 10)
JUDGE = OneLabel(TRUTH, ["a", "b", "c"], np.arange(30), smoothing=0, balanced=False)
ROWS = HeldOutRows([[2, 5, 6, 3], [2, 7, 3], [2, 9, 10, 11, 12, 3]] * 10, np.arange(30), JUDGE)


def test_the_second_exporter_steps_in_when_the_first_is_broken(network, tmp_path, monkeypatch):
    def broken(_network, _path, **_names):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(exporting, "write_text_traced", broken)
    _served, parity = export(network, tmp_path, ROWS)
    assert parity[FLOAT_FILE]["largest_logit_difference"] < 1e-3


def test_a_float_export_with_other_weights_fails_the_job(network, tmp_path, monkeypatch):
    for name in ("write_text_traced", "write_text_exported"):
        monkeypatch.setattr(exporting, name, _with_a_wrong_bias(getattr(exporting, name)))
    with pytest.raises(BrokenExport, match="does not compute"):
        export(network, tmp_path, ROWS)


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

    monkeypatch.setattr(exporting, "quantise", shuffled)
    served, parity = export(network, tmp_path, ROWS)
    assert served == FLOAT_FILE
    assert not parity["model.int8.onnx"]["accepted"]
    assert parity["model.int8.onnx"]["reason"].startswith("refused")


def test_numbers_that_are_not_numbers_are_refused():
    reference = np.eye(3, dtype=np.float32)[[0, 1, 2] * 10]
    broken = np.full_like(reference, np.nan)
    assert not float_verdict(ROWS, reference, broken).accepted
    assert not int8_verdict(ROWS, reference, broken).accepted
