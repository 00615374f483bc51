"""What people correct makes the next version answer more, and nothing breaks the gate."""

import random

import pytest

from assistants.answering.deciding import decide
from assistants.demo_data import generate_faq
from assistants.errors import RefusedByGate
from assistants.knowledge.importing import add_source
from assistants.models import Decision, Judgement, Phrasing, Version
from assistants.review.judging import judge
from assistants.rules.matching import Situation
from assistants.versions import gate
from engine.answering.bounds import wilson_interval
from tests.assistants.conftest import MAPPING, store_table
from tests.assistants.made import learn, record

pytestmark = pytest.mark.django_db
COLUMNS = ("question", "topic", "answer")


@pytest.fixture
def rows():
    """(taught, corrected, fresh): of every topic 3, some, and questions nobody has seen."""
    by_topic: dict[str, list] = {}
    for row in generate_faq(16, seed=5):
        by_topic.setdefault(row.topic, []).append(row)
    taught = [row for some in by_topic.values() for row in some[:3]]
    fresh = [row for some in by_topic.values() for row in some[-4:]]
    rest = [row for some in by_topic.values() for row in some[3:-4]]
    return taught, random.Random(0).sample(rest, 150), fresh


def ask(version, questions) -> tuple[float, float]:
    """(answered share, precision) on questions nobody fitted."""
    outcomes = [decide(version, Situation(text=row.question, language="en")) for row in questions]
    answered = [
        (outcome.answer_key, row.topic)
        for outcome, row in zip(outcomes, questions, strict=True)
        if outcome.route == Decision.Route.ANSWER
    ]
    right = sum(given == expected for given, expected in answered)
    return len(answered) / len(questions), right / max(1, len(answered))


@pytest.mark.nightly
@pytest.mark.slow
def test_150_corrections_make_the_next_version_answer_more_and_a_sabotaged_one_is_refused(
    assistant, project, alice, rows
):
    taught, corrected, fresh = rows
    table = [(row.question, row.topic, row.answer) for row in taught]
    add_source(assistant, store_table(project, COLUMNS, table), MAPPING, alice)
    first = learn(assistant, alice)
    before, _ = ask(first, fresh)
    for row in corrected:
        decision = record(assistant, first, row.question)
        judge(assistant, decision.pk, "should_have_answered", alice, answer_key=row.topic)
    assert Phrasing.objects.filter(origin="correction").count() > 140
    second = learn(assistant, alice)
    after, precision = ask(second, fresh)
    assert after >= before + 0.05, (before, after)
    assert precision >= second.promise
    gate.publish(second, alice)

    phrasings = list(Phrasing.objects.order_by("pk"))
    answers = [phrasing.answer_id for phrasing in phrasings]
    random.Random(1).shuffle(answers)
    Phrasing.objects.all().delete()
    for phrasing, answer in zip(phrasings, answers, strict=True):
        phrasing.pk, phrasing.answer_id = None, answer
    Phrasing.objects.bulk_create(phrasings, ignore_conflicts=True)
    sabotaged = learn(assistant, alice)
    with pytest.raises(RefusedByGate):
        gate.publish(sabotaged, alice)
    assert Version.objects.get(status="live") == second


@pytest.mark.slow
def test_an_audit_below_the_promise_makes_the_version_ask_back_until_it_is_above(
    live, alice, django_capture_on_commit_callbacks
):
    assistant = live.assistant
    question = Situation(text="how do i return an order", language="en")
    assert decide(live, question).route == Decision.Route.ANSWER

    def audit(verdict: str, count: int) -> None:
        for number in range(count):
            decision = record(
                assistant, live, f"{verdict} {number}", "answer", "return-an-order", for_audit=True
            )
            judge(assistant, decision.pk, verdict, alice, is_audit=True)
        live.refresh_from_db()

    audit("right", 20)
    audit("wrong", 9)
    assert live.promise_broken_at is None  # Too few to say so.
    audit("wrong", 1)
    assert wilson_interval(20, 30)[1] < live.promise
    assert live.promise_broken_at is not None
    assert decide(live, question).route == Decision.Route.ASK
    assert Judgement.objects.filter(taught_at__isnull=False).count() == 0  # Audits never teach.
    audit("right", 120)
    assert live.promise_broken_at is None
    assert decide(live, question).route == Decision.Route.ANSWER
