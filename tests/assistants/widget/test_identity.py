"""Customers whom a site's own server vouches for: the same on every device, and nobody else."""

import hashlib
import hmac

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


def identify(client, channel, customer, signature):
    return post(client, channel, "identity", {"id": customer, "hash": signature})


def test_a_customer_finds_the_conversation_again_on_another_device(client, channel):
    for text in (RETURN, "how do i track my parcel"):
        token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
        post(client, channel, "messages", {"text": text}, token)
    assert Conversation.objects.count() == Visitor.objects.count() == 1
    other = identify(client, channel, "43", sign(channel, "43").upper()).json()["visitor"]
    headers = {"X-Lathe-Visitor": other}
    said = client.get(f"/w/{channel.public_key}/messages", headers=headers).json()
    assert said["messages"] == []


@pytest.mark.parametrize("signature", ["", "0" * 64, "x", "é" * 64])
def test_nobody_is_somebody_else_without_the_secret(client, channel, signature):
    refused = identify(client, channel, "42", signature)
    assert refused.status_code == 400
    assert "visitor" not in refused.json()


def test_a_signature_is_of_one_customer_and_one_widget(client, channel, live, alice):
    second = add_channel(live.assistant, "web", alice, allowed_origins=["https://other.test"])
    assert identify(client, second, "42", sign(channel, "42")).status_code == 400
    assert identify(client, channel, "43", sign(channel, "42")).status_code == 400
    assert identify(client, channel, "", sign(channel, "")).status_code == 400


def test_rules_know_who_was_vouched_for_and_no_page_can_say_so(client, channel, live):
    rule = {"name": "known", "when": {"visitor": {"verified": "true"}}, "then": {"do": "refuse"}}
    live.rules = [rule]
    live.save(update_fields=["rules"])
    post(client, channel, "messages", {"text": RETURN, "metadata": {"verified": "true"}})
    assert Decision.objects.latest("at").rule == ""
    token = identify(client, channel, "42", sign(channel, "42")).json()["visitor"]
    post(client, channel, "messages", {"text": RETURN}, token)
    assert Decision.objects.latest("at").rule == "known"


def test_the_secret_is_shown_to_who_may_change_the_widget(channel, alice, client_of):
    shown = client_of(alice).get(f"/channels/{channel.pk}/").content.decode()
    assert identity_secret(channel) in shown
    assert identity_secret(channel) != channel.public_key
