"""A month of consultations for the demo's assistant, with its rules, tests and judgements: made by
a generator, so that monitor, review, rules and tests have something to show."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Model
from django.utils.timezone import now

from accounts.models import User
from assistants.answering.texts import text_of
from assistants.demo_data import TOPICS, FaqRow, generate_faq
from assistants.knowledge.phrasings import hash_text
from assistants.models import (
    Assistant,
    Channel,
    Conversation,
    Decision,
    Judgement,
    Message,
    TestCase,
    Version,
    Visitor,
)
from assistants.review.judging import judge
from assistants.versions.ruling import add_rule

DAYS, CONVERSATIONS = 28, 160
OUTCOMES = Conversation.Outcome
Route, Verdict = Decision.Route, Judgement.Verdict
ROUTES = {Route.ANSWER: 66, Route.REFUSE: 14, Route.ASK: 8, Route.HAND_OVER: 8, Route.RULE: 4}
ORDER_RULE = "Order number first"
RULES = [
    {
        "name": ORDER_RULE,
        "when": {"says_any": ["where is my order"]},
        "then": {
            "do": "ask_for", "shape": "AB-######",
            "text": "Which order? Its number looks like AB-123456.",
            "then": {"do": "hand_over", "group": "shipping"},
        },
        "examples_yes": ["where is my order"],
        "examples_no": ["how do i return an order"],
    },
    {
        "name": "Legal matters",
        "when": {"says_any": ["lawyer", "lawsuit"]},
        "then": {"do": "hand_over", "group": "office"},
        "examples_yes": ["my lawyer will write to you"],
        "examples_no": ["can i have a copy of my receipt"],
    },
]  # fmt: skip


@dataclass
class _Month:
    """Rows that are written at once, in the order in which they name one another."""

    rows: dict[type[Model], list[Model]] = field(
        default_factory=lambda: {
            kind: [] for kind in (Visitor, Conversation, Message, Decision, Judgement)
        }
    )

    def add(self, row: Model) -> None:
        self.rows[type(row)].append(row)

    def save(self) -> None:
        for kind, rows in self.rows.items():
            kind._default_manager.bulk_create(rows)


def add_rules_and_tests(assistant: Assistant, person: User) -> None:
    """Before the first version, which freezes the rules. Only what cannot fail is locked."""
    for rule in RULES:
        add_rule(assistant, person, **rule)
    known = generate_faq(1, seed=3)[:8]
    cases = [
        *(TestCase(question=row.question, expects="answer", value=row.topic) for row in known),
        *(TestCase(question=text, expects="refuse") for text in TOPICS["off_topic"][:2]),
        TestCase(question="i want to talk to a person", expects="hand_over", locked=True),
    ]
    for case in cases:
        case.assistant, case.language = assistant, assistant.default_language
    TestCase.objects.bulk_create(cases)


def add_month(channel: Channel, version: Version, person: User, seed: int = 5) -> None:
    """Consultations of the last DAYS, the audit's judgements, and some corrections."""
    rng, month = random.Random(seed), _Month()
    asked = generate_faq(8, seed=11)
    for number in range(CONVERSATIONS):
        opened = now() - timedelta(days=1 + rng.random() * DAYS)
        _add_consultation(rng, month, channel, version, person, opened, rng.choice(asked), number)
    month.save()
    _correct(channel.assistant, person, asked)


def _add_consultation(
    rng: random.Random,
    month: _Month,
    channel: Channel,
    version: Version,
    person: User,
    opened: datetime,
    row: FaqRow,
    number: int,
) -> None:
    route = rng.choices(list(ROUTES), list(ROUTES.values()))[0]
    visitor = Visitor(
        channel=channel, external_hash=hash_text(f"demo {number}"),
        locale=rng.choice(["en-GB", "en-US", "de-DE", "fr-FR"]),
    )  # fmt: skip
    is_handed_over = route == Route.HAND_OVER
    closed = opened + timedelta(hours=rng.uniform(0.1, 20))
    talk = Conversation(
        channel=channel, visitor=visitor, version=version, state="closed", opened_at=opened,
        last_message_at=closed, closed_at=closed,
        outcome=rng.choice([OUTCOMES.RESOLVED, OUTCOMES.UNCONFIRMED]),
        handed_over_at=opened if is_handed_over else None,
        handed_over_reason=rng.choice(["rule", "two_refusals"]) if is_handed_over else "",
        csat=rng.choices([None, 5, 4, 3, 1], [70, 16, 8, 4, 2])[0],
    )  # fmt: skip
    question = {
        Route.REFUSE: rng.choice(TOPICS["off_topic"]),
        Route.HAND_OVER: "i want to talk to a person",
        Route.RULE: "where is my order",
    }.get(route, row.question)
    month.add(visitor)
    month.add(talk)
    asked = _say(month, talk, 1, Message.Author.VISITOR, question, opened)
    replied_at = opened + timedelta(seconds=rng.uniform(0.05, 0.6))
    reply = _say(month, talk, 2, Message.Author.BOT, _reply_to(channel, route, row), replied_at)
    if is_handed_over:
        moment = opened + timedelta(minutes=rng.uniform(1, 25))
        text = "Hello, I am looking into it."
        _say(month, talk, 3, Message.Author.PERSON, text, moment, person=person)
    month.add(decision := _decide(rng, asked, reply, version, route, row))
    _judge(rng, month, decision, person)


def _say(
    month: _Month,
    talk: Conversation,
    seq: int,
    author: Message.Author,
    text: str,
    at: datetime,
    person: User | None = None,
) -> Message:
    message = Message(
        conversation=talk, channel=talk.channel, seq=seq, author=author, text=text, at=at,
        person=person,
    )  # fmt: skip
    month.add(message)
    return message


def _reply_to(channel: Channel, route: str, row: FaqRow) -> str:
    names = {Route.REFUSE: "refusal", Route.ASK: "ask", Route.HAND_OVER: "handed_over"}
    if route == Route.RULE:
        return str(RULES[0]["then"]["text"])  # type: ignore[index]
    name = names.get(Route(route))
    return text_of(channel.assistant, name, "en") if name else row.answer


def _decide(
    rng: random.Random,
    asked: Message,
    reply: Message,
    version: Version,
    route: str,
    row: FaqRow,
) -> Decision:
    is_known = route in (Route.ANSWER, Route.ASK)
    low, high = {Route.ANSWER: (0.9, 0.999), Route.ASK: (0.4, 0.85)}.get(Route(route), (0.01, 0.3))
    sure = round(rng.uniform(low, high), 4)
    embedded, matched = rng.uniform(2, 9), rng.uniform(1, 6)
    steps = {"embed": embedded, "match": matched, "total": embedded + matched + 3}
    return Decision(
        message=asked, reply=reply, version=version, route=route, at=asked.at,
        confidence=1.0 if route in (Route.RULE, Route.HAND_OVER) else sure,
        answer_key=row.topic if route == Route.ANSWER else "",
        candidates=[
            {"key": row.topic, "probability": sure,
             "cosine": round(rng.uniform(0.72, 0.98) if is_known else rng.uniform(0.1, 0.4), 4)}
        ],
        thresholds={"answer": 0.87, "ask": 0.4},
        rule=ORDER_RULE if route == Route.RULE else "",
        step_ms={name: round(ms, 2) for name, ms in steps.items()},
        for_audit=route not in (Route.RULE, Route.HAND_OVER) and rng.random() < 0.5,
        is_counted=True,  # Nobody pays for the demo.
    )  # fmt: skip


def _judge(rng: random.Random, month: _Month, decision: Decision, person: User) -> None:
    """As the audit does most of what it drew, and a few visitors."""
    if decision.for_audit and rng.random() < 0.85:
        verdict = Verdict.RIGHT if rng.random() < 0.97 else Verdict.WRONG
        if decision.route == Route.REFUSE:
            verdict = Verdict.OUT_OF_SCOPE
        month.add(Judgement(decision=decision, person=person, verdict=verdict, is_audit=True))
    elif decision.route == Route.ANSWER and rng.random() < 0.4:
        verdict = Verdict.RIGHT if rng.random() < 0.85 else Verdict.WRONG
        month.add(Judgement(decision=decision, by_visitor=True, verdict=verdict))


def _correct(assistant: Assistant, person: User, asked: list[FaqRow]) -> None:
    """What was asked back is taught, so that the next version answers it."""
    topics = {row.question: row.topic for row in asked}
    rows = Decision.objects.filter(
        message__channel__assistant=assistant, route=Route.ASK, for_audit=False, judgement=None
    ).select_related("message")
    for decision in rows.order_by("at")[:4]:
        topic, verdict = topics[decision.message.text], Verdict.SHOULD_HAVE_ANSWERED
        judge(assistant, decision.pk, verdict, person, answer_key=topic)
