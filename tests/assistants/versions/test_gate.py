"""What the gate compares and changes: each language for itself, and never a pause."""

import pytest
from django.utils.timezone import now

from accounts.models import Notice
from assistants.answering.deciding import decide
from assistants.errors import RefusedByGate
from assistants.lifecycle import set_paused
from assistants.models import Assistant, Version
from assistants.rules.matching import Situation
from assistants.versions import gate

pytestmark = pytest.mark.django_db


def version_of(assistant, number: int, *, status="measured", **answered: float) -> Version:
    """A version that answers these shares alone; of None it promises nothing in the language."""
    moment = now()
    version = Version.objects.create(
        assistant=assistant, number=number, status=status, encoder="e", promise=0.9,
        out_of_scope_share=0.1, measured_at=moment,
        live_at=moment if status in ("live", "retired") else None,
        report={
            language: {"point": {"answered": share, "bound": 0.95}, "reason": ""}
            for language, share in answered.items() if share is not None
        },
    )  # fmt: skip
    for language, share in answered.items():
        version.language_models.create(
            language=language, answers=[], probe=b"",
            calibrator={"answer": None if share is None else 0.9},
        )  # fmt: skip
    return version


@pytest.mark.parametrize(
    ("live", "candidate", "lost"),
    [
        ({"en": 0.7, "zh": 0.6}, {"en": 0.7, "zh": 0.1}, ["zh"]),
        ({"en": 0.7, "zh": 0.6}, {"en": 0.9, "zh": None}, ["zh"]),
        ({"en": 0.7, "zh": 0.6}, {"en": 0.9}, ["zh"]),
        ({"en": 0.7, "zh": 0.6}, {"en": 0.6, "zh": 0.5}, ["en", "zh"]),
        ({"en": 0.7, "zh": 0.6}, {"en": 0.69, "zh": 0.59}, []),
        ({"en": 0.7, "zh": None}, {"en": 0.7}, []),
        ({"en": 0.7}, {"en": 0.7, "zh": 0.2}, []),
    ],
)
def test_a_language_is_not_made_up_for_by_another(assistant, alice, live, candidate, lost):
    version_of(assistant, 1, status="live", **live)
    version = version_of(assistant, 2, **candidate)
    reasons = gate.judge(version).reasons
    assert [reason.split()[1] for reason in reasons] == lost
    assert not gate.judge(version, why_worse="We stop selling there.").reasons
    if lost:
        with pytest.raises(RefusedByGate):
            gate.publish(version, alice)


def test_who_is_paused_stays_paused(assistant, alice, client_of):
    Assistant.objects.update(state="live")
    version_of(assistant, 1, status="live", en=0.7)
    set_paused(assistant, True, alice)
    page = client_of(alice)
    published = page.post(f"/assistants/{assistant.pk}/publish/{_next(assistant).number}/")
    assert published.status_code == 302
    assistant.refresh_from_db()
    assert assistant.state == "paused"
    assert "answers once the assistant is resumed" in Notice.objects.latest("created_at").sentence
    assert page.post(f"/assistants/{assistant.pk}/roll-back/").status_code == 302
    assistant.refresh_from_db()
    assert (assistant.state, Version.objects.get(status="live").number) == ("paused", 1)
    set_paused(assistant, False, alice)
    assert assistant.state == "live"


def _next(assistant) -> Version:
    return version_of(assistant, 2, en=0.8)


def test_the_first_version_makes_a_draft_live(assistant, alice):
    gate.publish(version_of(assistant, 1, en=0.7), alice)
    assistant.refresh_from_db()
    assert assistant.state == "live"


def test_texts_of_visitors_are_shown_to_people_of_the_inbox_only(assistant, alice, vera, client_of):
    version = version_of(assistant, 1, en=0.7)
    worst = {"text": "my card is 4111", "chosen": "a", "expected": "b", "probability": 0.97}
    point = {"answered": 0.7, "bound": 0.95, "precision": 0.96, "answered_in_scope": 0.8,
             "refused_out_of_scope": 0.9, "threshold": 0.9}  # fmt: skip
    version.report = {"en": {"worst": [worst], "curve": [], "point": point, "reason": "",
                             "status": "measured", "held_out": 200}}  # fmt: skip
    version.save(update_fields=["report"])
    path = f"/assistants/{assistant.pk}/measure/1/"
    assert "my card is 4111" in client_of(alice).get(path).content.decode()
    page = client_of(vera).get(path).content.decode()
    assert "97" in page
    assert "my card is 4111" not in page
    assert "hidden: your role" in page


def test_a_broken_promise_forbids_passages_too(documented):
    asked = Situation(text="which harbour master gets the kayaks", language="en")
    assert decide(documented, asked).route == "quote"
    documented.promise_broken_at = now()
    assert decide(documented, asked).route in ("ask", "refuse")
