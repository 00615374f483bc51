"""Decoding token by token with the model's cache, and tokens back to text."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from engine.tasks.generation.sampling import FinishReason, Sampling, TokenChunk, TokenLogprob

REPLACEMENT_CHARACTER = "\ufffd"  # What half of a character decodes to.


def generate_tokens(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    most: int,
    stops: Sequence[int],
) -> Iterator[list[int | None]]:
    """The next token of every prompt, step by step; None for those that are finished.

    A stop token is the last of its prompt. Ends when all prompts are finished or after `most`.
    """
    device = next(network.parameters()).device
    rng = torch.Generator(device=device)
    rng.manual_seed(sampling.seed) if sampling.seed is not None else rng.seed()
    ids, mask = _pad_left(prompts, device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache, finished = DynamicCache(config=network.config), [False] * len(prompts)
    penalties = PenaltyState(sampling)
    for _ in range(most):
        with torch.inference_mode():
            outputs = network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = sample_tokens(
                penalties.apply_penalties(outputs.logits[:, -1].float()), sampling, rng
            )
            penalties.add(chosen)
        tokens = chosen.tolist()
        yield [None if done else token for done, token in zip(finished, tokens, strict=True)]
        finished = [done or token in stops for done, token in zip(finished, tokens, strict=True)]
        if all(finished):
            return
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)


class PenaltyState:
    """How often each answer has each token so far; counted only where a penalty asks for it."""

    def __init__(self, sampling: Sampling) -> None:
        self._frequency_penalty, self._presence_penalty = (
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
        self._counts: Tensor | None = None  # (prompts, vocabulary)

    def apply_penalties(self, logits: Tensor) -> Tensor:
        """The logits (prompts, vocabulary) less the penalties."""
        if not self._frequency_penalty and not self._presence_penalty:
            return logits
        if self._counts is None:
            self._counts = torch.zeros_like(logits)
        return (
            logits
            - self._frequency_penalty * self._counts
            - self._presence_penalty * (self._counts > 0)
        )

    def add(self, tokens: Tensor) -> None:
        """Tokens (prompts) that were just chosen."""
        if self._counts is not None:
            ones = torch.ones_like(self._counts[:, :1])
            self._counts.scatter_add_(1, tokens[:, None], ones)


def _pad_left(prompts: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Ids and mask, (prompts, tokens): all prompts end in the last place."""
    width = max(map(len, prompts))
    ids = torch.zeros((len(prompts), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def sample_tokens(logits: Tensor, sampling: Sampling, rng: torch.Generator) -> Tensor:
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
    return torch.multinomial(shares, 1, generator=rng)[:, 0]


class IncrementalDetokenizer:
    """Tokens of one answer in, text out: whole characters only, and nothing of a stop text."""

    def __init__(self, tokenizer: Any, sampling: Sampling, stops: Sequence[int]) -> None:
        self._tokenizer, self._sampling, self._stop_token_ids = tokenizer, sampling, stops
        self._ids: list[int] = []
        self._start = self._done = 0  # Tokens already decoded: the last few, and all.
        self._held = ""  # Text that may be the beginning of a stop text.
        self._logprobs: list[TokenLogprob] = []
        self.tokens = 0
        self.finish_reason: FinishReason | None = None

    def add(self, token: int, logprob: TokenLogprob | None = None) -> TokenChunk:
        """The text that this token completes, perhaps none."""
        self.tokens += 1
        if logprob is not None and token not in self._stop_token_ids:
            self._logprobs.append(logprob)
        if token in self._stop_token_ids:
            return self.finish("stop")
        self._ids.append(token)
        return self._emit(self._held + self._decode_new_text())

    def finish(self, reason: FinishReason) -> TokenChunk:
        """The text held back so far, with the reason for the end."""
        self.finish_reason = reason
        text, self._held = self._held + self._decode_new_text(is_last=True), ""
        end = self._find_stop(text)
        if end is not None:
            self.finish_reason = "stop"
        return TokenChunk(text[:end], self.tokens, self.finish_reason, self._take_logprobs())

    def _take_logprobs(self) -> tuple[TokenLogprob, ...]:
        """Of the tokens since the last chunk that was told."""
        taken, self._logprobs = tuple(self._logprobs), []
        return taken

    def _find_stop(self, text: str) -> int | None:
        """Where the first stop text begins."""
        starts = [start for stop in self._sampling.stop if (start := text.find(stop)) >= 0]
        return min(starts, default=None)

    def _decode_new_text(self, *, is_last: bool = False) -> str:
        """Decoded together with the tokens before: some tokenizers write blanks by neighbours."""
        before = self._decode(self._ids[self._start : self._done])
        now = self._decode(self._ids[self._start :])
        if now.endswith(REPLACEMENT_CHARACTER) and not is_last:
            return ""
        self._start, self._done = self._done, len(self._ids)
        return now[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _emit(self, text: str) -> TokenChunk:
        end = self._find_stop(text)
        if end is not None:
            self._held, self.finish_reason = "", "stop"
            return TokenChunk(text[:end], self.tokens, "stop", self._take_logprobs())
        held = max((_partial_stop_length(text, stop) for stop in self._sampling.stop), default=0)
        self._held = text[len(text) - held :]
        if len(text) == held:
            return TokenChunk("", self.tokens)
        return TokenChunk(text[: len(text) - held], self.tokens, None, self._take_logprobs())


def _partial_stop_length(text: str, stop: str) -> int:
    """How many characters at the end of the text could be the beginning of `stop`."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
