"""Where large bodies are accepted, and who answers probes."""

import asyncio

import pytest
from django.urls import Resolver404, resolve
from rest_framework.parsers import MultiPartParser

from accounts.authentication import find_uploader
from config.front import is_upload, with_front
from tests.web.test_outsiders import concrete, routes


def takes_files(path: str) -> bool:
    """Whether the view names a parser of files itself; every API view could read one."""
    try:
        view = getattr(resolve(path).func, "cls", None)
    except Resolver404:  # A place for a number, which this walk fills with words.
        return False
    named = vars(view).get("parser_classes", []) if view else []
    return any(issubclass(parser, MultiPartParser) for parser in named)


def test_every_endpoint_for_files_accepts_large_bodies():
    paths = {concrete(route, {}) for route, _ in routes() if route.startswith(("api/", "v1/"))}
    upload_paths = {path for path in paths if takes_files(path)}
    assert "/api/v1/datasets" in upload_paths
    closed = {path for path in upload_paths if not is_upload({"method": "POST", "path": path})}
    assert closed == set()


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/me", "/v1/classify", "/projects/x/upload/", "/admin/"]
)
def test_nothing_else_does(path):
    assert not is_upload({"method": "POST", "path": path})
    assert not is_upload({"method": "GET", "path": "/api/v1/datasets"})


@pytest.mark.django_db
def test_an_uploader_is_known_by_a_valid_session_or_token_only(alice, client_of, token):
    def by_token(secret):
        return find_uploader(f"Bearer {secret}", "")

    person = f"person:{alice.pk}"
    session = client_of(alice).cookies["sessionid"].value
    assert find_uploader("", f"sessionid={session}") == person
    assert by_token(token.secret) == person
    assert find_uploader("", "") is None
    assert find_uploader("", "sessionid=guess") is None
    assert find_uploader(f"Basic {token.secret}", f"sessionid={session}") is None
    assert by_token("guess") is None
    token.scopes = ["read"]
    token.save()
    assert by_token(token.secret) is None
    alice.is_active = False
    alice.save()
    assert find_uploader("", f"sessionid={session}") is None


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_while_nothing_else_is(path):
    async def stuck(scope, receive, send):
        await asyncio.Event().wait()

    async def alive(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"alive"})

    async def ask(asked):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": asked, "raw_path": b"",
            "query_string": b"", "headers": [], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        async with asyncio.timeout(1):
            await with_front(stuck, probes=alive)(scope, receive, send)
        return sent

    assert asyncio.run(ask(path))[0]["status"] == 200
    with pytest.raises(TimeoutError):
        asyncio.run(ask("/accounts/login/"))
