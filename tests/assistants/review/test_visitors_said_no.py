"""What a visitor called no help, and what is read in the inbox, is judged and corrected there."""

import pytest
from django.utils.timezone import now

from accounts.models import Membership, Role
from assistants.knowledge.answers import write_answer
from assistants.models import Judgement, Phrasing, Version
from tests.assistants.made import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def decision(assistant, alice):
    moment = now()
    version = Version.objects.create(
        assistant=assistant, number=1, status="live", encoder="e", promise=0.9,
        out_of_scope_share=0.1, measured_at=moment, live_at=moment,
    )  # fmt: skip
    write_answer(assistant, "return", "Send it back.", "en", alice)
    return record(assistant, version, "may it travel home", "answer", "track")


def says_no(decision):
    Judgement.objects.create(decision=decision, by_visitor=True, verdict="wrong")


def correct(page, decision, **more):
    form = {"verdict": "wrong", "answer": "return", **more}
    return page.post(f"/decisions/{decision.pk}/judge/", form)


def test_the_review_lists_what_visitors_said_no_to(assistant, decision, alice, client_of):
    page, path = client_of(alice), f"/assistants/{assistant.pk}/review/"
    assert "may it travel home" not in page.get(path).content.decode()
    says_no(decision)
    assert "may it travel home" in page.get(path).content.decode()
    assert correct(page, decision).status_code == 302
    assert "may it travel home" not in page.get(path).content.decode()
    taught = Phrasing.objects.get(text="may it travel home")
    assert (taught.answer.key, taught.origin) == ("return", "correction")


def test_what_visitors_say_takes_nothing_out_of_the_audit(assistant, decision, alice, client_of):
    decision.for_audit = True
    decision.save()
    says_no(decision)
    page = client_of(alice).get(f"/assistants/{assistant.pk}/review/")
    assert [row.pk for row in page.context["audit"]] == [decision.pk]


def test_it_is_judged_where_it_is_read(decision, alice, bob, client_of, team):
    talk = f"/conversations/{decision.message.conversation_id}/"
    page = client_of(alice)
    assert "Judge or correct it" in page.get(talk).content.decode()
    says_no(decision)
    assert "Judge or correct it" in page.get(talk).content.decode()
    answered = correct(page, decision, **{"from": "conversation"})
    assert answered["Location"] == talk
    assert "Judge or correct it" not in page.get(talk).content.decode()
    assert Judgement.objects.get().taught_at is not None


def test_who_may_not_change_the_assistant_reads_only(decision, bob, client_of, team):
    Membership.objects.update_or_create(team=team, user=bob, defaults={"role": Role.AGENT})
    page = client_of(bob)
    shown = page.get(f"/conversations/{decision.message.conversation_id}/").content.decode()
    assert "Judge or correct it" not in shown
    assert correct(page, decision).status_code == 404  # Of pages that are not theirs.


def test_why_it_was_said_stands_below_it(decision, alice, client_of):
    decision.sources = [
        {"title": "Handbook: Returns", "link": "", "quote": "In 30 days", "score": 1}
    ]
    decision.held_back = [{"text": "Call 555.", "problem": "'555' is not in the passage"}]
    decision.step_ms = {"embed": 3.25, "match": 1.5, "total": 9.0}
    decision.save()
    talk = f"/conversations/{decision.message.conversation_id}/"
    page = client_of(alice).get(talk).content.decode()
    for text in ("Handbook: Returns", "In 30 days", "Call 555.", "is not in the passage", "9.0 ms"):
        assert text in page
