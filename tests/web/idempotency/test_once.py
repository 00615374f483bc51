"""Every POST that creates or spends, sent twice: one effect, and the same answer again."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils.timezone import now

from accounts.models import ApiToken, Team
from tests.web.test_outsiders import concrete, walk
from tests.web.validation.test_hostile_input import OPERATIONS
from training.models import TrainingJob
from web.idempotency import store
from web.idempotency.api import APIView
from web.models import IdempotentRequest

POSTS = [path for path, method, _ in OPERATIONS if method == "post"]
ROWS = "text,label\n" + "".join(f"hello {n},{'ab'[n % 2]}\n" for n in range(40))


def csv_file(content: str = ROWS) -> SimpleUploadedFile:
    return SimpleUploadedFile("rows.csv", content.encode(), "text/csv")


def launch(things):
    return {"project": things["project"], "dataset": things["dataset"],
            "task": "text-classification"}  # fmt: skip


# What makes each operation of the API act, by its address.
BODIES = {
    "/api/v1/projects": lambda things: {"name": "Another"},
    "/api/v1/datasets": lambda things: {"project": things["project"], "file": csv_file()},
    "/api/v1/datasets/{dataset_id}/readings": lambda things: {"columns": {"text": "text"}},
    "/api/v1/datasets/{dataset_id}/mask": lambda things: {"columns": ["text"]},
    "/api/v1/datasets/{dataset_id}/import-options": lambda things: {"header_rows": 1},
    "/api/v1/training-jobs": launch,
    "/api/v1/training-jobs/estimate": launch,
    "/api/v1/deployments": lambda things: {"model": things["model"], "name": "fresh"},
    "/api/v1/feedback": lambda things: {"request_id": "r1", "score": 1},
    "/api/v1/webhook-endpoints": lambda things: {
        "url": "https://acme.test/x", "events": ["dataset.ready"]},
    "/api/v1/models/{model_id}/analyses": lambda things: {"kind": "explain", "input": "a text"},
    "/api/v1/datasets/{dataset_id}/edits": lambda things: {
        "edits": [{"op": "drop_duplicates"}]},
    "/api/v1/assistants": lambda things: {"project": things["project"], "name": "second"},
    "/api/v1/assistants/{assistant_id}/answers": lambda things: {"key": "k", "text": "An answer."},
    "/api/v1/assistants/{assistant_id}/channels": lambda things: {"kind": "api"},
    "/api/v1/assistants/{assistant_id}/conversations/{conversation_id}/notes": lambda things: {
        "text": "Call back."},
    "/api/v1/assistants/{assistant_id}/test-cases": lambda things: {
        "question": "Where is my order?", "expects": "refuse"},
}  # fmt: skip
REFUSED_HERE = {  # They need a job or model in a state that this walk does not make.
    "/api/v1/datasets/{dataset_id}/fix",
    "/api/v1/training-jobs/{job_id}/resume",
    "/api/v1/training-jobs/{job_id}/retry",
    "/api/v1/training-jobs/{job_id}/restart",
    "/api/v1/models/{model_id}/exports",
    "/api/v1/deployments/{deployment_id}/rollback",
    "/api/v1/deployments/{deployment_id}/requests/dataset",
    "/api/v1/assistants/{assistant_id}/answers/{answer_id}/phrasings",
    "/api/v1/assistants/{assistant_id}/conversations/{conversation_id}/block",
    "/api/v1/assistants/{assistant_id}/conversations/{conversation_id}/replies",
    "/api/v1/assistants/{assistant_id}/judgements",
    "/api/v1/assistants/{assistant_id}/written-replies/{judgement_id}",
    "/api/v1/assistants/{assistant_id}/rollback",
    "/api/v1/assistants/{assistant_id}/rules",
    "/api/v1/assistants/{assistant_id}/sources",
    "/api/v1/assistants/{assistant_id}/versions",
    "/api/v1/assistants/{assistant_id}/versions/{number}/publish",
    "/api/v1/assistants/{assistant_id}/versions/{number}/rollback",
    "/api/v1/assistants/{assistant_id}/versions/{number}/shadow",
    "/api/v1/assistants/{assistant_id}/versions/{number}/test-runs",
    # Questions are told apart by the id that their sender gives each.
    "/consult",
    "/v1/assistants/{name}/consult",
    "/v1/assistants/{name}/feedback",
}


def effects() -> dict[str, int]:
    """How many rows there are of each kind."""
    return {
        model._meta.label: model.objects.count()
        for model in apps.get_models()
        if model is not IdempotentRequest and model._meta.managed
    }


def send(client, path, body, key, **headers):
    kind = "multipart" if any(hasattr(value, "read") for value in body.values()) else "json"
    return client.post(path, body, format=kind, headers={"Idempotency-Key": key, **headers})


@pytest.mark.parametrize("path", POSTS)
def test_every_post_of_the_api_acts_once(path, things, token, api):
    client = api(token)
    address = concrete(path.lstrip("/").replace("{", "<").replace("}", ">"), things)
    make = BODIES.get(path, lambda things: {})
    key = str(uuid.uuid4())
    first = send(client, address, make(things), key)
    if path in REFUSED_HERE:
        assert 400 <= first.status_code < 500
        assert not IdempotentRequest.objects.exists()
        return
    assert first.status_code < 300, first.content
    before = effects()
    second = send(client, address, make(things), key)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert effects() == before
    changed = {"file": csv_file("other\n1\n")} if path.endswith("datasets") else {"other": "body"}
    other = send(client, address, changed, key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert other["x-should-retry"] == "false"
    assert effects() == before


def test_a_job_is_launched_anew_without_the_key_or_with_another(things, token, api):
    client, before = api(token), TrainingJob.objects.count()
    for key in ("one", "two"):
        assert send(client, "/api/v1/training-jobs", launch(things), key).status_code == 201
    assert client.post("/api/v1/training-jobs", launch(things)).status_code == 201
    assert TrainingJob.objects.count() == before + 3


def test_a_refusal_frees_the_key_and_a_day_frees_every_key(things, token, api):
    client = api(token)
    bad = send(client, "/api/v1/projects", {"name": ""}, "k")
    good = send(client, "/api/v1/projects", {"name": "Right"}, "k")
    assert (bad.status_code, good.status_code) == (400, 201)
    IdempotentRequest.objects.update(created_at=now() - timedelta(hours=25))
    assert send(client, "/api/v1/projects", {"name": "Next day"}, "k").status_code == 201
    IdempotentRequest.objects.update(created_at=now() - timedelta(hours=25))
    store.delete_old()
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "a\tb"])
def test_a_key_that_is_none_is_refused(key, token, api):
    answer = send(api(token), "/api/v1/projects", {"name": "x"}, key)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


def test_a_key_belongs_to_its_token(things, token, mallory_token, api):
    assert send(api(token), "/api/v1/projects", {"name": "Mine"}, "k").status_code == 201
    hers = send(api(mallory_token), "/api/v1/projects", {"name": "Mine"}, "k")
    assert "Idempotent-Replayed" not in hers.headers
    token.revoked_at = now()
    token.save()
    assert send(api(token), "/api/v1/projects", {"name": "Mine"}, "k").status_code == 401


def test_an_error_nobody_expected_never_acts_twice(token, api, monkeypatch):
    def broken(*args, **options):
        Team.objects.create(name="Half", slug="half")
        raise RuntimeError

    monkeypatch.setattr("projects.api.projects.create_project", broken)
    monkeypatch.setattr(store, "WAIT_SECONDS", 0)
    client = api(token)
    client.raise_request_exception = False
    assert send(client, "/api/v1/projects", {"name": "x"}, "k").status_code == 500
    again = send(client, "/api/v1/projects", {"name": "x"}, "k")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "request_in_progress")
    assert Team.objects.filter(slug="half").count() == 1


def test_an_answer_is_unreadable_in_the_database(things, token, api):
    body = {"url": "https://acme.test/x", "events": ["dataset.ready"]}
    secret = send(api(token), "/api/v1/webhook-endpoints", body, "k").json()["secret"]
    row = IdempotentRequest.objects.get()
    assert secret.encode() not in bytes(row.sealed_answer)
    assert row.digest != "k"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_twins_of_one_moment_make_one_job(things, token, api):
    before, answers = TrainingJob.objects.count(), []

    def post():
        try:
            answers.append(send(api(token), "/api/v1/training-jobs", launch(things), "twin"))
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert TrainingJob.objects.count() == before + 1
    created = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(created) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


# --- Forms ---------------------------------------------------------------------------------


def forms(things) -> dict[str, dict[str, object]]:
    """By the name of the address: a form that acts."""
    return {
        "training:launch": {
            "version": things["version"], "task": "text-classification", "text_columns": "text",
            "target_column": "label", "base_model": "all-MiniLM-L6-v2", "compute": "cpu",
        },
        "projects:upload": {"file": csv_file(), "name": "rows"},
        "projects:create-project": {"name": "Another"},
        "accounts:create-token": {"name": "t", "scopes": ["read"], "days": "30"},
        "accounts:invite": {"email": "new@acme.test", "role": "member"},
        "accounts:create-team": {"name": "Second team"},
        "accounts:create-webhook": {"url": "https://acme.test/y", "events": ["dataset.ready"]},
        "accounts:test-webhook": {},
        "inference:deploy": {"name": "from-form"},
    }  # fmt: skip


def page_posts(things) -> list[tuple[str, str]]:
    return [
        (name, concrete(route, things))
        for route, name in walk(get_resolver().url_patterns)
        if not route.startswith(("api/", "v1/", "admin/", "accounts/")) and "live" not in name
    ]


def test_the_walk_knows_every_form_that_creates(things):
    assert set(forms(things)) <= {name for name, _ in page_posts(things)}


def test_every_form_acts_once(things, alice, client_of):
    client: Client = client_of(alice)
    acted, wrong = set(), {}
    for name, address in page_posts(things):
        with transaction.atomic():
            key = {"idempotency_key": uuid.uuid4().hex}
            first = client.post(address, forms(things).get(name, {}) | key)
            before = effects()
            second = client.post(address, forms(things).get(name, {}) | key)
            same = (second.status_code, second.content) == (first.status_code, first.content)
            if first.status_code < 400:
                acted.add(name)
                replayed = second.headers.get("Idempotent-Replayed") == "true"
                if not replayed or not same or effects() != before:
                    wrong[name] = (first.status_code, second.status_code)
            elif effects() != before:
                wrong[name] = first.status_code
            client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
            transaction.set_rollback(True)
    assert wrong == {}
    assert set(forms(things)) <= acted


def test_a_double_click_on_launch_makes_one_job_and_the_page_sends_a_key(
    things, alice, client_of
):  # fmt: skip
    client, before = client_of(alice), TrainingJob.objects.count()
    (address,) = [path for name, path in page_posts(things) if name == "training:launch"]
    page = client.get(address).content.decode()
    key = page.split('name="idempotency_key" value="')[1].partition('"')[0]
    form = forms(things)["training:launch"] | {"idempotency_key": key}
    first, second = client.post(address, form), client.post(address, form)
    assert (first.status_code, first["Location"]) == (302, second["Location"])
    assert TrainingJob.objects.count() == before + 1
    # The same copy of the form with other values is another wish, and so is the first one again.
    other = client.post(address, form | {"name": "Other"})
    again = client.post(address, form)
    assert len({first["Location"], other["Location"], again["Location"]}) == 3


def test_a_form_that_was_refused_may_be_corrected(alice, team, client_of):
    client, key = client_of(alice), {"idempotency_key": "k"}
    address = f"/teams/{team.slug}/tokens/create/"
    assert client.post(address, {"name": ""} | key).status_code == 400
    assert client.post(address, {"name": "", "days": "30"} | key).status_code == 400
    good = {"name": "t", "scopes": ["read"], "days": "30"} | key
    assert client.post(address, good).status_code == 200
    assert ApiToken.objects.filter(team=team).count() == 1


def test_a_way_to_another_site_is_asked_for_anew(alice, client_of, rf, monkeypatch):
    """A Checkout that is over must not be where a second click leads."""
    from django.http import HttpResponseRedirect

    from web.idempotency.middleware import IdempotencyMiddleware

    visits = iter(["https://checkout.test/1", "https://checkout.test/2"])
    middleware = IdempotencyMiddleware(lambda request: HttpResponseRedirect(next(visits)))
    seen = []
    for _ in range(2):
        request = rf.post("/x", {"idempotency_key": "k"})
        request.user = alice
        assert middleware.process_view(request, lambda request: None, (), {}) is None
        seen.append(middleware(request)["Location"])
    assert seen == ["https://checkout.test/1", "https://checkout.test/2"]


def test_every_posting_form_on_a_page_carries_a_key(things, alice, client_of):
    client = client_of(alice)
    without = []
    for name, address in page_posts(things):
        answer = client.get(address)
        page = "" if answer.streaming else answer.content.decode()
        for form in page.split("<form")[1:]:
            body = form.partition("</form>")[0]
            if 'method="post"' in body and 'name="idempotency_key"' not in body:
                without.append((name, body[:80]))
    assert without == []


def test_the_control_plane_of_v1_acts_once_too(token, api):
    client, key = api(token), {"Idempotency-Key": "k"}
    body = {"filename": "a.jsonl", "purpose": "batch", "bytes": 5, "mime_type": "text/jsonl"}
    first = client.post("/v1/uploads", body, format="json", headers=key)
    before = effects()
    second = client.post("/v1/uploads", body, format="json", headers=key)
    assert first.status_code == second.status_code == 200
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()
    assert effects() == before
    other = client.post("/v1/uploads", body | {"bytes": 6}, format="json", headers=key)
    assert other.status_code == 409


def test_every_view_of_the_api_honours_the_key():
    """Whatever base class a view has: its POST is the one that acts once."""
    views = {
        entry.callback.view_class
        for route, entry in all_patterns(get_resolver().url_patterns)
        if route.startswith(("api/v1/", "v1/")) and hasattr(entry.callback, "view_class")
    }
    assert len(views) > 40
    without = {
        view.__name__ for view in views if hasattr(view, "post") and not issubclass(view, APIView)
    }
    assert without == set()


def all_patterns(patterns, prefix=""):
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from all_patterns(entry.url_patterns, route)
        else:
            yield route, entry
