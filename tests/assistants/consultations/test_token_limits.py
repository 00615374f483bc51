"""What an API token may do less than its scopes say holds where it asks an assistant, too."""

import uuid

import pytest

from accounts.models import ApiToken
from assistants.conversations.metering import count_answers
from assistants.models import Decision
from billing.models import LedgerEntry
from billing.pricing import supersede
from inference.gateway import internal_token
from tests.conftest import issue

pytestmark = pytest.mark.django_db
HERE = "/v1/assistants/shop-help"
QUESTION = {"text": "how do i return an order"}
CHAT = {
    "model": "assistant:shop-help",
    "messages": [{"role": "user", "content": QUESTION["text"]}],
}
RATING = {"id": str(uuid.uuid4()), "helpful": True}


def refusal(answer):
    return answer.status_code, answer.json().get("error", {}).get("code")


def test_a_token_asks_only_the_assistants_it_names(live, api, team, alice):
    other = api(issue(team, alice, allowed_models=["shop-help", "assistant:other"]))
    refused = (403, "model_not_allowed")
    assert refusal(other.post(f"{HERE}/consult", QUESTION)) == refused
    assert refusal(other.post(f"{HERE}/chat", CHAT, format="json")) == refused
    assert refusal(other.post(f"{HERE}/feedback", RATING)) == refused
    assert refusal(other.get(f"{HERE}/conversations/{uuid.uuid4()}")) == refused
    assert not Decision.objects.exists()
    named = api(issue(team, alice, allowed_models=["assistant:shop-help"]))
    assert named.post(f"{HERE}/consult", QUESTION).status_code == 200
    assert named.post(f"{HERE}/chat", CHAT, format="json").status_code == 200


@pytest.mark.parametrize(("path", "body"), [("consult", QUESTION), ("chat", CHAT)])
def test_a_token_that_spent_its_budget_is_refused_and_others_go_on(
    live, api, team, alice, path, body
):
    supersede("assistant-answers", 2_500_000)
    limited, other = issue(team, alice, budget_micro=5_000), issue(team, alice)

    def ask(token):
        return refusal(api(token).post(f"{HERE}/{path}", body, format="json"))

    assert [ask(limited), ask(other), ask(limited)] == [(200, None)] * 3
    assert ask(limited) == (402, "insufficient_quota")  # At once, not when it is on the bill.
    count_answers()
    spent = LedgerEntry.objects.filter(sku="assistant-answers")
    assert dict(spent.values_list("token_prefix", "amount_micro")) == {
        limited.prefix: 5_000,
        other.prefix: 2_500,
    }
    assert ask(limited) == (402, "insufficient_quota")
    assert ask(other) == (200, None)
    ApiToken.objects.filter(pk=limited.pk).update(budget_micro=5_001)
    assert ask(limited) == (200, None)


@pytest.mark.parametrize(("path", "body"), [("consult", QUESTION), ("chat", CHAT)])
def test_a_token_is_held_to_its_pace(live, api, team, alice, path, body):
    limited, other = issue(team, alice, requests_per_minute=2), issue(team, alice)
    answers = [
        api(token).post(f"{HERE}/{path}", body, format="json")
        for token in (limited, limited, limited, other)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(answers[2]["Retry-After"]) <= 61


def test_the_reading_of_a_question_is_on_its_tokens_bill(live, api, team, alice, monkeypatch):
    token, issued = issue(team, alice), []

    def issue_and_keep(*args, **options):
        issued.append(genuine(*args, **options))
        return issued[-1]

    genuine = internal_token.issue_token
    monkeypatch.setattr(internal_token, "issue_token", issue_and_keep)
    assert api(token).post(f"{HERE}/consult", QUESTION).status_code == 200
    callers = [internal_token.verify_token(text) for text in issued]
    assert {(caller.source, caller.prefix) for caller in callers} == {
        (live.assistant.source, token.prefix)
    }
