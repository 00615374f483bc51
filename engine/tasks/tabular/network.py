"""A residual network for tables.

The block (norm, linear, activation, dropout, linear, added to its input) is the one of Gorishniy
et al. 2021, "Revisiting Deep Learning Models for Tabular Data", section 3.2.
"""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, signal: Tensor) -> Tensor:
        inner = self.dropout(nn.functional.gelu(self.widen(self.norm(signal))))
        outer: Tensor = self.dropout(self.narrow(inner))
        return signal + outer


class TabularNetwork(nn.Module):
    """Encoded rows (rows, inputs) in, outputs (rows, outputs): logits, or one scaled number."""

    def __init__(
        self, inputs: int, outputs: int, *, width: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.entry = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        signal = torch.relu(self.norm(self.blocks(self.entry(features))))
        outputs: Tensor = self.head(signal)
        return outputs
