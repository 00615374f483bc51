"""Smaller networks out of a trained one: fewer neurons or heads in its layers, or fewer layers.

Whole neurons, heads and layers go, so that what is left is an ordinary smaller network of the same
architecture: any file, runtime and processor gains from it.
"""

import copy
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine import heads
from engine.errors import BadTrainingData
from engine.network import TextNetwork, load_network, save_network

Batches = Iterable[tuple[Tensor, Tensor]]  # Ids and masks.


def with_fewer_neurons(network: TextNetwork, keep: float, batches: Batches) -> TextNetwork:
    """A copy without the feed-forward neurons that say least about these rows.

    A neuron counts by its mean activation times the length of the weights it speaks through.
    """
    smaller = copy.deepcopy(network).cpu().eval()
    blocks = _feed_forward_blocks(smaller)
    loudness = _mean_activations(smaller, blocks, batches)
    width = blocks[0][0].out_features
    kept = max(8, round(width * keep))
    for (inner, outer), loud in zip(blocks, loudness, strict=True):
        worth = loud * outer.weight.detach().norm(dim=0)
        chosen = worth.topk(kept).indices.sort().values
        _cut(inner, outer, chosen)
    smaller.encoder.config.intermediate_size = kept
    return _checked(smaller)


def with_fewer_heads(
    network: TextNetwork, keep: float, rows: heads.HeardRows, loss: heads.Loss
) -> TextNetwork:
    """A copy without the attention heads that matter least to `loss` over these rows."""
    smaller = copy.deepcopy(network).cpu().eval()
    found = heads.attentions(smaller.encoder)
    if not found:
        raise _unknown_shape(smaller)
    importance = heads.importance_of(smaller, found, rows, loss)
    for attention, kept in zip(found, heads.chosen(importance, keep), strict=True):
        attention.keep(kept)
    return _checked(smaller)


def with_fewer_layers(network: TextNetwork, layers: int) -> TextNetwork:
    """A copy with some of its layers, evenly spread, the first and the last among them."""
    smaller = copy.deepcopy(network).cpu().eval()
    total = int(smaller.encoder.config.num_hidden_layers)
    wanted = layers or max(1, total // 2)
    if wanted >= total:
        raise BadTrainingData(
            "not_smaller", f"The model has {total} layers: a student needs fewer, not {wanted}."
        )
    for module in smaller.encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == total:
                chosen = np.linspace(0, total - 1, wanted).round().astype(int)
                setattr(module, name, nn.ModuleList([child[int(one)] for one in chosen]))
                smaller.encoder.config.num_hidden_layers = wanted
                return _checked(smaller)
    raise _unknown_shape(smaller)


def parameters_of(network: nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def _feed_forward_blocks(network: TextNetwork) -> list[tuple[nn.Linear, nn.Linear]]:
    """The widening and narrowing layer of every block, as BERT and its relatives name them."""
    blocks = []
    for module in network.encoder.modules():
        inner = getattr(getattr(module, "intermediate", None), "dense", None)
        outer = getattr(getattr(module, "output", None), "dense", None)
        if isinstance(inner, nn.Linear) and isinstance(outer, nn.Linear):
            blocks.append((inner, outer))
    if not blocks:
        raise _unknown_shape(network)
    return blocks


def _mean_activations(
    network: TextNetwork, blocks: list[tuple[nn.Linear, nn.Linear]], batches: Batches
) -> list[Tensor]:
    sums = [torch.zeros(inner.out_features) for inner, _ in blocks]

    def listen(place: int, outer: nn.Linear) -> torch.utils.hooks.RemovableHandle:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            sums[place] += inputs[0].detach().abs().flatten(0, -2).sum(0)

        return outer.register_forward_pre_hook(add)

    handles = [listen(place, outer) for place, (_, outer) in enumerate(blocks)]
    with torch.inference_mode():
        for ids, mask in batches:
            network(ids, mask)
    for handle in handles:
        handle.remove()
    return sums


def _cut(inner: nn.Linear, outer: nn.Linear, chosen: Tensor) -> None:
    with torch.no_grad():
        inner.weight = nn.Parameter(inner.weight[chosen].clone())
        inner.bias = nn.Parameter(inner.bias[chosen].clone())
        outer.weight = nn.Parameter(outer.weight[:, chosen].clone())
    inner.out_features = outer.in_features = len(chosen)


def _checked(network: TextNetwork) -> TextNetwork:
    """Only what its own config can build again is whole: that is how it will be loaded."""
    with tempfile.TemporaryDirectory() as folder:
        save_network(network, Path(folder))
        try:
            load_network(Path(folder))
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise _unknown_shape(network) from error
    return network


def _unknown_shape(network: TextNetwork) -> BadTrainingData:
    kind = network.encoder.config.model_type
    return BadTrainingData(
        "not_shrinkable",
        f"Models of the architecture {kind!r} cannot be made smaller this way. Choose onnx-int8.",
    )
