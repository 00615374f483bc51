"""The page and the API of an endpoint's requests: narrowed, paged, judged."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import TokenScope
from inference.feedback import record_feedback
from inference.models import Feedback, RequestLog
from inference.views import requests as views

pytestmark = pytest.mark.django_db


def log(deployment, key, text="a text", **facts):
    facts = {"rows": 1, "tokens": 3, "latency_ms": 1.5, "status": 200, "answers": ["card"]} | facts
    return RequestLog.objects.create(
        request_id=key, deployment=deployment, inputs=[text], model_key=deployment.model_id, **facts
    )


@pytest.fixture
def logged(deployment, make_model):
    """Requests that differ in one thing each, in the order of their age."""
    other = make_model("Other")
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    facts = {
        "plain": {},
        "transfer": {"answers": ["other", "transfer"], "rows": 2},
        "refused": {"status": 422, "answers": []},
        "failed": {"status": 503, "answers": []},
        "by-token": {"token_prefix": "lathe_abc"},
        "by-other": {},
        "said": {"text": 'Er sagt "50 % Überraschung" \\ 退款'},
        "long": {"asked": "z" * 600 + " needle", "text": "z" * 500},
        "right": {},
        "wrong": {},
        "corrected": {},
    }
    for days, (key, one) in enumerate(facts.items()):
        log(deployment, key, at=start + timedelta(days=days), **one)
    RequestLog.objects.filter(pk="by-other").update(model_key=other.pk)
    for key, given in {
        "right": {"score": 1},
        "wrong": {"score": -1},
        "corrected": {"score": -1, "correction": "transfer"},
    }.items():
        record_feedback(deployment.team, request_id=key, **given)
    return {"keys": list(facts), "other": other}


NARROWED = [
    ({"status": "answered"}, lambda keys: [k for k in keys if k not in ("refused", "failed")]),
    ({"status": "refused"}, ["refused"]),
    ({"status": "failed"}, ["failed"]),
    ({"answer": "transfer"}, ["transfer"]),
    ({"answer": "trans"}, []),
    ({"token": "lathe_a"}, ["by-token"]),
    ({"text": 'agt "50 % ü'}, ["said"]),
    ({"text": "\\ 退"}, ["said"]),
    ({"text": "NEEDLE"}, ["long"]),
    ({"text": "%"}, ["said"]),
    ({"feedback": "right"}, ["right"]),
    ({"feedback": "wrong"}, ["wrong", "corrected"]),
    ({"feedback": "corrected"}, ["corrected"]),
    ({"feedback": "none", "status": "failed"}, ["failed"]),
    ({"since": "2026-05-10", "until": "2026-05-10"}, ["wrong"]),
    ({"model": "other"}, ["by-other"]),
]


@pytest.mark.parametrize(("query", "expected"), NARROWED, ids=[str(query) for query, _ in NARROWED])
def test_page_and_api_narrow_alike(
    deployment, logged, alice, token, client_of, api, query, expected
):
    expected = expected(logged["keys"]) if callable(expected) else expected
    query = dict(query)
    if query.get("model"):
        query["model"] = str(logged["other"].pk)
    page = client_of(alice).get(reverse("inference:requests", args=[deployment.pk]), query)
    assert page.status_code == 200
    assert [one.pk for one in page.context["page"]] == expected[::-1]
    if "until" in query:
        query = {"since": "2026-05-10T00:00:00Z", "until": "2026-05-10T23:59:59Z"}
    answer = api(token).get(f"/api/v1/deployments/{deployment.pk}/requests", query)
    assert [one["id"] for one in answer.json()["data"]] == expected[::-1]


def test_the_api_pages_and_tells_the_feedback_on_each(deployment, logged, alice, token, api):
    record_feedback(deployment.team, request_id="plain", score=1, person=alice)
    address, seen, after = f"/api/v1/deployments/{deployment.pk}/requests", [], {}
    while True:
        answer = api(token).get(address, {"limit": 4, **after}).json()
        assert answer["object"] == "list"
        seen += answer["data"]
        if not answer["has_more"]:
            break
        after = {"after": answer["data"][-1]["id"]}
    assert [one["id"] for one in seen] == logged["keys"][::-1]
    by_id = {one["id"]: one for one in seen}
    assert by_id["plain"]["feedback"] == {"score": 1, "correction": "", "person": alice.email}
    assert by_id["corrected"]["feedback"] == {
        "score": -1, "correction": "transfer", "person": None}  # fmt: skip
    assert by_id["failed"]["feedback"] is None
    assert by_id["long"]["asked"].endswith("needle")
    assert by_id["by-other"]["model"] == str(logged["other"].pk)


@pytest.mark.parametrize(
    "query",
    [{"status": "odd"}, {"model": "x"}, {"since": "soon"}, {"feedback": "?"}, {"text": "a\0b"}],
)
def test_what_narrows_nothing_sensible_is_refused(deployment, alice, token, client_of, api, query):
    answer = api(token).get(f"/api/v1/deployments/{deployment.pk}/requests", query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(query)))
    log(deployment, "a")
    if "text" not in query:  # No page is given a NUL.
        page = client_of(alice).get(reverse("inference:requests", args=[deployment.pk]), query)
        assert page.status_code == 200
        assert 'role="alert"' in page.content.decode()


def test_the_page_has_pages_that_keep_the_filter(deployment, alice, client_of, monkeypatch):
    monkeypatch.setattr(views, "PAGE_SIZE", 2)
    for number in range(5):
        log(deployment, f"r{number}", at=now() - timedelta(minutes=number))
    address = reverse("inference:requests", args=[deployment.pk])
    page = client_of(alice).get(address, {"status": "answered", "page": 2})
    assert [one.pk for one in page.context["page"]] == ["r2", "r3"]
    assert "?page=3&amp;status=answered" in page.content.decode()


def test_a_persons_feedback_says_so_and_a_callers_does_not(
    deployment, alice, bob, vera, client_of, token, api
):
    log(deployment, "a")
    log(deployment, "failed", status=500)
    address = reverse("inference:judge-request", args=[deployment.pk, "a"])
    assert client_of(vera).post(address, {"verdict": "right"}).status_code == 403
    client = client_of(bob)
    for sent, facts in [
        ({"verdict": "right"}, (1, "")),
        ({"verdict": "wrong", "correction": "ignored"}, (-1, "")),
        ({"verdict": "corrected", "correction": "transfer"}, (-1, "transfer")),
    ]:
        answer = client.post(f"{address}?status=answered", sent)
        assert answer["Location"].endswith("/requests/?status=answered#a")
        feedback = Feedback.objects.get()
        assert ((feedback.score, feedback.correction), feedback.person) == (facts, bob)
    for sent in ({"verdict": "corrected"}, {"verdict": "great"}, {}):
        assert client.post(address, sent).status_code == 400
    page = client.get(reverse("inference:requests", args=[deployment.pk])).content.decode()
    assert bob.email in page
    assert "Should be <b>transfer</b>" in page
    elsewhere = reverse("inference:judge-request", args=[deployment.pk, "failed"])
    assert client.post(elsewhere, {"verdict": "right"}).status_code == 404
    token.scopes = [TokenScope.INFERENCE]
    token.save()
    sent = api(token).post("/api/v1/feedback", {"request_id": "a", "score": 1}, format="json")
    assert (sent.status_code, sent.json()["person"]) == (201, None)


def test_feedback_is_listed_for_who_may_read(deployment, logged, alice, token, api, other_team):
    record_feedback(deployment.team, request_id="elsewhere", score=1, person=alice)
    record_feedback(other_team, request_id="theirs", score=1)
    client = api(token)
    page = client.get("/api/v1/feedback", {"limit": 2}).json()
    assert (page["object"], page["has_more"]) == ("list", True)
    assert page["data"][0]["person"] == alice.email
    rest = client.get("/api/v1/feedback", {"after": page["data"][-1]["id"]}).json()["data"]
    assert [one["request_id"] for one in page["data"] + rest] == [
        "elsewhere", "corrected", "wrong", "right"]  # fmt: skip
    of_it = client.get("/api/v1/feedback", {"deployment": str(deployment.pk)}).json()["data"]
    assert [one["request_id"] for one in of_it] == ["corrected", "wrong", "right"]
    one = client.get("/api/v1/feedback", {"request_id": "wrong"}).json()["data"]
    assert [row["score"] for row in one] == [-1]
    assert client.get("/api/v1/feedback", {"deployment": "x"}).status_code == 400
    token.scopes = [TokenScope.INFERENCE]
    token.save()
    assert client.get("/api/v1/feedback").status_code == 403


def test_the_page_asks_the_database_as_often_for_many_as_for_one(
    deployment, alice, client_of, django_assert_max_num_queries
):
    client, address = client_of(alice), reverse("inference:requests", args=[deployment.pk])
    for number in range(30):
        log(deployment, f"r{number}")
        record_feedback(deployment.team, request_id=f"r{number}", score=1, person=alice)
    client.get(address)
    with django_assert_max_num_queries(12):
        assert len(client.get(address).context["page"]) == 25
