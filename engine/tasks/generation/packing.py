"""Sequences as tensors: several packed into one line, where none attends to another, or one padded
line each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from engine.data.batching import Batch, group_into_steps
from engine.tasks.generation.chat_template import TokenizedExample

IGNORE_INDEX = -100


@dataclass(frozen=True)
class PackedBatch:
    """Tensors (lines, tokens). Where a line holds several sequences, `sequence_ids` numbers them
    from 1 and `position_ids` begin anew with each; else both are None, and padding stands on the
    right, where causal attention never looks."""

    ids: Tensor
    targets: Tensor  # What each place must predict, IGNORE_INDEX where nothing is learnt.
    position_ids: Tensor | None
    sequence_ids: Tensor | None

    def attention_mask(self, network: PreTrainedModel) -> Tensor | None:
        """(lines, 1, tokens, tokens): which token attends to which, as this attention takes it."""
        if self.sequence_ids is None:
            return None
        same = self.sequence_ids[:, :, None] == self.sequence_ids[:, None, :]
        seen = (same & torch.ones_like(same[0]).tril()).unsqueeze(1)
        if network.config._attn_implementation != "eager":
            return seen
        hidden = torch.zeros(seen.shape, device=seen.device)
        return hidden.masked_fill(~seen, torch.finfo(torch.float32).min)


def packed_batches(
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
    return group_into_steps(batches)


def batches_of_rows(
    lengths: Sequence[int], rows_per_step: int, batch_tokens: int, *, seed: int, epoch: int
) -> list[list[Batch]]:
    """Steps of exactly so many sequences, the last one perhaps fewer, in batches that fit."""
    order = np.random.default_rng((seed, epoch)).permutation(len(lengths))
    steps: list[list[Batch]] = []
    for start in range(0, len(order), rows_per_step):
        rows = order[start : start + rows_per_step]
        longest = max(lengths[row] for row in rows.tolist())
        parts = -(-longest * len(rows) // max(batch_tokens, longest))
        steps.append([part for part in np.array_split(rows, parts) if len(part)])
    return steps


def pack_first_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
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


def build_packed_batch(
    sequences: Sequence[TokenizedExample], bins: Iterable[Sequence[int]], device: str
) -> PackedBatch:
    """The sequences laid into lines as `bins` says."""
    chosen = [[sequences[place] for place in line] for line in bins]
    width = max(sum(len(one.ids) for one in line) for line in chosen)
    shape = (len(chosen), width)
    ids, positions, blocks = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    targets = np.full(shape, IGNORE_INDEX, dtype=np.int64)
    for row, line in enumerate(chosen):
        start = 0
        for number, one in enumerate(line, 1):
            end = start + len(one.ids)
            ids[row, start:end], blocks[row, start:end] = one.ids, number
            positions[row, start:end] = np.arange(end - start)
            targets[row, start : end - 1] = np.where(one.target_mask[1:], one.ids[1:], IGNORE_INDEX)
            start = end
    is_packed = any(len(line) > 1 for line in chosen)
    return PackedBatch(
        ids=torch.from_numpy(ids).to(device),
        targets=torch.from_numpy(targets).to(device),
        position_ids=torch.from_numpy(positions).to(device) if is_packed else None,
        sequence_ids=torch.from_numpy(blocks).to(device) if is_packed else None,
    )


def build_padded_batch(sequences: Sequence[TokenizedExample], device: str) -> PackedBatch:
    return build_packed_batch(sequences, [[place] for place in range(len(sequences))], device)


def compute_token_losses(network: torch.nn.Module, lines: PackedBatch) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of every learnt token, (tokens,), and the line each stands in."""
    # Only places that predict something are multiplied with the whole vocabulary.
    places = (lines.targets != IGNORE_INDEX).any(dim=0).nonzero()[:, 0]
    plain: Any = network.get_base_model() if isinstance(network, PeftModel) else network
    outputs = network(
        input_ids=lines.ids,
        attention_mask=lines.attention_mask(plain),
        position_ids=lines.position_ids,
        logits_to_keep=places,
        use_cache=False,
    )
    targets = lines.targets[:, places]  # (lines, places)
    known = targets != IGNORE_INDEX
    losses = functional.cross_entropy(
        outputs.logits[known].float(), targets[known], reduction="none"
    )
    return losses, known.nonzero()[:, 0]


def count_target_tokens(example: TokenizedExample) -> int:
    """How many tokens are predicted; the first one is not, for nothing precedes it."""
    return int(example.target_mask[1:].sum())
