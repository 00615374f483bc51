"""How an answer is drawn, and what it comes to. Free of torch."""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 always takes the likeliest token. `max_tokens` None: what the model's context
    leaves. A stop text ends the answer and is not part of it. Penalties as OpenAI defines them: a
    token's logit less `frequency_penalty` for each time that the answer has it, and less
    `presence_penalty` once if it has it at all."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


@dataclass(frozen=True)
class Piece:
    """Text to be added to the answer so far; the last piece says why it ended."""

    text: str
    tokens: int  # Of the whole answer up to here.
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Completion:
    """A whole answer."""

    text: str
    prompt_tokens: int
    tokens: int
    finish_reason: FinishReason
