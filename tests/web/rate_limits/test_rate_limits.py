"""Expensive actions are bounded by the hour, and the caller is told the truth about it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.webhooks import endpoints
from tests.web.idempotency.test_once import launch
from web.rate_limits import counter
from web.rate_limits.actions import NOUNS, require_rate
from web.rate_limits.counter import TooManyRequests, cache

pytestmark = pytest.mark.django_db
MOMENT = 1_700_000_000.0  # 800 seconds into an hour of the clock, 20 into a minute.


@pytest.fixture(autouse=True)
def one_of_each(settings, monkeypatch):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 1)
    monkeypatch.setattr(counter.time, "time", lambda: MOMENT)
    cache.clear()


def test_every_action_has_a_limit_and_a_word(settings):
    assert set(NOUNS) == set(settings.RATE_LIMITS)


@pytest.mark.parametrize("action", sorted(NOUNS))
def test_the_second_of_the_hour_is_refused_until_the_next(action, monkeypatch):
    require_rate(action, "a")
    require_rate(action, "b")
    with pytest.raises(TooManyRequests) as refusal:
        require_rate(action, "a")
    assert f"may make 1 {NOUNS[action]} an hour" in refusal.value.sentence
    reset = 3600 - MOMENT % 3600
    assert abs(int(refusal.value.headers["Retry-After"]) - reset) <= 1
    monkeypatch.setattr(counter.time, "time", lambda: MOMENT + reset)
    require_rate(action, "a")


def test_zero_allows_any_number_and_a_cache_that_is_away_stops_nobody(settings, monkeypatch):
    settings.RATE_LIMITS["uploads"] = 0
    for _ in range(3):
        require_rate("uploads", "a")
    settings.RATE_LIMITS["uploads"] = 1

    def away(*_args, **_options):
        raise RedisConnectionError("refused")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "add", away)
    for _ in range(3):
        require_rate("uploads", "a")


POSTS = {
    "/api/v1/training-jobs": launch,
    "/api/v1/webhook-endpoints/{endpoint}/test": lambda things: {},
    "/api/v1/models/{model}/analyses": lambda things: {"kind": "explain", "input": "a text"},
    "/api/v1/datasets": lambda things: {
        "project": things["project"], "file": SimpleUploadedFile("x.csv", b"a\n1\n")},
}  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
def test_the_api_says_what_is_left_and_when_to_come_back(path, things, token, api):
    cache.clear()  # The walk's things were made by actions, too.
    address, seen = path.format(**things), []
    for number in range(2):
        body = POSTS[path](things)
        if "input" in body:
            body["input"] = f"text {number}"  # The same question is answered from its row.
        kind = "multipart" if "file" in body else "json"
        seen.append(api(token).post(address, body, format=kind))
    first, second = seen
    assert (first.status_code // 100, second.status_code) == (2, 429), first.content
    assert (first["RateLimit-Limit"], first["RateLimit-Remaining"]) == ("1", "0")
    assert second.json()["error"]["code"] == "rate_limit_exceeded"
    assert second["Retry-After"] == second["RateLimit-Reset"]


def test_a_page_says_it_too(team, alice, client_of):
    client, form = client_of(alice), {"email": "a@b.test", "role": "member"}
    assert client.post(f"/teams/{team.slug}/members/invite/", form).status_code == 200
    answer = client.post(f"/teams/{team.slug}/members/invite/", form)
    assert answer.status_code == 429
    assert "may make 1 invitations an hour" in answer.content.decode()


def test_every_answer_of_the_api_carries_the_tokens_own_limit(token, api, settings):
    settings.API_REQUESTS_PER_MINUTE = 5
    remaining = [api(token).get("/api/v1/projects")["RateLimit-Remaining"] for _ in range(3)]
    assert remaining == ["4", "3", "2"]


def test_a_retry_under_the_same_key_is_not_counted(things, token, api):
    cache.clear()
    headers = {"Idempotency-Key": "k"}
    for _ in range(3):
        answer = api(token).post(
            "/api/v1/training-jobs", launch(things), format="json", headers=headers
        )
        assert answer.status_code == 201


def test_sending_again_counts_as_sending(team, alice):
    endpoint, _ = endpoints.create(team, alice, url="https://acme.test/", events=["dataset.ready"])
    sent = endpoints.send_test(endpoint, alice)
    with pytest.raises(TooManyRequests):
        endpoints.redeliver(sent, alice)
