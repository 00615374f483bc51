"""Every figure of the monitor equals an independent recount, row by row, of a made-up month."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection

from assistants.models import Conversation, Decision, Judgement, Message, Version, Visitor
from assistants.queries import figures, measures
from billing.models import LedgerEntry

pytestmark = pytest.mark.django_db
SINCE = datetime(2026, 10, 1, tzinfo=UTC)
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
ANSWERS = {"answer", "quote", "written"}  # Approved, a passage, written from passages.
FLOOR = 0.3  # The cosine that answers usually reach.


def make_month(assistant, person, count=400, seed=3) -> None:
    """Conversations of every kind, some outside of the month, some nobody was allowed to answer."""
    rng = random.Random(seed)
    channel = assistant.channels.get()
    version = Version.objects.create(
        assistant=assistant, number=1, encoder="e", promise=0.9, out_of_scope_share=0.1,
        report={"en": {"usual_cosine": FLOOR}},
    )  # fmt: skip
    # Built first and written at once: thousands of single statements take a minute beside others.
    made: dict[type, list] = {
        kind: [] for kind in (Visitor, Conversation, Message, Decision, Judgement)
    }
    gone: list[Conversation] = []  # Closed ones, whose visitors may come back.
    for number in range(count):
        opened = SINCE + timedelta(seconds=rng.uniform(-2 * 86_400, 33 * 86_400))
        visitor = Visitor(channel=channel, external_hash=f"{number:064}")
        made[Visitor].append(visitor)
        if gone and rng.random() < 0.3:
            before = gone.pop()
            visitor, opened = before.visitor, before.opened_at + timedelta(hours=rng.uniform(0, 99))
        state = rng.choice(["bot", "waiting", "human", "closed", "closed", "closed"])
        is_handed_over = state in ("waiting", "human") or rng.random() < 0.3
        talk = Conversation(
            channel=channel, visitor=visitor, opened_at=opened, state=state,
            assignee=person if state == "human" else None,
            handed_over_at=opened if is_handed_over else None,
            handed_over_reason=rng.choice(["rule", "two_refusals"]) if is_handed_over else "",
            closed_at=opened if state == "closed" else None,
            outcome=rng.choice(["resolved", "unconfirmed"]) if state == "closed" else "",
            csat=rng.choice([None, None, 1, 2, 3, 4, 5]),
        )  # fmt: skip
        made[Conversation].append(talk)
        if state == "closed":
            gone.append(talk)
        _say(rng, talk, version, opened, person, made)
    for kind, rows in made.items():
        kind.objects.bulk_create(rows)
    with connection.cursor() as cursor:  # As autovacuum does: else each figure joins row by row.
        cursor.execute(f"ANALYZE {', '.join(kind._meta.db_table for kind in made)}")


def _say(rng, talk, version, opened, person, made) -> None:
    channel = talk.channel
    for turn in range(rng.randint(1, 4)):
        at = opened + timedelta(seconds=turn * 20)
        asked = Message(
            conversation=talk, channel=channel, seq=2 * turn + 1, author="visitor", text="q", at=at
        )
        made[Message].append(asked)
        if rng.random() < 0.2:  # A person had it: the assistant was silent.
            continue
        reply = Message(
            conversation=talk, channel=channel, seq=2 * turn + 2, author="bot", text="a",
            at=at + timedelta(seconds=rng.random()),
        )  # fmt: skip
        route = rng.choice(["answer", "answer", "quote", "written", "refuse", "ask", "rule"])
        made[Message].append(reply)
        decision = Decision(
            message=asked, reply=reply, route=route, at=at, for_audit=rng.random() < 0.5,
            answer_key=rng.choice("abc") if route == "answer" else "", version=version,
            candidates=[{"key": "a", "cosine": rng.random()}],
        )  # fmt: skip
        made[Decision].append(decision)
        if rng.random() < 0.4:
            by_visitor = not decision.for_audit
            judgement = Judgement(
                decision=decision, by_visitor=by_visitor, is_audit=decision.for_audit,
                person=None if by_visitor else person,
                verdict=rng.choice(["right", "right", "wrong", "out_of_scope"]),
            )  # fmt: skip
            made[Judgement].append(judgement)


def recount() -> dict[str, tuple[int, int]]:
    """The same figures by loops, from the words of their definitions."""
    talks = []
    decisions_of, judgements_of = defaultdict(list), defaultdict(list)
    for decision in Decision.objects.select_related("message"):
        decisions_of[decision.message.conversation_id].append(decision)
    for judgement in Judgement.objects.all():
        judgements_of[judgement.decision_id].append(judgement)
    for talk in Conversation.objects.all():
        decisions = decisions_of[talk.pk]
        if decisions and SINCE <= talk.opened_at < UNTIL:
            judged = [j for d in decisions for j in judgements_of[d.pk]]
            helped = any(j.by_visitor and j.verdict == "right" for j in judged)
            talks.append((talk, decisions, helped))
    audited = Judgement.objects.filter(is_audit=True).select_related("decision")
    audit = [j for j in audited if SINCE <= j.decision.at < UNTIL]
    answers = [j for j in audit if j.decision.route in ANSWERS]
    closed = [talk for talk, _, _ in talks if talk.state == "closed"]
    rated = [talk for talk, _, _ in talks if talk.csat is not None]
    n = len(talks)
    given = list(Decision.objects.filter(route="answer").select_related("message__conversation"))

    month = [d for d in Decision.objects.all() if SINCE <= d.at < UNTIL]

    def count(condition) -> int:
        return sum(bool(condition(*row)) for row in talks)

    return {
        "consultations": (n, n),
        "answer_rate": (count(lambda t, d, h: any(x.route in ANSWERS for x in d)), n),
        "containment": (sum(t.handed_over_at is None for t in closed), len(closed)),
        "hand_over_rate": (count(lambda t, d, h: t.handed_over_at is not None), n),
        "confirmed_resolution": (count(lambda t, d, h: h or (t.csat or 0) >= 4), n),
        "unconfirmed": (
            count(lambda t, d, h: t.outcome == "unconfirmed" and t.csat is None and not h), n
        ),
        "return_rate": (
            sum(came_back(t, d, given) for t, d, _ in talks if any(x.route == "answer" for x in d)),
            count(lambda t, d, h: any(x.route == "answer" for x in d)),
        ),
        "csat": (sum(t.csat >= 4 for t in rated), len(rated)),
        "csat_response_rate": (len(rated), n),
        "precision_live": (sum(j.verdict == "right" for j in answers), len(answers)),
        "out_of_scope_share": (sum(j.verdict == "out_of_scope" for j in audit), len(audit)),
        "gaps": (sum(d.route == "refuse" for d in month), len(month)),
        "drift": (
            sum(d.candidates[0]["cosine"] < FLOOR for d in Decision.objects.filter(route="answer")
                if SINCE <= d.at < UNTIL),
            sum(SINCE <= d.at < UNTIL for d in Decision.objects.filter(route="answer")),
        ),
    }  # fmt: skip


def came_back(talk, decisions, answers) -> bool:
    keys = {decision.answer_key for decision in decisions if decision.route == "answer"}
    return any(
        decision.answer_key in keys
        for decision in answers
        if (other := decision.message.conversation).visitor_id == talk.visitor_id
        and talk.opened_at < other.opened_at <= talk.opened_at + timedelta(hours=72)
    )


@pytest.mark.slow
def test_every_figure_equals_the_recount(assistant, alice):
    make_month(assistant, alice)
    computed = figures.compute_figures(assistant, SINCE, UNTIL)
    assert {f.name: (f.count, f.n) for f in computed} == recount()
    for figure in computed:
        if figure.n >= figures.MIN_SHOWN and figure.name != "consultations":
            assert figure.value == figure.count / figure.n
            assert figure.low <= figure.value <= figure.high


@pytest.mark.slow
def test_every_other_amount_equals_the_recount(assistant, alice):
    make_month(assistant, alice, count=150)
    charged = 0
    for number, (about, at) in enumerate(
        [(assistant.source, SINCE), (assistant.source, UNTIL - timedelta(seconds=1)),
         (assistant.source, UNTIL), ("base-model:x", SINCE), (assistant.source, SINCE)]
    ):  # fmt: skip
        LedgerEntry.objects.create(
            team=assistant.team, kind="inference", amount_micro=100 + number,
            source=f"event:{number}", about=about, occurred_at=at,
        )  # fmt: skip
        charged += 100 + number if about == assistant.source and SINCE <= at < UNTIL else 0
    decided = [d for d in Decision.objects.all() if SINCE <= d.at < UNTIL]
    answered = [d for d in decided if d.route in ANSWERS]
    given = [d for d in decided if d.route == "answer"]
    assert len(answered) > len(given)
    cost = measures.cost_of_answers(assistant, SINCE, UNTIL)
    assert (cost.spent_micro, cost.answered) == (charged, len(answered))
    assert cost.per_answer_micro == charged / len(answered)
    volumes = measures.volumes(assistant, SINCE, UNTIL)
    assert dict(volumes["topic"]) == Counter(decision.answer_key for decision in given)
    talks = [
        talk
        for talk in Conversation.objects.filter(opened_at__gte=SINCE, opened_at__lt=UNTIL)
        if Decision.objects.filter(message__conversation=talk).exists()
    ]
    assert dict(volumes["language"]) == Counter(talk.language for talk in talks)
    waits = []
    for talk in talks:
        messages = list(talk.messages.order_by("at"))
        told = [message.at for message in messages if message.author == "bot"]
        if told:
            waits.append((told[0] - messages[0].at).total_seconds())
    seconds = measures.seconds_to_answer(assistant, SINCE, UNTIL)
    assert (seconds.n, seconds.median) == (len(waits), sorted(waits)[len(waits) // 2])


def test_each_share_lists_the_rows_it_counts(assistant, alice):
    make_month(assistant, alice, count=100)
    computed = {f.name: f.count for f in figures.compute_figures(assistant, SINCE, UNTIL)}
    for name in figures.SHARES:
        rows = figures.counted_consultations(assistant, SINCE, UNTIL, name)
        assert rows.count() == computed[name], name


def test_the_daily_budget_hands_over_once_it_is_spent(live, alice, api, token):
    assistant = live.assistant
    assistant.daily_budget_micro = 50
    assistant.save()
    question = {"text": "how do i return an order"}
    client = api(token)
    address = f"/v1/assistants/{assistant.name}/consult"
    assert client.post(address, question).json()["route"] == "answer"
    cache.clear()
    LedgerEntry.objects.create(
        team=assistant.team, kind="inference", amount_micro=50, source="event:1",
        about=assistant.source,
    )  # fmt: skip
    reply = client.post(address, question).json()
    assert (reply["route"], reply["handed_over"]) == ("hand_over", True)
    assert Conversation.objects.get(pk=reply["conversation"]).handed_over_reason == "budget"


def test_prometheus_reads_what_the_monitor_shows(live, api, token, client, settings):
    api(token).post("/v1/assistants/shop-help/consult", {"text": "how do i return an order"})
    settings.METRICS_TOKEN = "secret"
    cache.clear()
    text = client.get("/metrics", headers={"Authorization": "Bearer secret"}).content.decode()
    labels = 'assistant="shop-help",figure="answer_rate",team="acme-labs"'
    assert f"lathe_assistant_counted{{{labels}}} 1.0" in text
    assert f"lathe_assistant_among{{{labels}}} 1.0" in text


def test_a_rate_of_few_is_not_shown(assistant, alice):
    make_month(assistant, alice, count=12)
    shown = {f.name: f.value for f in figures.compute_figures(assistant, SINCE, UNTIL)}
    assert shown["answer_rate"] is None
    assert shown["consultations"] is not None


def test_each_figure_has_its_definition_on_the_page_and_in_the_export(assistant, alice, client_of):
    client = client_of(alice)
    page = client.get(f"/assistants/{assistant.pk}/monitor/").content.decode()
    export = client.get(f"/assistants/{assistant.pk}/monitor.csv").content.decode()
    for name, definition in figures.DEFINITIONS.items():
        assert figures.TITLES[name] in page
        assert definition[:30] in page
        assert name in export


def test_volumes_and_reasons_of_the_monitor_lead_to_their_rows(live, api, token, alice, client_of):
    asked = {}
    for text in ("how do i return an order", "talk to a person"):
        reply = api(token).post("/v1/assistants/shop-help/consult", {"text": text}).json()
        asked[reply["route"]] = reply["conversation"]
    client, path = client_of(alice), f"/assistants/{live.assistant_id}/monitor/"
    page = client.get(path).content.decode()
    for part, routes in (
        ("channel:api", ["answer", "hand_over"]),
        ("language:en", ["answer", "hand_over"]),
        ("topic:return-an-order", ["answer"]),
        ("reason:rule", ["hand_over"]),
    ):
        assert f"part={part}#rows" in page
        shown = client.get(f"{path}?part={part}").content.decode()
        assert {route for route, talk in asked.items() if talk in shown} == set(routes)
    assert client.get(f"{path}?part=channel:wechat").context["conversations"].count() == 0
    assert client.get(f"{path}?part=nothing:x").status_code == 200
