"""Chooses the next token, with everything that a request may ask of an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from engine.tasks.generation.decoding import PenaltyState, sample_tokens
from engine.tasks.generation.sampling import Sampling, TokenLogprob
from engine.tasks.generation.writing.constraints import Constraint


@dataclass(frozen=True)
class Step:
    """One chosen token; `logprob` where the request asks for probabilities."""

    token: int
    logprob: TokenLogprob | None = None


def stream_tokens(
    network: PreTrainedModel,
    prompt: Sequence[int],
    chooser: "TokenChooser",
    *,
    most: int,
    stops: Sequence[int],
    constraint: Constraint | None = None,
) -> Iterator[Step]:
    """The tokens of an answer to one prompt; a stop token is the last. At most `most`."""
    device = next(network.parameters()).device
    ids = torch.tensor([list(prompt)], device=device)
    cache = DynamicCache(config=network.config)
    for _ in range(most):
        with torch.inference_mode():
            outputs = network(
                input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            step = chooser.choose(outputs.logits[:, -1].float())
        yield step
        if step.token in stops or (constraint is not None and constraint.is_over):
            return
        ids = torch.tensor([[step.token]], device=device)


class TokenChooser:
    """Picks each next token of one answer from its logits."""

    def __init__(
        self,
        tokenizer: Any,
        sampling: Sampling,
        device: torch.device,
        constraint: Constraint | None = None,
    ) -> None:
        self._rng = torch.Generator(device=device)
        if sampling.seed is not None:
            self._rng.manual_seed(sampling.seed)
        else:
            self._rng.seed()
        self._tokenizer, self._sampling = tokenizer, sampling
        self._constraint, self._penalties = constraint, PenaltyState(sampling)

    def choose(self, logits: Tensor) -> Step:
        """The token for logits (1, vocabulary)."""
        biased = self._penalties.apply_penalties(logits)
        if self._sampling.logit_bias:
            biased = biased.clone()
            for token, bias in self._sampling.logit_bias.items():
                biased[:, token] += bias
        if self._constraint is not None:
            biased = self._constraint.mask(biased)
        chosen = sample_tokens(biased, self._sampling, self._rng)
        self._penalties.add(chosen)
        token = int(chosen)
        if self._constraint is not None:
            self._constraint.add(token)
        if self._sampling.top_logprobs is None:
            return Step(token)
        return Step(token, self._describe(logits, token, self._sampling.top_logprobs))

    def _describe(self, logits: Tensor, token: int, top: int) -> TokenLogprob:
        """Of the model's own distribution, before temperature, penalties and masks."""
        logprobs = torch.log_softmax(logits[0], dim=-1)
        values, places = logprobs.topk(min(top, len(logprobs)))
        likeliest = tuple(
            self._named(place, value)
            for place, value in zip(places.tolist(), values.tolist(), strict=True)
        )
        chosen = self._named(token, float(logprobs[token]))
        return TokenLogprob(chosen.text, chosen.content, chosen.logprob, likeliest)

    def _named(self, token: int, logprob: float) -> TokenLogprob:
        content = token_bytes(self._tokenizer, token)
        # JSON has no infinity; OpenAI's documentation gives -9999.0 for what is that unlikely.
        value = max(logprob, -9999.0)
        return TokenLogprob(content.decode("utf-8", "replace"), content, value)


def _byte_of_letters() -> dict[str, int]:
    """The letters that byte-level tokenizers write for bytes, as GPT-2 introduced them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_of_letters()


def token_bytes(tokenizer: Any, token: int) -> bytes:
    """What a token stands for by itself; for tokens that are no bytes, their name."""
    piece = tokenizer.convert_ids_to_tokens(token) or ""
    if token not in tokenizer.added_tokens_decoder and all(letter in _BYTES for letter in piece):
        return bytes(_BYTES[letter] for letter in piece)
    return piece.encode("utf-8", "replace")
