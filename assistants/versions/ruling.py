"""Rules are saved if their examples do what they say; what an earlier rule takes is told."""

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import ApiToken, User
from assistants.answering.reading import newest_reader
from assistants.answering.rules import (
    BUILT_IN,
    RuleSpec,
    check_examples,
    find_rule,
    parse_rule,
    situation_for,
)
from assistants.errors import AssistantNameTaken, EncoderUnavailable, InvalidRule
from assistants.models import Answer, Assistant, Rule


@dataclass(frozen=True)
class Swallowed:
    """An example of a rule that an earlier rule decides."""

    rule: str
    example: str
    by: str

    @property
    def sentence(self) -> str:
        return f"“{self.by}” comes first and decides “{self.example}”, an example of “{self.rule}”."


def add_rule(assistant: Assistant, by: User | ApiToken, **fields: Any) -> Rule:
    """After the others, unless `position` is given. Raises InvalidRule or AssistantNameTaken."""
    spec = parse_rule(fields["name"], fields["when"], fields["then"])
    _require_topics(assistant, spec)
    read = newest_reader(assistant) if spec.when.needs_topic else None
    check_examples(spec, fields["examples_yes"], fields["examples_no"], read)
    fields.setdefault("position", assistant.rules.count())
    try:
        with transaction.atomic():
            rule = Rule.objects.create(assistant=assistant, **fields)
            audit.record(assistant.team, by, "assistant.rule-added", rule.name)
    except IntegrityError:
        raise AssistantNameTaken(
            "A rule of this assistant has this name. Choose another one.", param="name"
        ) from None
    return rule


def _require_topics(assistant: Assistant, spec: RuleSpec) -> None:
    wanted = set(spec.when.topic_is or [])
    current = assistant.answers.exclude(state=Answer.State.RETIRED).filter(key__in=wanted)
    if missing := sorted(wanted - set(current.values_list("key", flat=True))):
        raise InvalidRule(f"There is no answer with the key {missing[0]!r}.", param="topic_is")


def find_swallowed(assistant: Assistant) -> list[Swallowed]:
    """Of the rules in their order: examples that never reach their rule."""
    found: list[Swallowed] = []
    earlier = [BUILT_IN]
    read = newest_reader(assistant)
    for row in assistant.rules.filter(enabled=True):
        spec = RuleSpec.model_validate({"name": row.name, "when": row.when, "then": row.then})
        for example in row.examples_yes:
            situation = situation_for(spec.when, example)
            try:
                ruling = find_rule(earlier, situation, read)
            except EncoderUnavailable:
                return found
            if ruling.rule is not None:
                found.append(Swallowed(row.name, example[:100], ruling.rule.name))
        earlier.append(spec)
    return found
