"""Answers that are put together by hand, for the API's reference."""

from datetime import datetime
from typing import Literal, TypedDict

from assistants.answering.outcome import SourceQuote
from assistants.queries.figures import Figure
from assistants.queries.measures import Cost, Seconds


class LanguageReport(TypedDict):
    """What a version can answer in one language, measured on questions that it did not learn."""

    status: str
    reason: str
    held_out: int
    held_out_out_of_scope: int
    top1: float | None
    answered_share: float  # Of questions that have an answer.
    answered_of_all: float
    asked_back_share: float | None
    precision: float | None
    precision_bound: float | None
    refused_out_of_scope: float | None
    threshold: float | None
    thin_answers: list[str]


class VersionReport(LanguageReport):
    """Of the language with most questions; `languages` has each."""

    language: str
    languages: dict[str, LanguageReport]


class WriterSettings(TypedDict):
    model: str
    url: str
    style: str


class ShadowDifference(TypedDict):
    """Answers' keys, or what was done instead; `question` is null for who may not see it."""

    question: str | None
    live: str
    shadow: str
    confidence: float


class ShadowComparison(TypedDict):
    object: Literal["assistant.shadow"]
    questions: int
    same: int
    live_answered: int
    shadow_answered: int
    differences: list[ShadowDifference]


class ShadowStarted(TypedDict):
    object: Literal["assistant.shadow"]
    questions_left: int


class ConversationMove(TypedDict):
    to: str
    by: str | None
    reason: str | None
    at: datetime


class AnswerSuggestion(TypedDict):
    answer: str
    text: str
    probability: float


class VisitorBlock(TypedDict):
    object: Literal["assistant.visitor"]
    blocked_until: datetime | None


class ReviewedReply(TypedDict):
    """`answer` is the key of the answer that was made of it; null where it was dismissed."""

    object: Literal["assistant.written_reply"]
    answer: str | None


class Gap(TypedDict):
    object: Literal["assistant.gap"]
    questions: list[str]
    times: int
    nearest: str | None
    decisions: list[str]


class GapList(TypedDict):
    object: Literal["list"]
    data: list[Gap]
    has_more: bool


class ExportedMessage(TypedDict):
    at: datetime
    author: str
    text: str
    original: str | None


class ExportedConversation(TypedDict):
    id: str
    opened_at: datetime
    state: str
    csat: int | None
    captured: dict[str, str]
    messages: list[ExportedMessage]


class ExportedVisitor(TypedDict):
    object: Literal["assistant.visitor"]
    conversations: list[ExportedConversation]


class ErasedVisitor(TypedDict):
    object: Literal["assistant.visitor"]
    deleted_conversations: int


class AssistantFigures(TypedDict):
    object: Literal["assistant.figures"]
    since: datetime
    until: datetime
    figures: dict[str, Figure]
    volumes: dict[str, dict[str, int]]
    seconds_to_answer: Seconds
    seconds_to_person: Seconds
    cost: Cost
    hand_over_reasons: dict[str, int]


class ReplyUsage(TypedDict):
    tokens: int
    voice_seconds: float
    cost_micros: int


class ReplyVoice(TypedDict):
    """The reply's audio; `seconds` is null until it was first fetched."""

    url: str
    format: str
    seconds: float | None


class ConsultReply(TypedDict):
    """`confidence` and `route` say how the reply was found. `answer` is the approved answer's
    key."""

    object: Literal["assistant.reply"]
    id: str | None
    conversation: str
    response: str
    voice: ReplyVoice | None
    heard: str | None
    sources: list[SourceQuote]
    suggestions: list[str]
    answer: str | None
    confidence: float
    route: str
    handed_over: bool
    language: str
    version: int | None
    usage: ReplyUsage


class ConsultFeedback(TypedDict):
    object: Literal["assistant.feedback"]
    id: str


class ConsultedMessage(TypedDict):
    seq: int
    author: str
    text: str


class ConsultedConversation(TypedDict):
    object: Literal["assistant.conversation"]
    id: str
    state: str
    messages: list[ConsultedMessage]
