"""What a rule does once it applies: it says, gives, refuses, hands over, or asks for a shape."""

from assistants.answering.masking import mask
from assistants.answering.outcome import Outcome, SourceQuote, refusal
from assistants.models import Answer, Assistant, Decision
from assistants.people.opening_hours import describe_hours
from assistants.rules.matching import Awaited, Situation
from assistants.rules.shapes import find_shape
from assistants.rules.specs import (
    AskFor,
    DirectAction,
    GiveAnswer,
    HandOver,
    RuleSpec,
    Say,
)

Route = Decision.Route


def capture(rule: RuleSpec, situation: Situation) -> dict[str, str]:
    """What the question holds of the shapes that the rule looks for, and what it asks for where
    the visitor gave it before."""
    shapes = [rule.when.looks_like] if rule.when.looks_like else []
    values = {shape: find_shape(shape, situation.unmasked) for shape in shapes}
    if isinstance(rule.then, AskFor):
        shape = rule.then.shape
        known = situation.captured.get(shape, "")
        values[shape] = find_shape(shape, situation.unmasked) or known
    return {shape: value for shape, value in values.items() if value}


def ask_for(assistant: Assistant, rule: RuleSpec, situation: Situation, times: int = 1) -> Outcome:
    """Ask the visitor for what the rule needs."""
    assert isinstance(rule.then, AskFor)
    awaited = situation.awaited if times > 1 else None
    question = awaited.question if awaited else situation.text
    language = awaited.language if awaited else situation.language
    return Outcome(
        Route.RULE,
        fill(rule.then.text, assistant, language),
        rule=rule.name,
        confidence=1.0,
        awaited=Awaited(rule.name, question, language, times),
    )


def act(
    assistant: Assistant, rule: RuleSpec, then: DirectAction, situation: Situation, value: str
) -> Outcome | None:
    """None where it gives an answer that may not be shown now: the match decides then."""
    outcome: Outcome | None
    if isinstance(then, HandOver):
        outcome = Outcome(Route.HAND_OVER, "", reason="rule", group=then.group)
    elif isinstance(then, Say):
        outcome = Outcome(Route.RULE, fill(then.text, assistant, situation.language, value))
    elif isinstance(then, GiveAnswer):
        answer = Answer.objects.usable().filter(assistant=assistant, key=then.key).first()
        outcome = give(answer) if answer else None
    else:
        outcome = refusal(assistant, situation.language)
    if outcome is not None:
        outcome.rule = rule.name
        outcome.confidence = 0.0 if outcome.route == Route.REFUSE else 1.0
    return outcome


def give(answer: Answer, confidence: float = 1.0) -> Outcome:
    """The approved answer, word for word."""
    return Outcome(
        Route.ANSWER,
        answer.text,
        confidence=confidence,
        answer_key=answer.key,
        sources=[SourceQuote(answer.key, answer.link, "", round(confidence, 4))],
    )


def fill(text: str, assistant: Assistant, language: str, value: str = "") -> str:
    """The text with its placeholders filled; what points to a person is masked, as it is stored."""
    filled = {
        "{name}": assistant.name,
        "{hours}": describe_hours(assistant, language),
        "{captured}": mask(value),
    }
    for placeholder, words in filled.items():
        text = text.replace(placeholder, words)
    return text
