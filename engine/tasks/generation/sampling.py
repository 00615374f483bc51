"""The options of decoding, and its results. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length"]
MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 always takes the likeliest token. `max_tokens` None: what the model's context
    leaves. A stop text ends the answer and is not part of it. Penalties as OpenAI defines them: a
    token's logit less `frequency_penalty` for each time that the answer has it, and less
    `presence_penalty` once if it has it at all. `logit_bias` is added to these tokens' logits.
    `json_schema` lets only answers through that it allows; `top_logprobs` asks for the natural
    logarithms of the model's own probabilities, of the chosen token and so many others."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    json_schema: Mapping[str, Any] | bool | None = None
    top_logprobs: int | None = None  # None: no probabilities at all.


def default_sampling(config: Any, recommended: Mapping[str, float]) -> dict[str, float]:
    """The temperature and top_p that hold where a caller gives none: those of the model's own
    generation_config, else what its makers recommend; nothing where nobody says any."""
    own = {name: getattr(config, name, None) for name in ("temperature", "top_p")}
    return {name: float(value) for name, value in own.items() if value is not None} or {
        **recommended
    }


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer and how likely the model held it; `top` are the likeliest there."""

    text: str
    content: bytes  # What the token alone stands for; perhaps only part of a character.
    logprob: float
    top: "tuple[TokenLogprob, ...]" = ()


@dataclass(frozen=True)
class TokenChunk:
    """Text to append to the answer so far; the last chunk has the reason for its end."""

    text: str
    tokens: int  # Of the whole answer up to here.
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()  # Of the tokens that came since the last chunk.


@dataclass(frozen=True)
class Completion:
    """A whole answer."""

    text: str
    prompt_tokens: int
    tokens: int
    finish_reason: FinishReason
