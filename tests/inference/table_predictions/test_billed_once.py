"""What is asked again under one key, as by a batch whose worker was killed, is billed once."""

import pytest

from billing.models import LedgerEntry, UsageEvent
from inference.gateway import internal_token

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
BODY = {"model": "intents", "input": ["card", "money card"]}


@pytest.mark.parametrize("names_token", [True, False])
@pytest.mark.parametrize("flushes_between", [True, False])
def test_a_line_is_billed_once_however_often_it_is_asked(
    names_token, flushes_between, team, alice, deployment, token, with_models
):
    def caller(key):
        token_id = token.pk if names_token else None
        signed = internal_token.issue_token(team.pk, alice.pk, token_id, usage_key=key)
        return {internal_token.HEADER: signed}

    async def talk(client, app):
        del client.headers["authorization"]
        for key in ("batch:b:1", "batch:b:1", "batch:b:2", "batch:b:1"):
            answer = await client.post("/v1/classify", json=BODY, headers=caller(key))
            assert answer.status_code == 200, answer.text
            if flushes_between:
                await app.services.usage_counter.flush()

    with_models(talk, token)
    events = UsageEvent.objects.order_by("event_key")
    assert [(one.event_key, one.requests) for one in events] == [("batch:b:1", 1), ("batch:b:2", 1)]
    assert len({one.units for one in events}) == 1
    charged = sum(
        LedgerEntry.objects.filter(kind="inference").values_list("amount_micro", flat=True)
    )
    assert abs(charged) == sum(one.amount_micro for one in events)


def test_a_key_says_nothing_about_other_teams(
    team, other_team, alice, deployment, token, with_models
):
    """Nobody but our own processes can name one: the header of a client is no signature."""

    async def talk(client, app):
        del client.headers["authorization"]
        forged = await client.post("/v1/classify", json=BODY, headers={internal_token.HEADER: "x"})
        assert forged.status_code == 401

    with_models(talk, token)
    assert not UsageEvent.objects.exists()
