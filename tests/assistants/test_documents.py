"""Passages of documents: from the import to a quote, and never in place of an approved answer."""

import json
from datetime import timedelta

import pytest
from django.utils.timezone import now

from assistants import outgoing
from assistants.answering.deciding import decide
from assistants.answering.spending import spent_micro
from assistants.models import Assistant, Decision, Source, Version
from assistants.rules.matching import Situation
from assistants.versions import building, gate
from assistants.writing import answering
from assistants.writing.grounding import CheckedSentence
from billing.models import UsageEvent
from billing.pricing import supersede
from tests.assistants.conftest import RULE, SUBJECTS, store_table
from tests.assistants.made import learn
from web.templatetags.ui import money

pytestmark = pytest.mark.django_db


def ask(version: Version, text: str):
    return decide(version, Situation(text=text, language="en"))


@pytest.mark.slow
def test_a_passage_is_quoted_where_no_answer_fits(
    documented, alice, client_of, api, token, monkeypatch
):
    report = documented.passage_report["en"]
    assert report["passages"] == len(SUBJECTS)
    assert report["fused"] >= max(report["vectors"], report["terms"])
    question = "to whom do i hand hammocks before the tide turns"
    outcome = ask(documented, question)
    assert outcome.route == Decision.Route.QUOTE, outcome
    assert RULE.format("hammocks") in outcome.text
    assert outcome.sources[0].title == "faq.csv: Hammocks"
    assert ask(documented, "how do i return an order").route == Decision.Route.ANSWER
    assert ask(documented, "who painted the mona lisa").route != Decision.Route.QUOTE

    reply = api(token).post("/v1/assistants/shop-help/consult", {"text": question}).json()
    assert (reply["route"], reply["answer"]) == ("quote", None)

    def writes(*_):
        grounded = [CheckedSentence("Hand hammocks to the harbour master.", (0,))]
        return answering.WrittenAnswer(grounded, [CheckedSentence("Pay $9.", (0,), "price")], 12, 5)

    with monkeypatch.context() as patched:
        patched.setattr("assistants.answering.deciding.write_answer", writes)
        reply = api(token).post("/v1/assistants/shop-help/consult", {"text": question}).json()
    assert (reply["route"], reply["response"]) == (
        "written",
        "Hand hammocks to the harbour master.",
    )
    decision = Decision.objects.get(pk=reply["id"])
    assert (decision.tokens, decision.held_back) == (12, [{"text": "Pay $9.", "problem": "price"}])

    browser = client_of(alice)
    page = browser.get(f"/assistants/{documented.assistant_id}/knowledge/").content.decode()
    assert f'class="num">{len(SUBJECTS)}</td>' in page
    source = Source.objects.get(passages__gt=0)
    assert browser.post(f"/sources/{source.pk}/retire/").status_code == 302
    assert ask(documented, question).route in (Decision.Route.REFUSE, Decision.Route.ASK)


def test_what_a_model_elsewhere_wrote_is_counted_and_its_price_is_a_cost(
    documented, api, token, client_of, alice, monkeypatch
):
    client, question = api(token), "to whom do i hand hammocks before the tide turns"
    address = f"/api/v1/assistants/{documented.assistant_id}"
    sent = {"writer_model": "m", "writer_url": "https://api.example.com/v1",
            "writer_input_price_micro": 150_000,
            "writer_output_price_micro": 600_000}  # fmt: skip
    assert client.patch(address, sent).json()["writer_output_price_micro"] == 600_000
    unchanged = client.post("/v1/assistants/shop-help/consult", {"text": question}).json()
    assert unchanged["route"] == "quote"  # A change of the writer is a change of the version.
    supersede("upstream-tokens", 20)
    written = ["Hand hammocks to the harbour master before the tide turns [1].", "Pay $9 [1]."]

    def completes(*_, **__):
        choices = [{"message": {"content": written[0]}}]
        usage = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1_000}
        yield json.dumps({"choices": choices, "usage": usage}).encode()

    monkeypatch.setattr(outgoing, "stream", completes)
    gate.publish(learn(documented.assistant, alice), alice)
    reply = client.post("/v1/assistants/shop-help/consult", {"text": question}).json()
    assert (reply["route"], reply["usage"]["tokens"]) == ("written", 1_000), reply
    assert reply["usage"]["cost_micros"] == 195
    del written[0]  # What is not grounded is held back: the provider is paid, the bill is not.
    held_back = client.post("/v1/assistants/shop-help/consult", {"text": question}).json()
    assert held_back["route"] == "quote"
    events = UsageEvent.objects.filter(kind="upstream-tokens")
    assert list(events.values_list("units", "amount_micro")) == [(1_000, 20)]
    wrote = Decision.objects.filter(tokens__gt=0)
    kept = set(wrote.values_list("cost_micro", "tokens", "tokens_written"))
    assert kept == {(900 * 150_000 // 10**6 + 100 * 600_000 // 10**6, 1_000, 100)}
    day = timedelta(days=1)
    assistant = Assistant.objects.get(pk=documented.assistant_id)
    assert spent_micro(assistant, now() - day, now() + day) == 20 + 2 * 195
    figures = client.get(f"{address}/figures").json()["cost"]
    assert figures == {"spent_micro": 410, "ledger_micro": 20, "provider_micro": 390,
                       "answered": 3, "per_answer_micro": pytest.approx(410 / 3)}  # fmt: skip
    monitor = client_of(alice).get(f"/assistants/{assistant.pk}/monitor/").content.decode()
    assert money(410 / 3) in monitor
    assert "$0.00002 from the ledger and $0.00039 asked by the writer" in " ".join(monitor.split())
    page = client_of(alice).get(f"/teams/{assistant.team.slug}/usage/").content.decode()
    assert "1,000" in page


def test_a_document_is_added_on_the_page_and_a_wrong_column_is_named(
    taught, alice, client_of, handbook
):
    browser = client_of(alice)
    address = f"/assistants/{taught.pk}/documents/"
    added = browser.post(address, {"document": handbook.pk, "text_column": "text"}, follow=True)
    assert f"{len(SUBJECTS)} passages" in added.content.decode()
    wrong = browser.post(address, {"document": handbook.pk, "text_column": "body"}, follow=True)
    assert "no column" in wrong.content.decode()
    assert Source.objects.filter(passages__gt=0).count() == 1


def test_settings_are_changed_on_the_page(taught, alice, client_of):
    browser = client_of(alice)
    address = f"/assistants/{taught.pk}/settings/"
    sent = {"promise": "90", "out_of_scope_share": "20", "retention_days": "30",
            "daily_budget": "1.50", "writer_model": "m", "writer_url": "https://api.example.com/v1/",
            "writer_key": "sk-secret", "writer_input_price": "0.15",
            "writer_output_price": "0.6", "writing_style": "warm", "voice": "off"}  # fmt: skip
    assert browser.post(address, sent).status_code == 302
    taught.refresh_from_db()
    assert (taught.retention_days, taught.daily_budget_micro) == (30, 1_500_000)
    assert taught.writer_url == "https://api.example.com/v1"
    assert taught.writer_key
    prices = (taught.writer_input_price_micro, taught.writer_output_price_micro)
    assert (prices, taught.writing_style) == ((150_000, 600_000), "warm")
    assert "sk-secret" not in taught.writer_key + browser.get(address).content.decode()
    private = browser.post(address, sent | {"writer_url": "https://10.0.0.1/v1"})
    assert "private" in private.content.decode()


@pytest.mark.nightly
def test_a_document_of_a_page_is_quoted_as_well(taught, alice, project, api, token):
    """Too few sentences to measure how often the right passage is found; enough to know what has
    nothing to do with any of them."""
    rows = [
        ("Dogs", "Dogs wait outside at the hook beside the door. Guide dogs may come in."),
        ("Lost property", "What was left behind is kept at the counter for 30 days."),
        ("Wi-Fi", "Guests find the Wi-Fi password on their receipt. It changes every Monday."),
    ]
    document = store_table(project, ("heading", "text"), rows)
    sent = {"dataset": str(document.pk), "text_column": "text", "heading_column": "heading"}
    assert api(token).post(f"/api/v1/assistants/{taught.pk}/sources", sent).status_code == 201
    version = building.create_version(taught, alice)
    assert building.build_pending() == 1
    version.refresh_from_db()
    assert version.passage_report["en"]["asked"] < 20
    quoted = ask(version, "where do guests find the wi-fi password")
    assert (quoted.route, "on their receipt" in quoted.text) == (Decision.Route.QUOTE, True)
    assert ask(version, "who painted the mona lisa").route == Decision.Route.REFUSE
