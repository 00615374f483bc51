"""The rows behind figures of single questions, the export, and what Prometheus reads."""

import pytest
from django.core.cache import cache
from django.utils.timezone import now

from assistants.conversations import state
from assistants.models import Conversation, Version
from assistants.queries import figures
from assistants.review.judging import judge
from tests.assistants.made import record
from tests.assistants.test_figures import SINCE, UNTIL, make_month

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(assistant) -> Version:
    moment = now()
    return Version.objects.create(
        assistant=assistant, number=1, status="live", encoder="e", promise=0.93,
        out_of_scope_share=0.1, measured_at=moment, live_at=moment,
    )  # fmt: skip


def test_each_figure_of_questions_lists_the_rows_it_counts(assistant, alice):
    make_month(assistant, alice, count=100)
    computed = {f.name: f for f in figures.compute_figures(assistant, SINCE, UNTIL)}
    for name in figures.OF_DECISIONS:
        rows = figures.counted_decisions(assistant, SINCE, UNTIL, name)
        figure = computed[name]
        assert rows.count() == (figure.n if name == "precision_live" else figure.count), name
    judged = figures.counted_decisions(assistant, SINCE, UNTIL, "precision_live")
    rights = [decision.judgement.verdict == "right" for decision in judged]
    assert rights == sorted(rights)


def test_the_monitor_links_to_them_and_names_the_promise(
    assistant, version, alice, vera, client_of
):
    wrong = record(assistant, version, "is it wrong", "written", for_audit=True)
    judge(assistant, wrong.pk, "wrong", alice, is_audit=True)
    record(assistant, version, "a gap it is", "refuse")
    path = f"/assistants/{assistant.pk}/monitor/"
    page = client_of(alice).get(path).content.decode()
    assert "93" in page.partition("promised by the live version")[0][-200:]
    for name in figures.OF_DECISIONS:
        assert f"show={name}#rows" in page
    shown = client_of(alice).get(f"{path}?show=precision_live").content.decode()
    assert "is it wrong" in shown
    assert "a gap it is" not in shown
    assert "a gap it is" in client_of(alice).get(f"{path}?show=gaps").content.decode()
    hidden = client_of(vera).get(f"{path}?show=gaps").content.decode()
    assert "a gap it is" not in hidden
    assert "hidden: your role" in hidden


def test_the_export_has_reasons_and_what_95_of_100_people_reach(
    assistant, version, alice, client_of
):
    decision = record(assistant, version, "a person please", "hand_over")
    talk = Conversation.objects.get(pk=decision.message.conversation_id)
    state.hand_over(talk, "rule")
    export = client_of(alice).get(f"/assistants/{assistant.pk}/monitor.csv").content.decode()
    assert "reason: rule,1,1" in export
    assert "seconds_to_person: 95 of 100 within" in export
    assert "\r\ngaps," in export


def test_prometheus_reads_times_costs_reasons_and_volumes(assistant, version, client, settings):
    type(assistant).objects.update(state="live")
    decision = record(assistant, version, "how", "answer", "k")
    talk = Conversation.objects.get(pk=decision.message.conversation_id)
    state.append_message(talk, "bot", "so")
    state.hand_over(talk, "rule")
    settings.METRICS_TOKEN = "secret"
    cache.clear()
    text = client.get("/metrics", headers={"Authorization": "Bearer secret"}).content.decode()
    labels = 'assistant="shop-help"'
    assert f'lathe_assistant_hand_overs{{{labels},reason="rule",team="acme-labs"}} 1.0' in text
    assert f'lathe_assistant_consultations{{{labels},channel="api",team="acme-labs"}} 1.0' in text
    assert f'lathe_assistant_seconds_to_answer{{{labels},quantile="0.95"' in text
    assert f"lathe_assistant_answered_question_micro_usd{{{labels}" in text
