"""Attention heads of an encoder: which ones matter, and the same network without the others.

Whole heads go out of the query, key, value and output layers, so every runtime gains from it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

HeardRows = Iterable[tuple[Tensor, Tensor, Any]]  # Ids, masks, and what the loss knows rows by.
Loss = Callable[[Tensor, Any], Tensor]  # Of outputs (batch, outputs) of such rows.


@dataclass(frozen=True)
class Attention:
    """One layer's attention. `inputs` are linear layers whose outputs are heads by size, one
    after the other; a layer that makes all three at once has three such groups."""

    module: nn.Module
    inputs: list[nn.Linear]
    groups: int  # In each of `inputs`.
    output: nn.Linear
    size: int  # Of a head.

    @property
    def heads(self) -> int:
        return self.output.in_features // self.size

    def keep(self, heads: list[int]) -> None:
        """Cut away all heads but these."""
        places = torch.arange(self.output.in_features).view(self.heads, self.size)[heads].flatten()
        width = self.output.in_features
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


def attentions(encoder: nn.Module) -> list[Attention]:
    """Of BERT and its relatives, and of ModernBERT; none of other architectures."""
    found = (_of_bert(module) or _of_modern_bert(module) for module in encoder.modules())
    return [one for one in found if one is not None]


def _of_bert(module: nn.Module) -> Attention | None:
    inner = getattr(module, "self", None)
    names = ("query", "key", "value")
    inputs = [getattr(inner, name, None) for name in names]
    outer = getattr(getattr(module, "output", None), "dense", None)
    size = getattr(inner, "attention_head_size", None)
    linear = [layer for layer in inputs if isinstance(layer, nn.Linear)]
    if len(linear) < len(names) or not isinstance(outer, nn.Linear) or not size:
        return None
    assert isinstance(inner, nn.Module)
    return Attention(inner, linear, 1, outer, int(size))


def _of_modern_bert(module: nn.Module) -> Attention | None:
    inner, outer = (getattr(module, name, None) for name in ("Wqkv", "Wo"))
    size = getattr(module, "head_dim", None)
    if not isinstance(inner, nn.Linear) or not isinstance(outer, nn.Linear) or not size:
        return None
    return Attention(module, [inner], 3, outer, int(size))


def head_counts(encoder: nn.Module) -> list[int]:
    return [one.heads for one in attentions(encoder)]


def shrink_heads(encoder: nn.Module, counts: list[int]) -> None:
    """Make room for weights with so many heads in each layer; which ones does not matter."""
    for attention, count in zip(attentions(encoder), counts, strict=True):
        if count < attention.heads:
            attention.keep(list(range(count)))


def chosen(importance: list[Tensor], keep: float) -> list[list[int]]:
    """The heads of each layer that stay: the best of each, then the best of all."""
    ranked = sorted(
        ((float(value), layer, head) for layer, values in enumerate(importance)
         for head, value in enumerate(values.tolist())),
        reverse=True,
    )  # fmt: skip
    wanted = max(len(importance), round(keep * len(ranked)))
    best = [(layer, int(values.argmax())) for layer, values in enumerate(importance)]
    others = [(layer, head) for _, layer, head in ranked if (layer, head) not in best]
    kept = [*best, *others][:wanted]
    return [sorted(head for at, head in kept if at == layer) for layer in range(len(importance))]


def importance_of(
    network: nn.Module,
    found: list[Attention],
    rows: HeardRows,
    loss: Loss,
) -> list[Tensor]:
    """How strongly the loss would follow if each head's output were scaled, by the gradient
    (Michel et al. 2019), in shares of its layer."""
    switches = [torch.ones(one.heads, requires_grad=True) for one in found]
    sums = [torch.zeros(one.heads) for one in found]
    handles = [
        one.output.register_forward_pre_hook(_switched(one.size, switch))
        for one, switch in zip(found, switches, strict=True)
    ]
    for ids, mask, row in rows:
        slopes = torch.autograd.grad(loss(network(ids, mask), row), switches)
        for total, slope in zip(sums, slopes, strict=True):
            total += slope.abs()
    for handle in handles:
        handle.remove()
    return [total / total.norm().clamp(min=1e-12) for total in sums]


def _switched(size: int, switch: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], Tensor]:
    def scaled(_module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        heads = inputs[0].view(*inputs[0].shape[:-1], -1, size)  # (batch, tokens, heads, size)
        return torch.flatten(heads * switch[:, None], -2)

    return scaled
