"""From a question to what is said: rules first, then the match and its thresholds."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from django.utils.timezone import now

from assistants.answering.matching import Match, find_first_phrasing, find_nearest_phrasing
from assistants.answering.passages import find_passages
from assistants.answering.phrasing_index import Vector
from assistants.answering.reading import Reading
from assistants.answering.rules import (
    BUILT_IN,
    GiveAnswer,
    HandOver,
    RuleSpec,
    Ruling,
    Say,
    Situation,
    fill_text,
    find_rule,
)
from assistants.answering.texts import text_of
from assistants.errors import EncoderUnavailable
from assistants.models import Answer, Assistant, Decision, Version
from assistants.writing.answering import SECONDS, Listener, write_answer
from web.database.rows import Columns, fetch

Route = Decision.Route
ANSWER = Columns(Answer, "answer")
USABLE_SQL = f"""
SELECT {ANSWER.sql} FROM {Answer._meta.db_table} answer
WHERE assistant_id = %s AND key = ANY(%s) AND state = 'approved'
  AND (valid_from IS NULL OR valid_from <= %s) AND (valid_until IS NULL OR valid_until > %s)
"""


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
    question: str = ""  # As it was read.
    tokens: int = 0  # Of the writer.
    tags: list[str] = field(default_factory=list)  # Of the conversation, by rules.
    held_back: list[dict[str, str]] = field(default_factory=list)  # Of what was written.


def decide(
    version: Version, situation: Situation, *, asked_back: bool = False, say: Listener | None = None
) -> Outcome:
    """What this version does with a question. Stores nothing, so tests use it as people do.
    `say` hears what is written for it before the rest is."""
    reading = Reading(version, situation.text, situation.language)
    ruling = _find_ruling(version, situation, reading)
    outcome = _by_rule(version.assistant, ruling.rule, situation) if ruling.rule else None
    if outcome is None:
        try:
            outcome = _by_reading(version, situation, reading, say, asked_back=asked_back)
        except EncoderUnavailable:
            outcome = _refuse(version.assistant, situation, reason="encoder_down")
    outcome.tags = ruling.tags
    return outcome


@lru_cache(maxsize=256)
def _parse_rules(frozen: str) -> tuple[RuleSpec, ...]:
    """A version's rules, as JSON, behind the one that every assistant has."""
    return (BUILT_IN, *(RuleSpec.model_validate(rule) for rule in json.loads(frozen)))


def _find_ruling(version: Version, situation: Situation, reading: Reading) -> Ruling:
    """Where the question cannot be read, by the rules that need no reading."""
    rules = _parse_rules(json.dumps(version.rules))
    try:
        return find_rule(rules, situation, reading.complete)
    except EncoderUnavailable:
        return find_rule(rules, situation, None)


def _by_reading(
    version: Version,
    situation: Situation,
    reading: Reading,
    say: Listener | None,
    *,
    asked_back: bool,
) -> Outcome:
    """Raises EncoderUnavailable."""
    started = time.perf_counter()
    vector = reading.vector
    embedded = time.perf_counter()
    matched = reading.matched
    outcome = _by_match(version, situation, matched, asked_back=asked_back)
    if outcome.route == Route.REFUSE:
        outcome = _by_passages(version, situation, vector, outcome, say)
    ended = time.perf_counter()
    if outcome.route == Route.ANSWER:
        quote = find_nearest_phrasing(version, situation.language, outcome.answer_key, vector)
        outcome.sources[0] = SourceQuote(
            outcome.sources[0].title, outcome.sources[0].link, quote, outcome.sources[0].score
        )
    outcome.step_ms = {
        "embed": round((embedded - started) * 1000, 2),
        "match": round((ended - embedded) * 1000, 2),
    }
    return outcome


def _by_rule(assistant: Assistant, rule: RuleSpec, situation: Situation) -> Outcome | None:
    """None where the rule gives an answer that may not be shown now: the match decides then."""
    then = rule.then
    if isinstance(then, HandOver):
        return Outcome(Route.HAND_OVER, "", rule=rule.name, reason="rule", confidence=1.0)
    if isinstance(then, Say):
        return Outcome(Route.RULE, fill_text(rule, situation), rule=rule.name, confidence=1.0)
    if isinstance(then, GiveAnswer):
        answer = Answer.objects.usable().filter(assistant=assistant, key=then.key).first()
        if answer is None:
            return None
        outcome = _answer(answer, 1.0, "")
        outcome.rule = rule.name
        return outcome
    outcome = _refuse(assistant, situation)
    outcome.rule = rule.name
    return outcome


def _by_match(
    version: Version, situation: Situation, matched: Match | None, *, asked_back: bool
) -> Outcome:
    assistant = version.assistant
    if matched is None:
        return _refuse(assistant, situation)
    keys = [candidate.key for candidate in matched.candidates]
    usable = {answer.key: answer for answer in _find_usable(assistant, keys)}
    first = keys[0]
    threshold = None if version.promise_broken_at else matched.answer_threshold
    if threshold is not None and matched.confidence >= threshold and first in usable:
        outcome = _answer(usable[first], matched.confidence, "")
    elif matched.confidence >= matched.ask_threshold and not asked_back and usable:
        outcome = _ask_back(version, situation, [usable[key] for key in keys if key in usable])
    else:
        outcome = _refuse(assistant, situation)
    outcome.confidence = matched.confidence
    outcome.thresholds = {"answer": threshold, "ask": matched.ask_threshold}
    outcome.candidates = [
        {
            "key": candidate.key,
            "probability": round(candidate.probability, 4),
            "cosine": round(candidate.cosine, 4),
        }
        for candidate in matched.candidates
    ]
    return outcome


def _find_usable(assistant: Assistant, keys: list[str]) -> list[Answer]:
    """Of these answers those that may be said now: as `Answer.objects.usable()` says."""
    moment = now()
    return [ANSWER.read(row) for row in fetch(USABLE_SQL, [assistant.pk, keys, moment, moment])]


def _by_passages(
    version: Version, situation: Situation, vector: Vector, refused: Outcome, say: Listener | None
) -> Outcome:
    """Written from the documents or, where that is not grounded, quoted; else still refused."""
    passages = find_passages(version, situation.language, situation.text, vector)
    if not passages:
        return refused
    written = write_answer(version.assistant, situation.text, passages, SECONDS, say)
    if written is not None:
        refused.tokens = written.tokens
        refused.held_back = [
            {"text": sentence.text, "problem": sentence.problem} for sentence in written.held_back
        ]
    if written is not None and written.sentences:
        refused.route, refused.text = Route.WRITTEN, written.text
        chosen = [passages[number] for number in written.cited]
    else:
        introduction = text_of(version.assistant, "quote", situation.language)
        chosen = passages[:1]
        refused.route = Route.QUOTE
        refused.text = f"{introduction.replace('{title}', chosen[0].title)}\n\n{chosen[0].text}"
    refused.sources = [
        SourceQuote(passage.title, "", passage.text, round(passage.cosine, 4)) for passage in chosen
    ]
    return refused


def _answer(answer: Answer, confidence: float, quote: str) -> Outcome:
    source = SourceQuote(answer.key, answer.link, quote, round(confidence, 4))
    return Outcome(
        Route.ANSWER,
        answer.text,
        confidence=confidence,
        answer_key=answer.key,
        sources=[source],
    )


def _ask_back(version: Version, situation: Situation, answers: Sequence[Answer]) -> Outcome:
    """Offers a known question for each answer that may be meant."""
    language = situation.language
    known = [find_first_phrasing(version, language, answer.key) for answer in answers]
    suggestions = [question for question in known if question]
    text = text_of(version.assistant, "ask", situation.language)
    return Outcome(Route.ASK, text, suggestions=suggestions)


def _refuse(assistant: Assistant, situation: Situation, reason: str = "") -> Outcome:
    text = text_of(assistant, "refusal", situation.language)
    return Outcome(Route.REFUSE, text, reason=reason)
