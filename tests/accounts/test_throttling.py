"""One token cannot take the API from everybody else."""

import pytest
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisConnectionError

from web.rate_limits import counter

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit_of_two(settings, monkeypatch):
    settings.API_REQUESTS_PER_MINUTE = 2
    monkeypatch.setattr(counter.time, "time", lambda: 1_700_000_000.0)  # 20 s into a minute.


def test_the_third_request_in_a_minute_is_refused_and_told_when_to_return(api, token):
    client = api(token)
    assert [client.get("/api/v1/me").status_code for _ in range(3)] == [200, 200, 429]
    answer = client.get("/api/v1/me")
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert answer.headers["Retry-After"] == "41"


def test_the_next_minute_is_free_again(api, token, monkeypatch):
    client = api(token)
    for _ in range(3):
        client.get("/api/v1/me")
    monkeypatch.setattr(counter.time, "time", lambda: 1_700_000_040.0)
    assert client.get("/api/v1/me").status_code == 200


def test_each_token_has_its_own_count(api, token, mallory_token):
    for _ in range(3):
        api(token).get("/api/v1/me")
    assert api(mallory_token).get("/api/v1/me").status_code == 200


def test_zero_allows_any_number(api, token, settings):
    settings.API_REQUESTS_PER_MINUTE = 0
    client = api(token)
    assert {client.get("/api/v1/me").status_code for _ in range(5)} == {200}


def test_without_a_token_the_answer_stays_401(client):
    assert [client.get("/api/v1/me").status_code for _ in range(4)] == [401] * 4


def test_a_cache_that_is_away_stops_nobody(api, token, monkeypatch, caplog):
    def refuse(*_: object, **__: object) -> None:
        raise RedisConnectionError("connection refused")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "add", refuse)
    client = api(token)
    assert {client.get("/api/v1/me").status_code for _ in range(4)} == {200}
    assert "not counted" in caplog.text


def test_an_evicted_count_stops_nobody(api, token, monkeypatch):
    def evicted(*_: object, **__: object) -> int:
        raise ValueError("Key not found")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "incr", evicted)
    assert api(token).get("/api/v1/me").status_code == 200
