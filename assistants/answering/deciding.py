"""From a question to what is said: rules first, then the match and its thresholds."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from django.utils.timezone import now

from assistants.answering.matching import (
    Match,
    find_by_terms,
    find_first_phrasing,
    load_model,
)
from assistants.answering.outcome import Outcome, SourceQuote, refusal
from assistants.answering.passages import find_passages
from assistants.answering.phrasing_index import Vector
from assistants.answering.reading import Reading
from assistants.answering.texts import text_of
from assistants.errors import EncoderUnavailable
from assistants.models import Answer, Assistant, Decision, Version
from assistants.rules import acting
from assistants.rules.matching import Ruling, Situation, applies, find_rule
from assistants.rules.shapes import find_shape
from assistants.rules.specs import BUILT_IN, AddTag, AskFor, RuleSpec
from assistants.writing.answering import SECONDS, WECHAT_SECONDS, Listener, write_answer
from assistants.writing.writers import writer_of
from web.database.rows import Columns, fetch

Route = Decision.Route
REFUSALS_BEFORE_HAND_OVER = 2
ASKED_AT_MOST = 2  # Times for the same thing; then a person is asked.
NOTHING_SAID = (Route.REFUSE, Route.ASK)
ANSWER = Columns(Answer, "answer")
USABLE_SQL = f"""
SELECT {ANSWER.sql} FROM {Answer._meta.db_table} answer
WHERE assistant_id = %s AND key = ANY(%s) AND state = 'approved'
  AND (valid_from IS NULL OR valid_from <= %s) AND (valid_until IS NULL OR valid_until > %s)
"""


@dataclass(frozen=True)
class Manner:
    """How the match may answer: not asking back twice running, and telling what is written."""

    asked_back: bool
    say: Listener | None


def decide(
    version: Version, situation: Situation, *, asked_back: bool = False, say: Listener | None = None
) -> Outcome:
    """What this version does with a question. Stores nothing, so tests use it as people do.
    `say` hears what is written for it before the rest is."""
    rules = _parse_rules(json.dumps(version.rules))
    manner = Manner(asked_back, say)
    asking = _find_asking(rules, situation)
    if asking is None:
        return _decide(version, rules, situation, manner)
    return _go_on(version, rules, asking, situation, manner)


@lru_cache(maxsize=256)
def _parse_rules(frozen: str) -> tuple[RuleSpec, ...]:
    """A version's rules, as JSON, behind the one that every assistant has."""
    return (BUILT_IN, *(RuleSpec.model_validate(rule) for rule in json.loads(frozen)))


def _find_asking(rules: Sequence[RuleSpec], situation: Situation) -> RuleSpec | None:
    """The rule that asked the visitor for something, unless they ask for a person instead."""
    if situation.awaited is None or applies(BUILT_IN.when, situation):
        return None
    name = situation.awaited.rule
    return next((r for r in rules if r.name == name and isinstance(r.then, AskFor)), None)


def _go_on(
    version: Version,
    rules: Sequence[RuleSpec],
    rule: RuleSpec,
    situation: Situation,
    manner: Manner,
) -> Outcome:
    """With what was asked for, about the question asked before; without it, as with any question,
    and where nothing can be said to that, ask once more and then a person."""
    awaited, then = situation.awaited, rule.then
    assert awaited is not None
    assert isinstance(then, AskFor)
    if value := find_shape(then.shape, situation.unmasked):
        earlier = replace(
            situation, text=awaited.question, language=awaited.language, original="",
            captured={**situation.captured, then.shape: value}, awaited=None, confidence=None,
        )  # fmt: skip
        reading = Reading(version, earlier.text, earlier.language)
        outcome = _by_rule(rules, rule, earlier, reading, manner)
        outcome.language, outcome.question = awaited.language, awaited.question
        return outcome
    outcome = _decide(version, rules, situation, manner)
    if outcome.route in NOTHING_SAID and not outcome.rule:
        if awaited.times < ASKED_AT_MOST:
            repeated = acting.ask_for(version.assistant, rule, situation, awaited.times + 1)
        else:
            repeated = Outcome(Route.HAND_OVER, "", rule=rule.name, reason="not_given")
        repeated.language, repeated.tags = awaited.language, outcome.tags
        return repeated
    if outcome.route != Route.HAND_OVER and outcome.awaited is None:
        outcome.awaited = awaited
    return outcome


def _decide(
    version: Version,
    rules: Sequence[RuleSpec],
    situation: Situation,
    manner: Manner,
    reading: Reading | None = None,
) -> Outcome:
    reading = reading or Reading(version, situation.text, situation.language)
    ruling = _find_ruling(rules, situation, reading)
    if ruling.rule is not None:
        outcome = _by_rule(rules, ruling.rule, situation, reading, manner)
    else:
        outcome = _by_match_or_terms(situation, reading, manner)
    outcome.tags = [*ruling.tags, *outcome.tags]
    return outcome


def _by_rule(
    rules: Sequence[RuleSpec],
    rule: RuleSpec,
    situation: Situation,
    reading: Reading,
    manner: Manner,
) -> Outcome:
    """Carry out the rule, or ask for what it needs. A rule that only tags leaves the decision to
    the rules after it, then to the match."""
    assistant = reading.version.assistant
    captured, then = acting.capture(rule, situation), rule.then
    value = next(iter(captured.values()), "")
    if isinstance(then, AskFor):
        if then.shape not in captured:
            return acting.ask_for(assistant, rule, situation)
        value, then = captured[then.shape], then.then
    outcome: Outcome | None
    if isinstance(then, AddTag):
        behind = rules[[one.name for one in rules].index(rule.name) + 1 :]
        outcome = _decide(reading.version, behind, situation, manner, reading)
        outcome.tags = [then.tag, *outcome.tags]
    else:
        outcome = acting.act(assistant, rule, then, situation, value)
    if outcome is None:
        outcome = _by_match_or_terms(situation, reading, manner)
    outcome.captured = {**captured, **outcome.captured}
    return outcome


def _find_ruling(rules: Sequence[RuleSpec], situation: Situation, reading: Reading) -> Ruling:
    """The first rule that applies; without the encoder only those that need no embedding."""
    try:
        return find_rule(rules, situation, reading.complete)
    except EncoderUnavailable:
        return find_rule(rules, situation, None)


def _by_match_or_terms(situation: Situation, reading: Reading, manner: Manner) -> Outcome:
    """Decide by embeddings. Without the encoder nothing is answered: suggest what shares words with
    the question, or hand over if nothing does or suggestions were made just before."""
    try:
        return _by_reading(situation, reading, manner)
    except EncoderUnavailable:
        version = reading.version
        keys = find_by_terms(version, situation.language, situation.text)
        usable = {answer.key: answer for answer in _find_usable(version.assistant, keys)}
        if manner.asked_back or not usable:
            return Outcome(Route.HAND_OVER, "", reason="encoder_down")
        return _ask_back(version, situation, [usable[key] for key in keys if key in usable])


def _by_reading(situation: Situation, reading: Reading, manner: Manner) -> Outcome:
    """Raises EncoderUnavailable."""
    version = reading.version
    started = time.perf_counter()
    vector = reading.vector
    embedded = time.perf_counter()
    matched = reading.matched
    outcome = _by_match(version, situation, matched, asked_back=manner.asked_back)
    # Passages and what is written from them are answers, which a broken promise forbids, too.
    if outcome.route == Route.REFUSE and not version.promise_broken_at:
        outcome = _by_passages(version, situation, vector, outcome, manner.say)
    ended = time.perf_counter()
    if outcome.route == Route.ANSWER:
        model = load_model(version, situation.language)
        quote = model.index.nearest(outcome.answer_key, vector) if model else ""
        outcome.sources[0] = SourceQuote(
            outcome.sources[0].title, outcome.sources[0].link, quote, outcome.sources[0].score
        )
    outcome.step_ms = {
        "embed": round((embedded - started) * 1000, 2),
        "match": round((ended - embedded) * 1000, 2),
    }
    return outcome


def _by_match(
    version: Version, situation: Situation, matched: Match | None, *, asked_back: bool
) -> Outcome:
    assistant = version.assistant
    if matched is None:
        return refusal(assistant, situation.language)
    keys = [candidate.key for candidate in matched.candidates]
    usable = {answer.key: answer for answer in _find_usable(assistant, keys)}
    first = keys[0]
    threshold = None if version.promise_broken_at else matched.answer_threshold
    if threshold is not None and matched.confidence >= threshold and first in usable:
        outcome = acting.give(usable[first], matched.confidence)
    elif matched.confidence >= matched.ask_threshold and not asked_back and usable:
        outcome = _ask_back(version, situation, [usable[key] for key in keys if key in usable])
    else:
        outcome = refusal(assistant, situation.language)
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
    """Those of these answers that may be given now, by the rule of `Answer.objects.usable()`."""
    moment = now()
    return [ANSWER.read(row) for row in fetch(USABLE_SQL, [assistant.pk, keys, moment, moment])]


def _by_passages(
    version: Version, situation: Situation, vector: Vector, refused: Outcome, say: Listener | None
) -> Outcome:
    """An answer written from the documents, a quote where that is not grounded, or the refusal."""
    passages = find_passages(version, situation.language, situation.text, vector)
    if not passages:
        return refused
    seconds = WECHAT_SECONDS if situation.channel == "wechat" else SECONDS
    written = write_answer(writer_of(version), situation.text, passages, seconds, say)
    if written is not None:
        refused.tokens, refused.tokens_written = written.tokens, written.tokens_written
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


def _ask_back(version: Version, situation: Situation, answers: Sequence[Answer]) -> Outcome:
    """Offers a known question for each answer that may be meant."""
    language = situation.language
    known = [find_first_phrasing(version, language, answer.key) for answer in answers]
    suggestions = [question for question in known if question]
    text = text_of(version.assistant, "ask", situation.language)
    return Outcome(Route.ASK, text, suggestions=suggestions)
