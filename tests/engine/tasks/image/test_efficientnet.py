"""The pretrained network of pictures: its weights fit, its answers depend on one picture alone."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.catalog import base_models_for_task, get_base_model
from engine.errors import BaseModelUnavailable
from engine.tasks.image.efficientnet import (
    EfficientNetLite0,
    SameConv2d,
    load_efficientnet,
    locate_efficientnet,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LATHE_CACHE_DIR", str(tmp_path))
    return locate_efficientnet(get_base_model("efficientnet-lite0"))


def test_it_is_the_default_and_needs_no_network():
    first = base_models_for_task("image-classification")[0]
    assert (first.id, first.offline, first.licence) == ("efficientnet-lite0", True, "Apache-2.0")


def test_the_weights_are_converted_once_with_their_source_beside_them(folder, monkeypatch):
    assert sorted(path.name for path in folder.iterdir()) == ["LICENCE.txt", "model.safetensors"]
    assert "Apache-2.0" in (folder / "LICENCE.txt").read_text()
    monkeypatch.setattr("engine.tasks.image.efficientnet.convert_weights", None)
    assert locate_efficientnet(get_base_model("efficientnet-lite0")) == folder


def test_features_do_not_depend_on_the_batch_even_in_training(folder):
    network = load_efficientnet(folder).train()
    pixels = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        together, alone = network(pixels), network(pixels[1:2])
    assert together.shape == (3, 1280)
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    assert float(together.std()) > 0.01


@pytest.mark.parametrize(("side", "kernel", "stride"), [(8, 3, 2), (7, 3, 2), (8, 5, 2), (9, 5, 1)])
def test_padding_is_that_of_tensorflow(side, kernel, stride):
    """The output has ceil(side / stride) pixels, and the odd pixel of padding comes last."""
    convolution = SameConv2d(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(convolution.weight)
    output = convolution(torch.ones(1, 1, side, side))[0, 0].detach().numpy()
    count = -(-side // stride)
    before = max((count - 1) * stride + kernel - side, 0) // 2
    starts = np.arange(count) * stride - before
    covered = np.minimum(starts + kernel, side) - np.maximum(starts, 0)
    assert output == pytest.approx(np.outer(covered, covered))


def test_weights_of_another_network_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(next(iter(tensors)))
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BaseModelUnavailable, match="another network"):
        load_efficientnet(folder)


def test_the_network_can_learn():
    network = EfficientNetLite0()
    network.train()(torch.zeros(1, 3, 32, 32)).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
