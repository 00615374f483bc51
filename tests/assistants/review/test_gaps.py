"""Questions that found no answer stand together where they ask alike, and lead to an answer."""

import pytest

from assistants.models import Answer, Decision, Judgement, Message, Phrasing
from assistants.review.gaps import find_gaps, group

pytestmark = pytest.mark.django_db


def decision(text, nearest=""):
    candidates = [{"key": nearest}] if nearest else []
    return Decision(message=Message(text=text), route="refuse", candidates=candidates, burst="")


def grouped(*asked):
    return [gap.questions for gap in group(decision(*one) for one in asked)]


def test_questions_that_ask_alike_stand_together():
    asked = [("Do you ship to Iceland?",), ("can you ship to iceland",), ("Where is my invoice?",),
             ("你们能寄到冰岛吗",), ("能寄到冰岛吗？",), ("the",)]  # fmt: skip
    assert grouped(*asked) == [
        ["Do you ship to Iceland?", "can you ship to iceland"],
        ["Where is my invoice?"],
        ["你们能寄到冰岛吗", "能寄到冰岛吗？"],
        ["the"],
    ]


def test_the_same_nearest_answer_needs_fewer_common_words():
    asked = ("parcel to norway possible", "ship-abroad"), ("norway shipping please", "ship-abroad")
    assert len(grouped(*asked)) == 1
    assert len(grouped(asked[0], (asked[1][0], "pickup"))) == 2


@pytest.fixture
def refused(live, api, token):
    texts = ("do you sell zebras from iceland", "sell me zebras from iceland", "purple moon tax")
    for text in texts:
        reply = api(token).post("/v1/assistants/shop-help/consult", {"text": text}).json()
        assert reply["route"] == "refuse", reply
    Decision.objects.update(for_audit=False)
    return live.assistant


def test_an_answer_is_written_from_a_gap_and_closes_it(refused, alice, client_of):
    client = client_of(alice)
    review = client.get(f"/assistants/{refused.pk}/review/").content.decode()
    assert "and 1 more like it" in review
    gap = find_gaps(refused)[0]
    address = f"/assistants/{refused.pk}/knowledge/?gap={gap.first.pk}"
    form = client.get(address).context["form"]
    assert set(form["questions"].value().splitlines()) == set(gap.questions)
    sent = {"key": "zebras", "text": "We sell none.", "questions": form["questions"].value(),
            "gap": form["gap"].value()}  # fmt: skip
    assert client.post(f"/assistants/{refused.pk}/answers/", sent).status_code == 302
    answer = Answer.objects.get(key="zebras")
    assert set(answer.phrasings.values_list("text", flat=True)) == set(gap.questions)
    assert Judgement.objects.filter(answer=answer, verdict="should_have_answered").count() == 2
    assert [one.questions for one in find_gaps(refused)] == [["purple moon tax"]]


def test_all_of_a_gap_is_judged_at_once_but_the_audit_teaches_nothing(refused, alice, client_of):
    gap = find_gaps(refused)[0]
    Decision.objects.filter(pk=gap.others[0].pk).update(for_audit=True)
    sent = {"verdict": "should_have_answered", "answer": "pickup",
            "also": [one.pk for one in gap.others] + ["no uuid"]}  # fmt: skip
    address = f"/decisions/{gap.first.pk}/judge/"
    assert client_of(alice).post(address, sent).status_code == 302
    assert Judgement.objects.count() == 2
    assert Phrasing.objects.filter(origin="correction").count() == 1


def test_a_stranger_judges_nothing_along(refused, client_of, mallory):
    gap = find_gaps(refused)[0]
    sent = {"verdict": "out_of_scope", "also": [one.pk for one in gap.others]}
    assert client_of(mallory).post(f"/decisions/{gap.first.pk}/judge/", sent).status_code == 404
    assert not Judgement.objects.exists()
