"""Rules: what is decided before a question is matched. Plain conditions and examples, no code.

`when` holds conditions that must all be true, `then` one action. Phrases are compared normalised,
word by word, Chinese ones anywhere. Shapes are named; nobody writes a regular expression.
The topic is the answer that the version thinks is meant; a question is read for it only where a
rule gets as far as asking for it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistants.errors import InvalidRule
from engine.answering.terms import CJK, normalise

SHAPES = {
    "order_number": re.compile(r"\b[A-Z]{2}-\d{6}\b", re.I),
    "e-mail": re.compile(r"<e-mail>|[\w.+-]+@[\w-]+\.[\w.]+"),
    "phone": re.compile(r"<phone>"),
}
PERSON_PHRASES = (
    "talk to a person", "talk to a human", "speak to a person", "speak to a human",
    "speak to someone", "talk to someone", "human please", "real person", "live agent",
    "human agent", "customer service representative", "speak to an agent", "talk to an agent",
    "转人工", "人工客服", "人工服务", "真人客服", "找人工", "要人工", "找客服",
)  # fmt: skip
MAX_TAG_LENGTH = 40
Attribute = Annotated[str, Field(pattern="^[a-z0-9_-]{1,40}$")]
Attributes = Annotated[
    dict[Attribute, Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=10)
]
Phrases = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Conditions(Strict):
    """All that are given must hold; at least one must be given."""

    says_any: Phrases | None = None
    says_all: Phrases | None = None
    language: str | None = None
    channel: Literal["web", "api", "wechat", "email"] | None = None
    hours: Literal["open", "closed"] | None = None
    turns_at_least: Annotated[int, Field(ge=1, le=100)] | None = None
    asks_for_person: Literal[True] | None = None
    looks_like: Literal["order_number", "e-mail", "phone"] | None = None
    asked_again: Literal[True] | None = None  # The same words, or the same topic.
    visitor: Attributes | None = None  # What the site or program says of who asks.
    topic_is: Phrases | None = None  # Keys of answers.
    confidence_below: Annotated[float, Field(gt=0, le=1)] | None = None  # Of the topic.
    confidence_above: Annotated[float, Field(ge=0, lt=1)] | None = None

    @property
    def needs_topic(self) -> bool:
        asked = (self.topic_is, self.confidence_below, self.confidence_above)
        return any(one is not None for one in asked)

    @property
    def looks_at_words(self) -> bool:
        """Whether there can be a question that it does not apply to, where all else fits."""
        asked = (self.says_any, self.says_all, self.asks_for_person, self.looks_like)
        return self.needs_topic or any(one is not None for one in asked)

    @model_validator(mode="after")
    def asks_for_something(self) -> "Conditions":
        if not self.model_dump(exclude_none=True):
            raise ValueError("Give at least one condition.")
        return self


class GiveAnswer(Strict):
    do: Literal["answer"]
    key: str


class Say(Strict):
    do: Literal["say"]
    text: Annotated[str, Field(min_length=1, max_length=2000)]  # {captured}: what has the shape.


class HandOver(Strict):
    do: Literal["hand_over"]


class Refuse(Strict):
    do: Literal["refuse"]


class AddTag(Strict):
    """Marks the conversation; later rules and the match decide what is said."""

    do: Literal["tag"]
    tag: Annotated[str, Field(min_length=1, max_length=MAX_TAG_LENGTH)]


class RuleSpec(Strict):
    """A rule as programs and pages write it."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    when: Conditions
    then: Annotated[GiveAnswer | Say | HandOver | Refuse | AddTag, Field(discriminator="do")]


@dataclass(frozen=True)
class Situation:
    """What a rule may look at."""

    text: str
    language: str = "en"
    channel: str = "web"
    is_open: bool = True
    turns: int = 1
    visitor: Mapping[str, str] = field(default_factory=dict)
    asked_again: bool = False  # In the same words.
    earlier_topics: frozenset[str] = frozenset()  # Of this conversation.
    topic: str = ""
    confidence: float | None = None  # None: nobody has read the question yet.


@dataclass(frozen=True)
class Ruling:
    """The rule that decides, if one does, and how the conversation is marked."""

    rule: RuleSpec | None
    tags: list[str]


BUILT_IN = RuleSpec(
    name="asks for a person",
    when=Conditions(asks_for_person=True),
    then=HandOver(do="hand_over"),
)


def parse_rule(name: str, when: Any, then: Any) -> RuleSpec:
    """Raises InvalidRule with the first fault and where it is."""
    try:
        return RuleSpec.model_validate({"name": name, "when": when, "then": then})
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"]) or "rule"
        raise InvalidRule(f"{place}: {fault['msg']}.", param=place.split(".")[0]) from error


def find_rule(
    rules: Sequence[RuleSpec], situation: Situation, read: Callable[[Situation], Situation] | None
) -> Ruling:
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
    checks = (
        when.says_any is None or any(says(text, phrase) for phrase in when.says_any),
        when.says_all is None or all(says(text, phrase) for phrase in when.says_all),
        when.language in (None, situation.language),
        when.channel in (None, situation.channel),
        when.hours is None or (when.hours == "open") == situation.is_open,
        when.turns_at_least is None or situation.turns >= when.turns_at_least,
        when.asks_for_person is None or any(says(text, phrase) for phrase in PERSON_PHRASES),
        all(
            situation.visitor.get(name, "").casefold() == value.casefold()
            for name, value in (when.visitor or {}).items()
        ),
        when.looks_like is None or SHAPES[when.looks_like].search(situation.text) is not None,
    )
    return all(checks)


def says(normalised_text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text: between word boundaries, unless it is Chinese."""
    phrase = normalise(phrase)
    if re.search(f"[{CJK}]", phrase):
        return phrase in normalised_text
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", normalised_text) is not None


def fill_text(rule: RuleSpec, situation: Situation) -> str:
    """The text to say, with {captured} replaced by what has the rule's shape."""
    assert isinstance(rule.then, Say)
    found = SHAPES[rule.when.looks_like].search(situation.text) if rule.when.looks_like else None
    return rule.then.text.replace("{captured}", found[0] if found else "")


def check_examples(
    spec: RuleSpec,
    yes: Sequence[str],
    no: Sequence[str],
    read: Callable[[Situation], Situation] | None,
) -> None:
    """Raises InvalidRule unless each example does what it says, and there is one of each.

    A rule that does not look at the words applies to every question: it needs one example only.
    """
    if spec.when.needs_topic and read is None:
        raise InvalidRule(
            "Build a version first: the examples of a rule about a topic are tried with it.",
            param="when",
        )
    if not yes or (spec.when.looks_at_words and not no):
        raise InvalidRule(
            "Give one example that the rule applies to and one that it does not.",
            param="examples_yes" if not yes else "examples_no",
        )
    for examples, expected in ((yes, True), (no, False)):
        for text in examples:
            situation = situation_for(spec.when, text)
            if read is not None and spec.when.needs_topic:
                situation = read(situation)
            if applies(spec.when, situation) != expected:
                verb = "does not apply to" if expected else "applies to"
                raise InvalidRule(
                    f"The rule {verb} the example {text[:100]!r}.",
                    param="examples_yes" if expected else "examples_no",
                )


def situation_for(when: Conditions, text: str) -> Situation:
    """The example's text where all that is not text fits the rule."""
    return Situation(
        text=text,
        language=when.language or "en",
        channel=when.channel or "web",
        is_open=when.hours != "closed",
        turns=when.turns_at_least or 1,
        visitor=when.visitor or {},
        asked_again=bool(when.asked_again),
    )
