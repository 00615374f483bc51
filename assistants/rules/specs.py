"""How programs and pages write a rule, and what of it is no rule.

`when` holds conditions that must all be true, `then` one action. Phrases are compared normalised,
word by word, Chinese ones anywhere. Shapes are named or drawn; nobody writes a regular expression.
The topic is the answer that the version thinks is meant.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistants.errors import InvalidRule
from assistants.rules.shapes import check_shape
from engine.spec.problems import problem_sentence

MAX_TAG_LENGTH = 40
PLACEHOLDER = re.compile(r"\{(\w*)\}")
PLACEHOLDERS = ("name", "hours", "captured")
Attribute = Annotated[str, Field(pattern="^[a-z0-9_-]{1,40}$")]
Attributes = Annotated[
    dict[Attribute, Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=10)
]
Phrases = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1)]
Shape = Annotated[str, AfterValidator(check_shape)]
Words = Annotated[str, Field(min_length=1, max_length=2000)]  # With placeholders.


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
    looks_like: Shape | None = None
    asked_again: Literal[True] | None = None  # The same words, or the same topic.
    visitor: Attributes | None = None  # What the site or program says of who asks.
    topic_is: Phrases | None = None  # Keys of answers.
    confidence_below: Annotated[float, Field(gt=0, le=1)] | None = None  # Of the topic.
    confidence_above: Annotated[float, Field(ge=0, lt=1)] | None = None

    @property
    def needs_topic(self) -> bool:
        conditions = (self.topic_is, self.confidence_below, self.confidence_above)
        return any(one is not None for one in conditions)

    @property
    def looks_at_words(self) -> bool:
        """Whether there can be a question that it does not apply to, where all else fits."""
        conditions = (self.says_any, self.says_all, self.asks_for_person, self.looks_like)
        return self.needs_topic or any(one is not None for one in conditions)

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
    text: Words


class HandOver(Strict):
    do: Literal["hand_over"]
    group: Annotated[str, Field(max_length=40)] = ""  # Of people; who, the inbox decides.


class Refuse(Strict):
    do: Literal["refuse"]


class AddTag(Strict):
    """Marks the conversation; later rules and the match decide what is said."""

    do: Literal["tag"]
    tag: Annotated[str, Field(min_length=1, max_length=MAX_TAG_LENGTH)]


DirectAction = Annotated[GiveAnswer | Say | HandOver | Refuse | AddTag, Field(discriminator="do")]


class AskFor(Strict):
    """Asks for something of a shape, keeps it, and goes on. What the visitor said before, in the
    question or in this conversation, is not asked for again."""

    do: Literal["ask_for"]
    shape: Shape
    text: Words
    then: DirectAction


class RuleSpec(Strict):
    """A rule as programs and pages write it."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    when: Conditions
    then: Annotated[
        GiveAnswer | Say | HandOver | Refuse | AddTag | AskFor, Field(discriminator="do")
    ]

    @model_validator(mode="after")
    def fills_what_it_says(self) -> "RuleSpec":
        captures = self.when.looks_like is not None
        for action in self.actions:
            is_last = not isinstance(action, AskFor)
            if isinstance(action, Say | AskFor):
                _check_words(action.text, captures=is_last and (captures or len(self.actions) > 1))
        return self

    @property
    def actions(self) -> list[BaseModel]:
        """What it does: at once and, where it asks first, afterwards."""
        return [self.then, self.then.then] if isinstance(self.then, AskFor) else [self.then]


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
        place = ".".join(str(part) for part in fault["loc"]) or "then"
        sentence = problem_sentence(fault)
        raise InvalidRule(f"{place}: {sentence}", param=place.split(".")[0]) from error


def _check_words(text: str, *, captures: bool) -> None:
    """Raises ValueError for a placeholder that nothing fills."""
    for name in PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            raise ValueError(f"“{name}” in braces is filled by nothing: a text may hold {known}.")
        if name == "captured" and not captures:
            raise ValueError(
                "{captured} is filled only where the question must look like something, or was"
                " asked for it."
            )
