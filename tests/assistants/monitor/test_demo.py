"""The demo's assistant goes live, and its pages have something to show."""

import pytest
from django.utils.timezone import now

from accounts.models import AuditEntry
from assistants import demo
from assistants.models import Assistant, Conversation, Judgement
from assistants.queries import figures
from assistants.queries.corrections import count_corrections
from assistants.versions import building
from projects.models import Project

pytestmark = pytest.mark.django_db


@pytest.mark.slow
def test_the_demo_has_a_month_of_consultations(team, alice, project, monkeypatch, client_of):
    monkeypatch.setattr(demo, "EMAIL", alice.email)
    Project.objects.filter(pk=project.pk).update(name=demo.PROJECT)
    demo.seed()
    demo.seed()  # Once is enough.
    assistant = Assistant.objects.get()
    assert building.build_pending() == 1
    assistant.refresh_from_db()
    version = assistant.versions.get()
    assert (assistant.state, version.status) == ("live", "live"), version.failure_sentence
    assert version.promise_broken_at is None
    moment = now()
    period = (assistant, moment - figures.timedelta(days=30), moment)
    computed = {figure.name: figure for figure in figures.compute_figures(*period)}
    for name in ("answer_rate", "hand_over_rate", "csat", "precision_live", "gaps", "drift"):
        assert computed[name].value is not None, name
    assert computed["precision_live"].value > 0.9
    assert Conversation.objects.exclude(state="closed").count() == 1
    assert Judgement.objects.filter(by_visitor=True, verdict="wrong").exists()
    assert count_corrections(assistant).total
    assert assistant.rules.count() == 2
    page = client_of(alice)
    review = page.get(f"/assistants/{assistant.pk}/review/")
    for rows in ("audit", "said_no", "gaps"):
        assert review.context[rows], rows
    for name in ("monitor", "rules", "tests"):
        assert page.get(f"/assistants/{assistant.pk}/{name}/").status_code == 200
    assert AuditEntry.objects.filter(action="assistant.published").exists()
