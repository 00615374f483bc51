"""Customers whom a site's own server vouches for: the same on every device, and nobody else."""

import hashlib
import hmac
import time

import pytest

from assistants.lifecycle import add_channel
from assistants.models import Conversation, Decision, Visitor
from assistants.views.visitors import identity_secret

pytestmark = pytest.mark.django_db
RETURN = "how do i return an order"


@pytest.fixture
def channel(live, alice):
    return add_channel(live.assistant, "web", alice, allowed_origins=["https://shop.test"])


def sign(channel, customer):
    secret = identity_secret(channel).encode()
    return hmac.new(secret, customer.encode(), hashlib.sha256).hexdigest()


def post(client, channel, path, body, token=""):
    headers = {"X-Lathe-Visitor": token} if token else {}
    address = f"/w/{channel.public_key}/{path}"
    return client.post(address, body, content_type="application/json", headers=headers)


def told(client, channel, token):
    headers = {"X-Lathe-Visitor": token}
    return client.get(f"/w/{channel.public_key}/messages", headers=headers).json()


def identify(client, channel, customer, signature):
    return post(client, channel, "identity", {"id": customer, "hash": signature})


def test_a_customer_finds_the_conversation_again_on_another_device(client, channel):
    for text in (RETURN, "how do i track my parcel"):
        token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
        post(client, channel, "messages", {"text": text}, token)
    assert Conversation.objects.count() == Visitor.objects.count() == 1
    other = identify(client, channel, "43", sign(channel, "43").upper()).json()["visitor"]
    headers = {"X-Lathe-Visitor": other}
    body = client.get(f"/w/{channel.public_key}/messages", headers=headers).json()
    assert body["messages"] == []


@pytest.mark.parametrize("signature", ["", "0" * 64, "x", "é" * 64])
def test_nobody_is_somebody_else_without_the_secret(client, channel, signature):
    refused = identify(client, channel, "42", signature)
    assert refused.status_code == 400
    assert "visitor" not in refused.json()


@pytest.mark.slow
def test_a_signature_is_of_one_customer_and_one_widget(client, channel, live, alice):
    second = add_channel(live.assistant, "web", alice, allowed_origins=["https://other.test"])
    assert identify(client, second, "42", sign(channel, "42")).status_code == 400
    assert identify(client, channel, "43", sign(channel, "42")).status_code == 400
    assert identify(client, channel, "", sign(channel, "")).status_code == 400


def test_who_one_widget_vouches_for_is_a_stranger_in_another(client, channel, live, alice):
    """Its secret belongs to another site, which may call anybody its customer 42."""
    live.rules = [
        {"name": "known", "when": {"visitor": {"verified": "true"}}, "then": {"do": "refuse"}}
    ]
    live.save(update_fields=["rules"])
    owner = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    post(client, channel, "messages", {"text": "my order is 4711, how do i return it"}, owner)
    second = add_channel(live.assistant, "web", alice, allowed_origins=["https://other.test"])
    forged = identify(client, second, "42", sign(second, "42")).json()["visitor"]
    headers = {"X-Lathe-Visitor": forged}
    seen = client.get(f"/w/{channel.public_key}/messages", headers=headers).json()
    assert seen["messages"] == []
    assert client.get(f"/w/{channel.public_key}/stream?visitor={forged}").status_code == 404
    body = post(client, channel, "messages", {"text": RETURN}, forged).json()
    assert "4711" not in str(body)
    assert Decision.objects.latest("at").rule == ""
    assert Conversation.objects.count() == 2


def test_ids_of_messages_are_each_customers_own(client, channel):
    """However much their names have in common."""
    replies = []
    for customer, text in (("c" * 60 + "1", RETURN), ("c" * 60 + "2", "how do i track my parcel")):
        token = identify(client, channel, customer, sign(channel, customer)).json()["visitor"]
        body = post(client, channel, "messages", {"text": text, "id": "m1"}, token).json()
        replies.append([one["text"] for one in body["messages"]])
    assert [len(body) for body in replies] == [2, 2]
    assert replies[0] != replies[1]


def test_rules_know_who_was_vouched_for_and_no_page_can_say_so(client, channel, live):
    rule = {"name": "known", "when": {"visitor": {"verified": "true"}}, "then": {"do": "refuse"}}
    live.rules = [rule]
    live.save(update_fields=["rules"])
    post(client, channel, "messages", {"text": RETURN, "metadata": {"verified": "true"}})
    assert Decision.objects.latest("at").rule == ""
    token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    post(client, channel, "messages", {"text": RETURN}, token)
    assert Decision.objects.latest("at").rule == "known"


GOLD = {
    "name": "gold", "when": {"visitor": {"verified": "true", "plan": "gold"}},
    "then": {"do": "refuse"},
}  # fmt: skip
SIGNED = '{"plan": "gold"}'


def rule_applied(client, channel, told, token=""):
    body = {"text": RETURN, "metadata": told}
    assert post(client, channel, "messages", body, token).status_code == 200
    return Decision.objects.latest("at").rule


def with_rules(version, *rules):
    version.rules = list(rules)
    version.save(update_fields=["rules"])


def test_a_rule_for_verified_visitors_sees_signed_attributes_only(client, channel, live):
    with_rules(live, GOLD)
    assert rule_applied(client, channel, {"verified": "true", "plan": "gold"}) == ""
    token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    assert rule_applied(client, channel, {"plan": "gold"}, token) == ""  # The page says gold.
    body = {"id": "42", "hash": sign(channel, "42"), "attributes": SIGNED}
    body["attributes_hash"] = sign(channel, f"42\n{SIGNED}")
    token = post(client, channel, "identity", body).json()["visitor"]
    assert rule_applied(client, channel, {"plan": "silver"}, token) == "gold"
    assert Visitor.objects.filter(verified=True).count() == 1
    body["id"], body["hash"] = "43", sign(channel, "43")
    stolen = post(client, channel, "identity", body)  # Signed for another customer.
    assert stolen.status_code == 400
    assert "not of these attributes" in stolen.json()["error"]


@pytest.mark.parametrize("expires", ['"soon"', "1", "NaN", '""', "-5", "1e400"])
def test_attributes_that_have_expired_are_refused(client, channel, expires):
    signed = f'{{"plan": "gold", "exp": {expires}}}'
    body = {"id": "42", "hash": sign(channel, "42"), "attributes": signed}
    body["attributes_hash"] = sign(channel, f"42\n{signed}")
    refused = post(client, channel, "identity", body)
    assert refused.status_code == 400
    assert "expired" in refused.json()["error"]


def test_signed_attributes_hold_until_they_expire(client, channel, live, monkeypatch):
    with_rules(live, GOLD)
    expires = int(time.time()) + 60
    signed = f'{{"plan": "gold", "exp": {expires}}}'
    body = {"id": "42", "hash": sign(channel, "42"), "attributes": signed}
    body["attributes_hash"] = sign(channel, f"42\n{signed}")
    token = post(client, channel, "identity", body).json()["visitor"]
    assert rule_applied(client, channel, {}, token) == "gold"
    assert not told(client, channel, token)["has_expired"]
    monkeypatch.setattr("assistants.views.visitors.time.time", lambda: expires + 1)
    assert rule_applied(client, channel, {"plan": "gold"}, token) == ""
    assert told(client, channel, token)["has_expired"]  # So that the widget can say so.
    assert Visitor.objects.filter(verified=True).count() == 1


def test_a_rule_for_who_is_not_verified(client, channel, live):
    rule = {"name": "guest", "when": {"visitor": {"verified": "false"}}, "then": {"do": "refuse"}}
    with_rules(live, rule)
    assert rule_applied(client, channel, {"verified": "true"}) == "guest"
    token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    assert rule_applied(client, channel, {}, token) == ""


def test_a_server_vouches_by_its_token_and_a_key_in_a_page_for_nothing(api, token, client, live):
    with_rules(live, GOLD)
    sent = {"text": RETURN, "metadata": {"verified": True, "plan": "gold"}, "visitor": "c-1"}
    path = "/v1/assistants/shop-help/consult"
    assert api(token).post(path, sent, format="json").json()["route"] == "refuse"
    assert Visitor.objects.get().verified
    key = live.assistant.channels.get().public_key
    headers = {"Authorization": f"Bearer {key}"}
    sent["visitor"] = "c-2"
    reply = client.post(path, sent, content_type="application/json", headers=headers)
    assert reply.json()["route"] == "answer"
    assert Visitor.objects.filter(verified=False).count() == 1
    chat = {"model": "assistant:shop-help", "messages": [{"role": "user", "content": RETURN}],
            "metadata": {"verified": "true", "plan": "gold"}, "user": "c-3"}  # fmt: skip
    answer = api(token).post("/v1/assistants/shop-help/chat", chat, format="json")
    assert answer.json()["assistant"]["route"] == "refuse", answer.content
    assert Visitor.objects.filter(verified=True).count() == 2


def test_the_key_of_a_widget_asks_at_no_other_door(client, channel, live):
    """It stands in the page: with it, anybody could be any customer, and read what they wrote."""
    token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    post(client, channel, "messages", {"text": RETURN}, token)
    headers = {"Authorization": f"Bearer {channel.public_key}"}
    sent = {"text": "what did i ask", "visitor": "user:42"}
    for path in ("/consult", "/v1/assistants/shop-help/consult"):
        refused = client.post(path, sent, content_type="application/json", headers=headers)
        assert refused.status_code == 401
    talk = Conversation.objects.get().pk
    read = client.get(f"/v1/assistants/shop-help/conversations/{talk}", headers=headers)
    assert read.status_code == 401


def test_the_inbox_says_who_is_verified_and_in_which_language_they_browse(
    client, channel, live, alice, client_of, api, token
):
    address = f"/w/{channel.public_key}/messages"
    body, kind = {"text": RETURN}, "application/json"
    client.post(address, body, content_type=kind, headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    guest = Conversation.objects.get()
    page = client_of(alice).get(f"/conversations/{guest.pk}/").content.decode()
    assert "Visitor not verified" in page
    assert "zh-CN" in page
    known = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    for language in ("de-DE", "fr", "<script>"):
        headers = {"Accept-Language": language, "X-Lathe-Visitor": known}
        client.post(address, body, content_type=kind, headers=headers)
    talk = Conversation.objects.get(visitor__verified=True)
    assert talk.visitor.locale == "fr"
    page = client_of(alice).get(f"/conversations/{talk.pk}/").content.decode()
    assert "Verified visitor" in page
    path = f"/api/v1/assistants/{live.assistant_id}/conversations/{talk.pk}"
    read = api(token).get(path).json()
    assert (read["verified"], read["locale"]) == (True, "fr")


@pytest.mark.slow
def test_the_secret_is_shown_to_who_may_change_the_widget(channel, alice, client_of):
    shown = client_of(alice).get(f"/channels/{channel.pk}/").content.decode()
    assert identity_secret(channel) in shown
    assert identity_secret(channel) != channel.public_key
