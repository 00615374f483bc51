"""Attention heads of an encoder: how much each matters, and pruning the others.

Whole heads are removed from the query, key, value and output layers, so every runtime gains.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CalibrationRows = Iterable[
    tuple[Tensor, Tensor, Any]
]  # Ids, masks, and rows as the loss takes them.
LossFunction = Callable[[Tensor, Any], Tensor]  # Of outputs (batch, outputs) and such rows.


@dataclass(frozen=True)
class AttentionLayer:
    """One layer's attention. The outputs of the linear layers `inputs` are heads, one after the
    other; a layer that computes query, key and value at once has three groups of them."""

    module: nn.Module
    inputs: list[nn.Linear]
    groups: int  # In each of `inputs`.
    output: nn.Linear
    size: int  # Of a head.

    @property
    def head_count(self) -> int:
        return self.output.in_features // self.size

    def prune_to_heads(self, heads: list[int]) -> None:
        """Remove all heads but these."""
        width = self.output.in_features
        places = torch.arange(width).view(self.head_count, self.size)[heads].flatten()
        grouped = torch.cat([places + group * width for group in range(self.groups)])
        with torch.no_grad():
            for layer in self.inputs:
                layer.weight = nn.Parameter(layer.weight[grouped].clone())
                if layer.bias is not None:
                    layer.bias = nn.Parameter(layer.bias[grouped].clone())
                layer.out_features = len(grouped)
            self.output.weight = nn.Parameter(self.output.weight[:, places].clone())
        self.output.in_features = len(places)
        if hasattr(self.module, "num_attention_heads"):
            self.module.num_attention_heads = len(heads)  # type: ignore[assignment]
            self.module.all_head_size = len(places)  # type: ignore[assignment]


def find_attention_layers(encoder: nn.Module) -> list[AttentionLayer]:
    """Those of BERT and its relatives, and of ModernBERT; none in other architectures."""
    layers = (
        _find_bert_attention(module) or _find_modernbert_attention(module)
        for module in encoder.modules()
    )
    return [layer for layer in layers if layer is not None]


def _find_bert_attention(module: nn.Module) -> AttentionLayer | None:
    inner = getattr(module, "self", None)
    names = ("query", "key", "value")
    inputs = [getattr(inner, name, None) for name in names]
    outer = getattr(getattr(module, "output", None), "dense", None)
    size = getattr(inner, "attention_head_size", None)
    linear = [layer for layer in inputs if isinstance(layer, nn.Linear)]
    if len(linear) < len(names) or not isinstance(outer, nn.Linear) or not size:
        return None
    assert isinstance(inner, nn.Module)
    return AttentionLayer(inner, linear, 1, outer, int(size))


def _find_modernbert_attention(module: nn.Module) -> AttentionLayer | None:
    inner, outer = (getattr(module, name, None) for name in ("Wqkv", "Wo"))
    size = getattr(module, "head_dim", None)
    if not isinstance(inner, nn.Linear) or not isinstance(outer, nn.Linear) or not size:
        return None
    return AttentionLayer(module, [inner], 3, outer, int(size))


def count_heads(encoder: nn.Module) -> list[int]:
    return [layer.head_count for layer in find_attention_layers(encoder)]


def select_heads(importance: list[Tensor], keep: float) -> list[list[int]]:
    """The heads of each layer to keep: the best of each layer, then the best of all."""
    ranked = sorted(
        ((float(value), layer, head) for layer, values in enumerate(importance)
         for head, value in enumerate(values.tolist())),
        reverse=True,
    )  # fmt: skip
    count = max(len(importance), round(keep * len(ranked)))
    best = [(layer, int(values.argmax())) for layer, values in enumerate(importance)]
    others = [(layer, head) for _, layer, head in ranked if (layer, head) not in best]
    chosen = [*best, *others][:count]
    return [sorted(head for at, head in chosen if at == layer) for layer in range(len(importance))]


def compute_head_importance(
    network: nn.Module,
    layers: list[AttentionLayer],
    rows: CalibrationRows,
    loss: LossFunction,
) -> list[Tensor]:
    """The gradient of the loss by a factor on each head's output (Michel et al. 2019), normalised
    within each layer."""
    factors = [torch.ones(layer.head_count, requires_grad=True) for layer in layers]
    sums = [torch.zeros(layer.head_count) for layer in layers]
    handles = [
        layer.output.register_forward_pre_hook(_make_head_scaling_hook(layer.size, factor))
        for layer, factor in zip(layers, factors, strict=True)
    ]
    for ids, mask, row in rows:
        gradients = torch.autograd.grad(loss(network(ids, mask), row), factors)
        for total, gradient in zip(sums, gradients, strict=True):
            total += gradient.abs()
    for handle in handles:
        handle.remove()
    return [total / total.norm().clamp(min=1e-12) for total in sums]


def _make_head_scaling_hook(
    size: int, factor: Tensor
) -> Callable[[nn.Module, tuple[Tensor, ...]], Tensor]:
    def scaled(_module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        heads = inputs[0].view(*inputs[0].shape[:-1], -1, size)  # (batch, tokens, heads, size)
        return torch.flatten(heads * factor[:, None], -2)

    return scaled
