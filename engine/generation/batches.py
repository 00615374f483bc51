"""Sequences as tensors: several in one line without seeing each other, or one padded line each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from engine.batching import Batch, gathered
from engine.generation.rendering import Taught

IGNORED = -100


@dataclass(frozen=True)
class Lines:
    """Tensors (lines, tokens). Where a line holds several sequences, `blocks` numbers them from 1
    and `positions` begin anew with each; else both are None, and padding stands on the right,
    where no token before it looks."""

    ids: Tensor
    targets: Tensor  # What each place must predict, IGNORED where nothing is learnt.
    positions: Tensor | None
    blocks: Tensor | None

    def mask(self, network: PreTrainedModel) -> Tensor | None:
        """(lines, 1, tokens, tokens): which place sees which, in the form this attention takes."""
        if self.blocks is None:
            return None
        same = self.blocks[:, :, None] == self.blocks[:, None, :]
        seen = (same & torch.ones_like(same[0]).tril()).unsqueeze(1)
        if network.config._attn_implementation != "eager":
            return seen
        hidden = torch.zeros(seen.shape, device=seen.device)
        return hidden.masked_fill(~seen, torch.finfo(torch.float32).min)


def packed_steps(
    lengths: Sequence[int], batch_tokens: int, *, seed: int, epoch: int
) -> list[list[Batch]]:
    """Steps of batches whose sequences together have at most `batch_tokens`, or are one."""
    order = np.random.default_rng((seed, epoch)).permutation(len(lengths))
    batches: list[Batch] = []
    current: list[int] = []
    for row in order.tolist():
        if current and sum(lengths[one] for one in current) + lengths[row] > batch_tokens:
            batches.append(np.array(current))
            current = []
        current.append(row)
    if current:
        batches.append(np.array(current))
    return gathered(batches)


def binned(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Which sequences share a line of at most `room` tokens: first fit, longest first."""
    bins: list[list[int]] = []
    left: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        fitting = next((n for n, free in enumerate(left) if free >= lengths[place]), None)
        if fitting is None:
            bins.append([])
            left.append(max(room, lengths[place]))
            fitting = len(bins) - 1
        bins[fitting].append(place)
        left[fitting] -= lengths[place]
    return bins


def lines_of(sequences: Sequence[Taught], bins: Iterable[Sequence[int]], device: str) -> Lines:
    """The sequences laid into lines as `bins` says."""
    chosen = [[sequences[place] for place in line] for line in bins]
    width = max(sum(len(one.ids) for one in line) for line in chosen)
    shape = (len(chosen), width)
    ids, positions, blocks = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    targets = np.full(shape, IGNORED, dtype=np.int64)
    for row, line in enumerate(chosen):
        start = 0
        for number, one in enumerate(line, 1):
            end = start + len(one.ids)
            ids[row, start:end], blocks[row, start:end] = one.ids, number
            positions[row, start:end] = np.arange(end - start)
            targets[row, start : end - 1] = np.where(one.learnt[1:], one.ids[1:], IGNORED)
            start = end
    is_packed = any(len(line) > 1 for line in chosen)
    return Lines(
        ids=torch.from_numpy(ids).to(device),
        targets=torch.from_numpy(targets).to(device),
        positions=torch.from_numpy(positions).to(device) if is_packed else None,
        blocks=torch.from_numpy(blocks).to(device) if is_packed else None,
    )


def one_a_line(sequences: Sequence[Taught], device: str) -> Lines:
    return lines_of(sequences, [[place] for place in range(len(sequences))], device)


def answer_losses(network: torch.nn.Module, lines: Lines) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of every learnt token, (tokens,), and the line each stands in."""
    # Only places that predict something are multiplied with the whole vocabulary.
    places = (lines.targets != IGNORED).any(dim=0).nonzero()[:, 0]
    plain: Any = network.get_base_model() if isinstance(network, PeftModel) else network
    given = network(
        input_ids=lines.ids,
        attention_mask=lines.mask(plain),
        position_ids=lines.positions,
        logits_to_keep=places,
        use_cache=False,
    )
    targets = lines.targets[:, places]  # (lines, places)
    known = targets != IGNORED
    losses = functional.cross_entropy(given.logits[known].float(), targets[known], reduction="none")
    return losses, known.nonzero()[:, 0]


def learnt_tokens(taught: Taught) -> int:
    """How many tokens are predicted: a learnt first token has nothing before it."""
    return int(taught.learnt[1:].sum())
