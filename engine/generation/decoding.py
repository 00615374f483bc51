"""Answers token by token: the loop over the model's cache, and tokens back to text."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from engine.generation.options import FinishReason, Piece, Sampling

UNFINISHED = "\ufffd"  # What half of a character decodes to.


def next_tokens(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    most: int,
    stops: Sequence[int],
) -> Iterator[list[int | None]]:
    """The next token of every prompt, step by step; None for those that are over.

    A stop token is given, then nothing more; it ends when all prompts are over or after `most`.
    """
    device = next(network.parameters()).device
    dice = torch.Generator(device=device)
    dice.manual_seed(sampling.seed) if sampling.seed is not None else dice.seed()
    ids, mask = _left_padded(prompts, device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache, over = DynamicCache(config=network.config), [False] * len(prompts)
    said = SaidSoFar(sampling)
    for _ in range(most):
        with torch.inference_mode():
            given = network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = _choose(said.less_likely(given.logits[:, -1].float()), sampling, dice)
            said.add(chosen)
        tokens = chosen.tolist()
        yield [None if done else token for done, token in zip(over, tokens, strict=True)]
        over = [done or token in stops for done, token in zip(over, tokens, strict=True)]
        if all(over):
            return
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)


class SaidSoFar:
    """How often each answer has each token so far; counted only where a penalty asks for it."""

    def __init__(self, sampling: Sampling) -> None:
        self._often, self._once = sampling.frequency_penalty, sampling.presence_penalty
        self._counts: Tensor | None = None  # (prompts, vocabulary)

    def less_likely(self, logits: Tensor) -> Tensor:
        """The logits (prompts, vocabulary) less the penalties."""
        if not self._often and not self._once:
            return logits
        if self._counts is None:
            self._counts = torch.zeros_like(logits)
        return logits - self._often * self._counts - self._once * (self._counts > 0)

    def add(self, tokens: Tensor) -> None:
        """Tokens (prompts) that were just chosen."""
        if self._counts is not None:
            ones = torch.ones_like(self._counts[:, :1])
            self._counts.scatter_add_(1, tokens[:, None], ones)


def _left_padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Ids and mask, (prompts, tokens): all prompts end in the last place."""
    width = max(map(len, prompts))
    ids = torch.zeros((len(prompts), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _choose(logits: Tensor, sampling: Sampling, dice: torch.Generator) -> Tensor:
    """One token for each row of logits (rows, vocabulary)."""
    if sampling.temperature <= 0:
        return logits.argmax(dim=-1)
    shares = torch.softmax(logits / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered, places = shares.sort(dim=-1, descending=True)
        # The likeliest tokens that together reach top_p; always at least one.
        beyond = ordered.cumsum(dim=-1) - ordered >= sampling.top_p
        beyond[:, 0] = False
        shares = torch.zeros_like(shares).scatter(1, places, ordered.masked_fill(beyond, 0.0))
    return torch.multinomial(shares, 1, generator=dice)[:, 0]


class TextAssembler:
    """Tokens of one answer in, text out: whole characters only, and nothing of a stop text."""

    def __init__(self, tokenizer: Any, sampling: Sampling, stops: Sequence[int]) -> None:
        self._tokenizer, self._sampling, self._stops = tokenizer, sampling, stops
        self._ids: list[int] = []
        self._start = self._done = 0  # Tokens already decoded: the last few, and all.
        self._held = ""  # Text that may be the beginning of a stop text.
        self.tokens = 0
        self.finish_reason: FinishReason | None = None

    def add(self, token: int) -> Piece:
        """The text this token completes, perhaps none."""
        self.tokens += 1
        if token in self._stops:
            return self.finish("stop")
        self._ids.append(token)
        return self._released(self._held + self._new_text())

    def finish(self, reason: FinishReason) -> Piece:
        """What was held back, with the reason for the end."""
        self.finish_reason = reason
        text, self._held = self._held + self._new_text(is_last=True), ""
        found = [place for stop in self._sampling.stop if (place := text.find(stop)) >= 0]
        if found:
            self.finish_reason = "stop"
        return Piece(text[: min(found, default=len(text))], self.tokens, self.finish_reason)

    def _new_text(self, *, is_last: bool = False) -> str:
        """Decoded together with the tokens before: some tokenizers write blanks by neighbours."""
        before = self._decoded(self._ids[self._start : self._done])
        now = self._decoded(self._ids[self._start :])
        if now.endswith(UNFINISHED) and not is_last:
            return ""
        self._start, self._done = self._done, len(self._ids)
        return now[len(before) :]

    def _decoded(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _released(self, text: str) -> Piece:
        stops = self._sampling.stop
        found = [place for stop in stops if (place := text.find(stop)) >= 0]
        if found:
            self._held, self.finish_reason = "", "stop"
            return Piece(text[: min(found)], self.tokens, "stop")
        held = max((_begun(text, stop) for stop in stops), default=0)
        self._held = text[len(text) - held :]
        return Piece(text[: len(text) - held], self.tokens)


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of the text could be the beginning of `stop`."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
