"""A version in shadow says nothing, and asks for things and goes on as it would live."""

import json

import pytest
from celery.exceptions import Retry

from accounts.webhooks import secret_encryption
from assistants import tasks
from assistants.models import Assistant, Conversation, Decision, Phrasing, ShadowDecision
from assistants.versions import shadow
from tests.assistants.made import learn
from tests.assistants.rules.test_asking import ASKED, asking

pytestmark = pytest.mark.django_db
ENQUEUE = "assistants.consultations.shadow_request.enqueue_on_commit"
ASK = "/v1/assistants/shop-help/consult"
RETURN, NONSENSE = "how do i return an order", "who painted the mona lisa"


@pytest.fixture
def other(live, alice):
    """A version like the live one, which runs in shadow."""
    version = learn(live.assistant, alice)
    shadow.start(version, 100, alice)
    return version


def with_rules(version, *rules):
    version.rules = list(rules)
    version.save(update_fields=["rules"])


@pytest.fixture
def talk(api, token, monkeypatch, live):
    """Says something in one conversation; the shadow decides at once, as its task does."""
    known, sent = {}, []
    monkeypatch.setattr(
        ENQUEUE,
        lambda _, *task: sent.append(task),
    )

    def say(text, **more):
        reply = (
            api(token)
            .post(ASK, {"text": text, "visitor": "v", **known, **more}, format="json")
            .json()
        )
        known["conversation"] = reply["conversation"]
        while sent:
            decision, sealed = sent.pop()
            assert text not in sealed  # It goes by the broker, encrypted.
            shadow.decide_in_shadow(decision, sealed)
            shadow.decide_in_shadow(decision, sealed)
        decisions = ShadowDecision.objects.filter(decision__pk=reply["id"]).first()
        return reply, decisions

    return say


def test_it_follows_a_dialogue_like_the_live_version(live, other, talk):
    for version in (live, other):
        with_rules(version, asking())
    reply, beside = talk("where is my order")
    assert (reply["response"], beside.route, beside.awaiting["rule"]) == (
        ASKED, "rule", "which order"
    )  # fmt: skip
    reply, beside = talk("it is ab-120045")
    assert "looks for ab-120045" in reply["response"]
    assert (beside.route, beside.awaiting) == ("rule", None)
    assert "120045" not in beside.captured
    talk("where is my order")
    compared = shadow.compare(other)
    assert (compared.questions, compared.same) == (3, 3)
    live.assistant.refresh_from_db()
    assert Assistant.objects.get(pk=live.assistant_id).shadow_left == 97


@pytest.mark.slow
def test_it_asks_by_a_rule_of_its_own(live, other, talk):
    with_rules(other, asking(then={"do": "hand_over"}, says=("return",)))
    reply, beside = talk(RETURN)
    assert (reply["route"], beside.route) == ("answer", "rule")
    reply, beside = talk("ab-120045")  # To the live one that says nothing.
    assert reply["route"] != "hand_over"
    assert (beside.route, beside.awaiting) == ("hand_over", None)
    assert Conversation.objects.get().captured == ""


def test_it_reads_what_was_masked_and_what_is_said_of_the_visitor(live, other, talk):
    rule = asking(shape="e-mail", says=("return",), visitor={"plan": "gold"})
    with_rules(other, rule)
    _, beside = talk(RETURN, metadata={"plan": "silver"})
    assert beside.route == "answer"
    _, beside = talk(RETURN, metadata={"plan": "gold"})
    assert beside.awaiting["rule"] == "which order"
    _, beside = talk("maria@example.com", metadata={"plan": "gold"})
    assert (beside.route, beside.awaiting) == ("rule", None)
    assert json.loads(secret_encryption.decrypt(beside.captured)) == {"e-mail": "maria@example.com"}


def test_it_hands_over_after_two_refusals_like_the_live_version(live, other, talk):
    assert talk(NONSENSE)[1].route == "refuse"
    reply, beside = talk("what is the capital of peru")
    assert (reply["route"], beside.route) == ("hand_over", "hand_over")
    assert shadow.compare(other).same == 2


def test_it_begins_in_the_middle_where_the_live_version_is(live, alice, talk):
    with_rules(live, asking())
    talk("where is my order")
    version = learn(live.assistant, alice)
    with_rules(version, asking())
    shadow.start(version, 10, alice)
    reply, beside = talk("ab-120045")
    assert (beside.route, shadow.compare(version).same) == (reply["route"], 1)


def test_a_message_of_code_of_before_decides_all_the_same(live, other, api, token):
    reply = api(token).post(ASK, {"text": RETURN}).json()
    shadow.decide_in_shadow(reply["id"])
    assert ShadowDecision.objects.get().route == Decision.objects.get().route


def test_of_two_quick_messages_the_earlier_is_decided_first(live, other, api, token, monkeypatch):
    sent = []
    monkeypatch.setattr(
        ENQUEUE,
        lambda _, *task: sent.append(task),
    )
    with_rules(other, asking())
    first = api(token).post(ASK, {"text": "where is my order", "visitor": "v"}).json()
    talk = {"visitor": "v", "conversation": first["conversation"]}
    second = api(token).post(ASK, {"text": "it is ab-120045", **talk}).json()
    task, later = tasks.decide_in_shadow, sent[1]
    with pytest.raises(Retry):
        task.apply(later, throw=True, retries=0)
    assert not ShadowDecision.objects.exists()
    for message in sent:
        task.apply(message, throw=True)
    beside = ShadowDecision.objects.get(decision__pk=second["id"])
    assert (beside.route, beside.awaiting) == ("rule", None)


@pytest.mark.slow
def test_a_lost_message_is_waited_for_three_times_only(live, other, api, token, monkeypatch):
    monkeypatch.setattr(ENQUEUE, lambda *_: None)
    first = api(token).post(ASK, {"text": RETURN, "visitor": "v"}).json()
    talk = {"visitor": "v", "conversation": first["conversation"]}
    second = api(token).post(ASK, {"text": "how do i track my parcel", **talk}).json()
    task = tasks.decide_in_shadow
    with pytest.raises(Retry):
        task.apply((second["id"],), throw=True, retries=2)
    task.apply((second["id"],), throw=True, retries=3)
    assert str(ShadowDecision.objects.get().decision_id) == second["id"]


@pytest.mark.slow
def test_a_version_in_shadow_says_nothing_and_its_differences_are_listed(
    live, alice, api, token, client_of, django_capture_on_commit_callbacks
):
    assistant = live.assistant
    Phrasing.objects.filter(answer__key="return-an-order").delete()
    other = learn(assistant, alice)
    browser = client_of(alice)
    address = f"/assistants/{assistant.pk}/measure/{other.number}/"
    assert browser.post(f"{address}shadow/").status_code == 302
    client = api(token)
    for text in ("how do i return an order", "who painted the mona lisa"):
        with django_capture_on_commit_callbacks(execute=True):
            reply = client.post("/v1/assistants/shop-help/consult", {"text": text}).json()
        shadow.decide_in_shadow(reply["id"])
    assert reply["version"] == live.number
    compared = shadow.compare(other)
    assert (compared.questions, compared.live_answered) == (2, 1)
    assert [row.decision.answer_key for row in compared.differences] == ["return-an-order"]
    page = browser.get(address).content.decode()
    assert "Of 2 questions it decided 1 alike" in page
    assistant.refresh_from_db()
    assert assistant.shadow_left == 98
    address = f"/api/v1/assistants/{assistant.pk}/versions/{other.number}/shadow"
    assert client.get(address).json()["differences"][0]["live"] == "return-an-order"
    assert client.post(address, {"questions": 5}).status_code == 202
    refused = client.post(address.replace(f"/{other.number}/", f"/{live.number}/"))
    assert refused.status_code == 409
