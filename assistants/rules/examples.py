"""A rule's examples: questions that it must apply to, and such that it must not."""

from collections.abc import Sequence

from assistants.errors import InvalidRule
from assistants.rules.matching import Reader, Situation, applies
from assistants.rules.specs import Conditions, RuleSpec


def check_examples(
    spec: RuleSpec, yes: Sequence[str], no: Sequence[str], read: Reader | None
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
        vouched=when.visitor or {},
        asked_again=bool(when.asked_again),
    )
