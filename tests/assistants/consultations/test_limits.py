"""What one visitor and one address may ask through each way in."""

import secrets

import pytest

from assistants.answering import limits
from assistants.lifecycle import change_channel

pytestmark = pytest.mark.django_db
ADDRESS = "/v1/assistants/shop-help/consult"


@pytest.fixture
def ask(live, client, monkeypatch):
    """Asks with the key of the API channel: the status."""
    monkeypatch.setattr(limits, "VISITOR_PER_MINUTE", 2)
    monkeypatch.setattr(limits, "ADDRESS_PER_MINUTE", 4)
    monkeypatch.setattr(limits, "MINUTE", 6 * limits.DAY)  # No window ends within the test.
    key = live.assistant.channels.get(kind="api").public_key

    # Addresses of this test alone: the counters outlive it.
    own, other = (f"2001:db8::{secrets.token_hex(2)}:{number}" for number in (1, 2))

    def ask(visitor="", *, is_elsewhere=False, secret=key) -> int:
        sent = {"text": "how do i return an order", "visitor": visitor}
        return client.post(
            ADDRESS, sent, content_type="application/json",
            REMOTE_ADDR=other if is_elsewhere else own,
            headers={"Authorization": f"Bearer {secret}"},
        ).status_code  # fmt: skip

    return ask


def test_a_public_key_is_limited_by_visitor_and_by_address(ask):
    assert [ask("ann") for _ in range(3)] == [200, 200, 429]
    assert [ask("bob"), ask("joe")] == [200, 200]  # The third and fourth of this address.
    assert ask("eve") == 429
    assert ask("eve", is_elsewhere=True) == 200


def test_whoever_names_no_visitor_is_limited_by_address(ask):
    assert [ask() for _ in range(5)] == [200, 200, 200, 200, 429]


def test_one_address_does_not_spend_the_day_of_a_channel(ask, monkeypatch):
    monkeypatch.setattr(limits, "ADDRESS_PER_MINUTE", 1_000)
    monkeypatch.setattr(limits, "ADDRESS_PER_DAY", 3)
    assert [ask() for _ in range(4)] == [200, 200, 200, 429]
    assert ask(is_elsewhere=True) == 200


def test_a_server_with_a_token_answers_for_its_own_visitors(ask, token):
    assert [ask("ann", secret=token.secret) for _ in range(6)] == [200] * 6


def test_the_channel_has_its_own_limit(ask, live, alice):
    change_channel(live.assistant.channels.get(kind="api"), alice, daily_limit=1)
    assert [ask("ann"), ask("bob")] == [200, 429]
