"""What is said to a question, and why."""

from dataclasses import dataclass, field

from assistants.answering.texts import text_of
from assistants.models import Assistant, Decision
from assistants.models.words import ROUTE_WORDS
from assistants.rules.matching import Awaited


@dataclass(frozen=True)
class SourceQuote:
    """What an answer rests on: the known question nearest to the one asked."""

    title: str
    link: str
    quote: str
    score: float


@dataclass
class Outcome:
    """What is said, and why."""

    route: str
    text: str
    confidence: float = 0.0
    answer_key: str = ""
    rule: str = ""
    candidates: list[dict[str, object]] = field(default_factory=list)
    thresholds: dict[str, float | None] = field(default_factory=dict)
    sources: list[SourceQuote] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)  # Questions to choose from.
    step_ms: dict[str, float] = field(default_factory=dict)
    reason: str = ""  # Of a hand-over.
    group: str = ""  # Of people, to whom it is handed over.
    question: str = ""  # As it was read.
    language: str = ""  # Where it is another one than the question's own.
    tokens: int = 0  # Of the writer, read and written.
    tokens_written: int = 0
    tags: list[str] = field(default_factory=list)  # Of the conversation, by rules.
    captured: dict[str, str] = field(default_factory=dict)  # What the visitor gave, by shape.
    awaited: Awaited | None = None  # What the visitor is asked for now.
    held_back: list[dict[str, str]] = field(default_factory=list)  # Of what was written.

    @property
    def route_words(self) -> str:
        return ROUTE_WORDS.get(self.route, self.route)


def refusal(assistant: Assistant, language: str, reason: str = "") -> Outcome:
    return Outcome(Decision.Route.REFUSE, text_of(assistant, "refusal", language), reason=reason)
