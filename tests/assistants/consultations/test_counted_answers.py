"""Answers on the bill: each once, at the operator's rate; refusals and people cost nothing."""

import pytest
from django.db import connection

from assistants.answering.spending import spent_micro
from assistants.conversations import metering, state
from assistants.conversations.metering import count_answers
from assistants.models import Conversation, Decision
from billing.models import LedgerEntry, UsageEvent
from billing.pricing import supersede
from billing.stripe.catalog import meter_event_name

pytestmark = pytest.mark.django_db
ASK = "/v1/assistants/shop-help/consult"
ANSWERED, REFUSED = "how do i return an order", "who painted the mona lisa"


@pytest.fixture
def ask(api, token):
    def ask(text, **more):
        reply = api(token).post(ASK, {"text": text, **more}).json()
        return reply["route"]

    return ask


def counted() -> int:
    events = UsageEvent.objects.filter(kind="assistant-answers")
    return sum(events.values_list("units", flat=True))


def test_each_answer_counts_once_and_nothing_else_does(live, ask, alice):
    assert [ask(ANSWERED), ask(ANSWERED), ask(REFUSED)] == ["answer", "answer", "refuse"]
    assert ask("i want to talk to a person", visitor="v") == "hand_over"
    talk = Conversation.objects.get(visitor__isnull=False)
    state.take(talk, alice)
    state.reply(talk, alice, "Here I am.")
    assert ask(ANSWERED, visitor="v") == "person"
    assert metering.count_answers() == 2
    count_answers()
    count_answers()
    assert counted() == 2
    assert not Decision.objects.filter(route="answer", is_counted=False).exists()
    ask(ANSWERED, message_id="m-1", visitor="w")
    ask(ANSWERED, message_id="m-1", visitor="w")  # The same message, sent again.
    count_answers()
    assert counted() == 3


def test_it_is_free_until_the_operator_sets_a_rate(live, ask, api, token, alice, client_of):
    ask(ANSWERED)
    count_answers()
    assert UsageEvent.objects.get(kind="assistant-answers").amount_micro == 0
    assert "Answers of assistants" not in client_of(alice).get("/pricing/").content.decode()
    supersede("assistant-answers", 2_500_000)
    ask(ANSWERED)
    ask(ANSWERED)
    count_answers()
    entry = LedgerEntry.objects.get(sku="assistant-answers")
    assert (entry.amount_micro, entry.about) == (5_000, live.assistant.source)
    usage = api(token).get("/api/v1/usage").json()
    [answers] = usage["answers"]
    assert (answers["kind"], answers["units"]) == ("assistant-answers", 3)
    assert answers["amount_micros"] == 5_000
    assert usage["voice"] == []
    [row] = usage["deployments"]
    assert row["net_micros"] == usage["total_micros"] == 5_000
    browser, slug = client_of(alice), live.assistant.team.slug
    page = browser.get(f"/teams/{slug}/usage/").content.decode()
    assert "Answers of assistants" in page
    assert "3 answers" in page
    statement = browser.get(f"/teams/{slug}/usage/statement/").content.decode()
    assert "$0.005000" in statement
    assert "$0.0025 per answer" in browser.get("/pricing/").content.decode()
    table = browser.get(f"/teams/{slug}/usage/export.csv?by=answer").content.decode()
    assert "assistant-answers,3,3,0.005000" in table
    invoice = browser.get(f"/teams/{slug}/usage/invoice/").content.decode()
    assert "Answers of assistants" in invoice
    since = Decision.objects.earliest("at").at
    assert spent_micro(live.assistant, since, since.replace(year=since.year + 1)) == 5_000


def test_what_code_of_before_decides_is_on_no_bill(live, ask):
    """It knows no such column: PostgreSQL fills it in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_default FROM information_schema.columns"
            " WHERE table_name = 'assistants_decision' AND column_name = 'is_counted'"
        )
        assert cursor.fetchone() == ("true",)
    ask(ANSWERED)
    Decision.objects.update(is_counted=True)
    assert metering.count_answers() == 0


def test_stripe_has_a_meter_for_it():
    assert meter_event_name("assistant-answers") == "lathe_assistant_answers"
