"""Remembered states are what the lower layers would have computed, and only while asked for."""

import numpy as np
import pytest
import torch

from engine.data.tokenization import TokenizedRows
from engine.tasks.text.base_models import load_encoder
from engine.tasks.text.network import TextNetwork, freeze_lower_half
from engine.tasks.text.training_inputs import activation_cache
from engine.tasks.text.training_inputs.activation_cache import cache_lower_layers

IDS = [[2, 5, 6, 3], [2, 7, 3], [2, 9, 10, 11, 12, 3], [2, 20, 3]]
ROWS = TokenizedRows([np.array(ids, dtype=np.int32) for ids in IDS], 64, 0)
CHOSEN = np.array([3, 0, 2])  # Row 1 is nobody's: only validated on, say.


@pytest.fixture
def network(models_folder):
    torch.manual_seed(0)
    network = TextNetwork(load_encoder(models_folder / "all-MiniLM-L6-v2"), 3)
    assert freeze_lower_half(network.encoder)
    return network.train()


def outputs(network, rows):
    return network(*ROWS.padded(np.array(rows), "cpu"))


def gradients(network, found):
    network.zero_grad()
    found.square().sum().backward()
    return [one.grad.clone() for one in network.parameters() if one.grad is not None]


def test_outputs_and_gradients_are_those_of_the_whole_network(network):
    whole = outputs(network, [2, 0])
    expected = gradients(network, whole)
    known = cache_lower_layers(network.encoder, ROWS, CHOSEN, "fp32")
    with known.use_cached(np.array([2, 0]), tokens=6):
        found = outputs(network, [2, 0])
    assert torch.allclose(found, whole, atol=1e-5)
    for one, other in zip(gradients(network, found), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_rows_recalled_are_not_computed(network, monkeypatch):
    known = cache_lower_layers(network.encoder, ROWS, CHOSEN, "fp32")
    with torch.no_grad():
        before = outputs(network, [0])
        network.encoder.encoder.layer[0].attention.self.value.weight.mul_(-50)
        with known.use_cached(np.array([0]), tokens=4):
            recalled = outputs(network, [0])
        computed = outputs(network, [0])
    assert torch.allclose(recalled, before, atol=1e-5)
    assert not torch.allclose(computed, before, atol=1e-2)


def test_forgetting_leaves_the_network_as_it_was(network):
    names = list(network.state_dict())
    known = cache_lower_layers(network.encoder, ROWS, CHOSEN, "fp32")
    assert list(network.state_dict()) == names
    known.restore_layers()
    assert not any("forward" in vars(layer) for layer in network.encoder.encoder.layer)


def test_bfloat16_is_close(network):
    whole = outputs(network, [0, 3])
    known = cache_lower_layers(network.encoder, ROWS, CHOSEN, "bf16")
    with known.use_cached(np.array([0, 3]), tokens=4):
        assert torch.allclose(outputs(network, [0, 3]), whole, atol=0.05)


def test_what_would_take_too_much_memory_is_computed_each_time(network, monkeypatch):
    tokens = sum(len(IDS[row]) for row in CHOSEN)
    monkeypatch.setattr(activation_cache, "MAX_CACHE_BYTES", tokens * 32 * 4)
    assert cache_lower_layers(network.encoder, ROWS, CHOSEN, "fp32") is not None
    monkeypatch.setattr(activation_cache, "MAX_CACHE_BYTES", tokens * 32 * 4 - 1)
    assert cache_lower_layers(network.encoder, ROWS, CHOSEN, "fp32") is None


def test_layers_that_answer_in_another_shape_are_left_alone(network):
    layer = network.encoder.encoder.layer[0]
    layer.register_forward_hook(lambda _layer, _inputs, output: (output, None))
    assert cache_lower_layers(network.encoder, ROWS, CHOSEN, "fp32") is None
