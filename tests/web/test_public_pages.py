"""Public pages, refusals and the health check."""

import re

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import RequestFactory

from web.errors import UserError
from web.middleware import render_user_error
from web.telemetry import readiness

PUBLIC = ["/", "/pricing/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"]


class Broken(UserError):
    code, status = "broken", 409
    sentence = "It is <broken>."


@pytest.mark.django_db
@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_have_no_inline_script_and_ask_no_third_party(client, path):
    page = client.get(path)
    assert page.status_code == 200
    html = page.content.decode()
    # A block of JSON is data, which no policy runs.
    assert not re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", html)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html)
    assert not re.findall(r"\son\w+=", html)
    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert html.count("<main") == html.count("<h1") == 1


@pytest.mark.django_db
def test_healthz_lives_and_readyz_is_not_ready_while_the_database_is_gone(client, monkeypatch):
    checks = {"database": "ok", "migrations": "ok"}
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert checks.items() <= ready["checks"].items()

    def gone():
        raise DatabaseError

    monkeypatch.setattr(connection, "cursor", gone)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert answer.json()["checks"]["database"] == "does not answer"
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_by_any_name_and_without_tls(client, settings, path):
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["lathe.example.com"]
    assert client.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200
    assert client.get("/", headers={"host": "10.1.2.3:8000"}, secure=True).status_code == 400


@pytest.mark.django_db
def test_readyz_is_not_ready_before_this_code_s_migrations(client, monkeypatch):
    monkeypatch.setattr(readiness, "_migrated", set())
    MigrationRecorder.Migration.objects.filter(app="web", name__startswith="0001").delete()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"].startswith("1 missing, the first web.0001")


@pytest.mark.parametrize("path", ["/pricing/", "/api/v1/me"])
@pytest.mark.django_db
def test_a_database_that_is_away_is_said_with_503(client, async_client, monkeypatch, path, token):
    def away(*_args, **_options):
        raise OperationalError("connection refused")

    headers = {"Authorization": f"Bearer {token.secret}"}
    monkeypatch.setattr(connection, "cursor", away)
    client.raise_request_exception = async_client.raise_request_exception = False
    answers = [
        client.get(path, headers=headers),
        async_to_sync(async_client.get)(path, headers=headers),
    ]
    monkeypatch.undo()
    for answer in answers:
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert "Try again" in answer.content.decode()


@pytest.mark.django_db
def test_an_unknown_page_is_a_page_and_an_unknown_endpoint_is_json(client):
    page = client.get("/nothing/here/")
    assert page.status_code == 404
    assert "Nothing here" in page.content.decode()
    for path in ["/api/v1/nothing", "/v1/nothing"]:
        answer = client.get(path)
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_error_pages_need_no_database(status):
    from web.pages.views import _render_error

    request = RequestFactory().get("/x")
    answer = _render_error(request, status, "A sentence.")
    assert answer.status_code == status
    page = answer.content.decode()
    assert "A sentence." in page
    heading = re.search("<h1>(.+)</h1>", page)[1]
    assert f"<title>{heading} · Lathe</title>" in page  # Of many tabs, which one failed.
    assert 'href="/home/"' in page


def refused(path, db_user=None, **headers):
    from django.contrib.auth.models import AnonymousUser
    from django_htmx.middleware import HtmxDetails

    request = RequestFactory().get(path, headers=headers)
    request.user, request.session = AnonymousUser(), {}
    request.htmx = HtmxDetails(request)
    return render_user_error(request, Broken())


def test_a_refusal_is_a_page_for_people():
    answer = refused("/x/")
    assert answer.status_code == 409
    assert "It is &lt;broken&gt;." in answer.content.decode()


def test_a_refusal_of_htmx_goes_to_the_place_for_problems():
    answer = refused("/x/", **{"HX-Request": "true"})
    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#problem"
    assert "<html" not in answer.content.decode()


def test_a_refusal_of_the_api_is_json():
    answer = refused("/v1/x")
    assert b'"code": "broken"' in answer.content


@pytest.mark.django_db
def test_every_answer_names_its_request(client):
    assert client.get("/healthz")["X-Request-Id"].startswith("req_")
    assert (
        client.get("/healthz", headers={"X-Request-Id": "abc-12345"})["X-Request-Id"] == "abc-12345"
    )
    odd = client.get("/healthz", headers={"X-Request-Id": "a b\tc<script>"})["X-Request-Id"]
    assert odd.startswith("req_")


@pytest.mark.django_db
def test_every_answer_of_the_async_server_names_its_request(async_client):
    answer = async_to_sync(async_client.get)("/healthz")
    assert answer.headers["X-Request-Id"].startswith("req_")


def test_a_form_without_csrf_token_is_refused_readably(alice, team):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(f"/teams/{team.slug}/rename/", {"name": "x"})
    assert answer.status_code == 403
    assert "too old" in answer.content.decode()


def test_signed_in_pages_have_no_inline_script(client_of, alice, team):
    for path in ["tokens", "members", "audit", "usage", "usage/statement"]:
        html = client_of(alice).get(f"/teams/{team.slug}/{path}/").content.decode()
        assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", html)
        assert not re.findall(r"\son\w+=", html)
        assert html.count("<h1") == 1
