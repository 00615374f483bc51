"""Prunes a trained network: fewer neurons or attention heads in its layers, or fewer layers.

Whole neurons, heads and layers are removed, so that an ordinary smaller network of the same
architecture remains, which is faster in every file format and runtime.
"""

import copy
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import BadTrainingData
from engine.export import attention_heads
from engine.tasks.text.network import TextNetwork, load_network, save_network

TokenBatches = Iterable[tuple[Tensor, Tensor]]  # Ids and masks.


def prune_neurons(network: TextNetwork, keep: float, batches: TokenBatches) -> TextNetwork:
    """A copy without the feed-forward neurons that contribute least to these rows.

    A neuron's contribution is its mean activation times the norm of its outgoing weights.
    """
    smaller = copy.deepcopy(network).cpu().eval()
    blocks = _find_feed_forward_blocks(smaller)
    activations = _mean_activations(smaller, blocks, batches)
    width = blocks[0][0].out_features
    neurons = max(8, round(width * keep))
    for (inner, outer), activation in zip(blocks, activations, strict=True):
        contribution = activation * outer.weight.detach().norm(dim=0)
        chosen = contribution.topk(neurons).indices.sort().values
        with torch.no_grad():
            inner.weight = nn.Parameter(inner.weight[chosen].clone())
            inner.bias = nn.Parameter(inner.bias[chosen].clone())
            outer.weight = nn.Parameter(outer.weight[:, chosen].clone())
        inner.out_features = outer.in_features = neurons
    smaller.encoder.config.intermediate_size = neurons
    return _validate_reloadable(smaller)


def prune_heads(
    network: TextNetwork,
    keep: float,
    rows: attention_heads.CalibrationRows,
    loss: attention_heads.LossFunction,
) -> TextNetwork:
    """A copy without the attention heads that matter least to `loss` over these rows."""
    smaller = copy.deepcopy(network).cpu().eval()
    layers = attention_heads.find_attention_layers(smaller.encoder)
    if not layers:
        raise _unsupported_architecture_error(smaller)
    importance = attention_heads.compute_head_importance(smaller, layers, rows, loss)
    for layer, heads in zip(layers, attention_heads.select_heads(importance, keep), strict=True):
        layer.prune_to_heads(heads)
    return _validate_reloadable(smaller)


def prune_layers(network: TextNetwork, layers: int) -> TextNetwork:
    """A copy with some of its layers, evenly spaced, including the first and the last."""
    smaller = copy.deepcopy(network).cpu().eval()
    total = int(smaller.encoder.config.num_hidden_layers)
    count = layers or max(1, total // 2)
    if count >= total:
        raise BadTrainingData(
            "not_smaller",
            f"The model has {'1 layer' if total == 1 else f'{total} layers'}: a student needs"
            f" fewer, not {count}.",
        )
    for module in smaller.encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == total:
                chosen = np.linspace(0, total - 1, count).round().astype(int).tolist()
                setattr(module, name, nn.ModuleList([child[index] for index in chosen]))
                smaller.encoder.config.num_hidden_layers = count
                return _validate_reloadable(smaller)
    raise _unsupported_architecture_error(smaller)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _find_feed_forward_blocks(network: TextNetwork) -> list[tuple[nn.Linear, nn.Linear]]:
    """The widening and narrowing layer of every block, as BERT and its relatives name them."""
    blocks = []
    for module in network.encoder.modules():
        inner = getattr(getattr(module, "intermediate", None), "dense", None)
        outer = getattr(getattr(module, "output", None), "dense", None)
        if isinstance(inner, nn.Linear) and isinstance(outer, nn.Linear):
            blocks.append((inner, outer))
    if not blocks:
        raise _unsupported_architecture_error(network)
    return blocks


def _mean_activations(
    network: TextNetwork, blocks: list[tuple[nn.Linear, nn.Linear]], batches: TokenBatches
) -> list[Tensor]:
    sums = [torch.zeros(inner.out_features) for inner, _ in blocks]

    def add(total: Tensor, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        total += inputs[0].detach().abs().flatten(0, -2).sum(0)

    handles = [
        outer.register_forward_pre_hook(partial(add, total))
        for total, (_, outer) in zip(sums, blocks, strict=True)
    ]
    with torch.inference_mode():
        for ids, mask in batches:
            network(ids, mask)
    for handle in handles:
        handle.remove()
    return sums


def _validate_reloadable(network: TextNetwork) -> TextNetwork:
    """Check that the network can be built again from its config, as it will be when loaded."""
    with tempfile.TemporaryDirectory() as folder:
        save_network(network, Path(folder))
        try:
            load_network(Path(folder))
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise _unsupported_architecture_error(network) from error
    return network


def _unsupported_architecture_error(network: TextNetwork) -> BadTrainingData:
    kind = network.encoder.config.model_type
    return BadTrainingData(
        "not_shrinkable",
        f"Models of the architecture {kind!r} cannot be made smaller this way. Choose onnx-int8.",
    )
