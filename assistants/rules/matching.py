"""Which rule applies to a question.

A question is read for its topic only where a rule gets as far as asking for it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from assistants.rules.shapes import holds_shape
from assistants.rules.specs import AddTag, Conditions, RuleSpec
from engine.answering.terms import CJK, normalise

PERSON_PHRASES = (
    "talk to a person", "talk to a human", "speak to a person", "speak to a human",
    "speak to someone", "talk to someone", "human please", "real person", "live agent",
    "human agent", "customer service representative", "speak to an agent", "talk to an agent",
    "转人工", "人工客服", "人工服务", "真人客服", "找人工", "要人工", "找客服",
)  # fmt: skip


VERIFIED = "verified"  # Of a visitor: the site's server says who they are.


@dataclass(frozen=True)
class Awaited:
    """A rule asked the visitor for something: which one, about what question, how often."""

    rule: str
    question: str
    language: str  # Of the question: an order number has none.
    times: int = 1


@dataclass(frozen=True)
class Situation:
    """What a rule may look at."""

    text: str
    language: str = "en"
    channel: str = "web"
    is_open: bool = True
    turns: int = 1
    visitor: Mapping[str, str] = field(default_factory=dict)
    vouched: Mapping[str, str] = field(default_factory=dict)  # Of these, what nobody can forge.
    asked_again: bool = False  # In the same words.
    earlier_topics: frozenset[str] = frozenset()  # Of this conversation.
    topic: str = ""
    confidence: float | None = None  # None: nobody has read the question yet.
    original: str = ""  # The text before it was masked: in memory only, for shapes.
    captured: Mapping[str, str] = field(default_factory=dict)  # Of this conversation, by shape.
    awaited: Awaited | None = None

    @property
    def unmasked(self) -> str:
        return self.original or self.text


@dataclass(frozen=True)
class Ruling:
    """The rule that decides, if one does, and how the conversation is marked."""

    rule: RuleSpec | None
    tags: list[str]


Reader = Callable[[Situation], Situation]


def find_rule(rules: Sequence[RuleSpec], situation: Situation, read: Reader | None) -> Ruling:
    """The first rule that applies, but those before it that only tag. `read` says what the topic
    is; where it is None, rules that ask for it apply to nothing."""
    tags: list[str] = []
    for rule in rules:
        if not _fits(rule.when, situation):
            continue
        is_asking = rule.when.needs_topic or rule.when.asked_again
        if is_asking and situation.confidence is None and read is not None:
            situation = read(situation)
        if not _fits_match(rule.when, situation):
            continue
        if not isinstance(rule.then, AddTag):
            return Ruling(rule, tags)
        tags.append(rule.then.tag)
    return Ruling(None, tags)


def applies(when: Conditions, situation: Situation) -> bool:
    return _fits(when, situation) and _fits_match(when, situation)


def _fits_match(when: Conditions, situation: Situation) -> bool:
    topic, confidence = situation.topic, situation.confidence
    is_again = situation.asked_again or topic in situation.earlier_topics
    if when.asked_again and not is_again:
        return False
    if not when.needs_topic:
        return True
    return (
        confidence is not None
        and (when.topic_is is None or topic in when.topic_is)
        and (when.confidence_below is None or confidence < when.confidence_below)
        and (when.confidence_above is None or confidence > when.confidence_above)
    )


def _fits(when: Conditions, situation: Situation) -> bool:
    """What needs no reading."""
    text = normalise(situation.text)
    # A rule for verified visitors looks only at what the site's server signed.
    required = when.visitor or {}
    wants_verified = required.get(VERIFIED, "").casefold() == "true"
    known = situation.vouched if wants_verified else situation.visitor
    checks = (
        when.says_any is None or any(says(text, phrase) for phrase in when.says_any),
        when.says_all is None or all(says(text, phrase) for phrase in when.says_all),
        when.language in (None, situation.language),
        when.channel in (None, situation.channel),
        when.hours is None or (when.hours == "open") == situation.is_open,
        when.turns_at_least is None or situation.turns >= when.turns_at_least,
        when.asks_for_person is None or any(says(text, phrase) for phrase in PERSON_PHRASES),
        all(known.get(name, "").casefold() == value.casefold() for name, value in required.items()),
        when.looks_like is None or holds_shape(when.looks_like, situation.unmasked),
    )
    return all(checks)


def says(normalised_text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text: between word boundaries, unless it is Chinese."""
    phrase = normalise(phrase)
    if re.search(f"[{CJK}]", phrase):
        return phrase in normalised_text
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", normalised_text) is not None
