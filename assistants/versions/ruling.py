"""Rules are saved if their examples do what they say; what an earlier rule takes is told."""

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from assistants.answering.language import detect_language
from assistants.answering.masking import mask
from assistants.answering.reading import newest_reader
from assistants.errors import AssistantNameTaken, EncoderUnavailable, InvalidRule
from assistants.models import Answer, Assistant, Rule
from assistants.people.opening_hours import is_open
from assistants.rules.examples import check_examples, situation_for
from assistants.rules.matching import Ruling, Situation, find_rule
from assistants.rules.specs import BUILT_IN, GiveAnswer, RuleSpec, parse_rule


@dataclass(frozen=True)
class Swallowed:
    """An example of a rule that an earlier rule decides."""

    rule: str
    example: str
    by: str

    @property
    def sentence(self) -> str:
        return f"“{self.by}” comes first and decides “{self.example}”, an example of “{self.rule}”."


@transaction.atomic
def add_rule(assistant: Assistant, by: User | ApiToken, **fields: Any) -> Rule:
    """After the others, unless `position` is given. Raises InvalidRule or AssistantNameTaken."""
    _require_valid(assistant, fields)
    last = assistant.rules.order_by("-position").values_list("position", flat=True).first()
    fields.setdefault("position", 0 if last is None else last + 1)
    rule = Rule(assistant=assistant, **fields)
    _save(rule)
    audit.record(assistant.team, by, "assistant.rule-added", rule.name)
    return rule


@transaction.atomic
def change_rule(rule: Rule, by: User | ApiToken, **fields: Any) -> None:
    """Some of its fields; all of it must still hold. Raises InvalidRule or AssistantNameTaken."""
    for name, value in fields.items():
        setattr(rule, name, value)
    names = ("name", "when", "then", "examples_yes", "examples_no")
    if fields.keys() & set(names):
        _require_valid(rule.assistant, {name: getattr(rule, name) for name in names})
    _save(rule)
    audit.record(rule.assistant.team, by, "assistant.rule-changed", rule.name)


@transaction.atomic
def move_rule(rule: Rule, by: User | ApiToken, *, up: bool) -> None:
    """One place; the first stays first, the last stays last."""
    rows = list(Rule.objects.select_for_update().filter(assistant=rule.assistant_id))
    place = rows.index(rule)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(rows):
        return
    rows[place], rows[other] = rows[other], rows[place]
    for number, row in enumerate(rows):
        Rule.objects.filter(pk=row.pk).exclude(position=number).update(position=number)
    audit.record(rule.assistant.team, by, "assistant.rule-moved", rule.name)


@transaction.atomic
def delete_rule(rule: Rule, by: User | ApiToken) -> None:
    """Versions that were built with it keep it."""
    audit.record(rule.assistant.team, by, "assistant.rule-deleted", rule.name)
    rule.delete()


def _require_valid(assistant: Assistant, fields: dict[str, Any]) -> None:
    """Raises InvalidRule."""
    spec = parse_rule(fields["name"], fields["when"], fields["then"])
    _require_answers(assistant, spec)
    read = newest_reader(assistant) if spec.when.needs_topic else None
    check_examples(spec, fields["examples_yes"], fields["examples_no"], read)


def _save(rule: Rule) -> None:
    """Raises AssistantNameTaken."""
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError:
        raise AssistantNameTaken(
            "A rule of this assistant has this name. Choose another one.", param="name"
        ) from None


def _require_answers(assistant: Assistant, spec: RuleSpec) -> None:
    keys = [action.key for action in spec.actions if isinstance(action, GiveAnswer)]
    for param, expected in (("topic_is", set(spec.when.topic_is or [])), ("then", set(keys))):
        current = assistant.answers.exclude(state=Answer.State.RETIRED).filter(key__in=expected)
        if missing := sorted(expected - set(current.values_list("key", flat=True))):
            raise InvalidRule(f"There is no answer with the key {missing[0]!r}.", param=param)


def find_swallowed(assistant: Assistant) -> list[Swallowed]:
    """Of the rules in their order: examples that never reach their rule."""
    swallowed: list[Swallowed] = []
    earlier = [BUILT_IN]
    read = newest_reader(assistant)
    for row in assistant.rules.filter(enabled=True):
        spec = RuleSpec.model_validate({"name": row.name, "when": row.when, "then": row.then})
        for example in row.examples_yes:
            situation = situation_for(spec.when, example)
            try:
                ruling = find_rule(earlier, situation, read)
            except EncoderUnavailable:
                return swallowed
            if ruling.rule is not None:
                swallowed.append(Swallowed(row.name, example[:100], ruling.rule.name))
        earlier.append(spec)
    return swallowed


def try_question(assistant: Assistant, text: str) -> Ruling:
    """What the rules as they stand now make of a first question in the widget. Where it cannot be
    read, rules about a topic apply to nothing."""
    rows = assistant.rules.filter(enabled=True).values("name", "when", "then")
    specs = [BUILT_IN, *(RuleSpec.model_validate(row) for row in rows)]
    situation = Situation(
        text=mask(text),
        original=text,
        language=detect_language(text, assistant.languages),
        is_open=is_open(assistant, now()),
    )
    try:
        return find_rule(specs, situation, newest_reader(assistant))
    except EncoderUnavailable:
        return find_rule(specs, situation, None)
