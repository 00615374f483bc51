"""Every URL, walked by people who have no business there."""

import re
import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import ApiToken, Invitation
from inference.models import Deployment

PUBLIC = {
    "landing", "pricing", "docs", "doc", "favicon", "healthz", "readyz", "status", "api-schema",
    "api-docs",
    "account_login", "account_signup", "account_logout", "account_reset_password",
    "account_reset_password_done", "account_inactive", "account_email_verification_sent",
    "account_confirm_email", "account_reset_password_from_key",
    "account_reset_password_from_key_done", "account_reauthenticate", "account_confirm_login_code",
    "account_request_login_code", "account_signup_by_passkey",
    # Visitors of customers' sites ask here; tests/assistants tries what they may.
    "loader", "frame", "sample", "widget-messages", "widget-feedback", "widget-stream",
    "wechat",
}  # fmt: skip


def walk(patterns: list, prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """(full route, full name) of every URL."""
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{space}{entry.namespace}:" if entry.namespace else space
            yield from walk(entry.url_patterns, route, inner)
        elif isinstance(entry, URLPattern):
            yield route, f"{space}{entry.name or ''}"


def bare(name: str) -> str:
    return name.rpartition(":")[2]


PLACE = re.compile(r"<(?:\w+:)?(?P<name>\w+)>")


def concrete(route: str, values: dict[str, str]) -> str:
    """A path for a route, with Acme's own ids in the places where ids go."""

    def fill(match: re.Match[str]) -> str:
        name = match.group("name").removesuffix("_id")
        return values.get(name, str(uuid.uuid4()))

    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", re.sub(r"\^|\$|\\Z|\\", "", route))
    return "/" + PLACE.sub(fill, path)


def is_acmes(route: str, values: dict[str, str]) -> bool:
    """Whether the route names a thing of Acme's."""
    return any(match["name"].removesuffix("_id") in values for match in PLACE.finditer(route))


def routes() -> list[tuple[str, str]]:
    ours = walk(get_resolver().url_patterns)
    return [(route, name) for route, name in ours if not route.startswith("admin/")]


def test_the_walk_finds_every_family_of_pages():
    names = {name.partition(":")[0] for _, name in routes() if ":" in name}
    assert {"accounts", "projects", "billing", "training", "inference", "assistants"} <= names


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_a_signed_in_stranger_gets_nothing_of_acme(things, mallory, client_of, method):
    client: Client = client_of(mallory)
    seen = {}
    for route, _ in routes():
        path = concrete(route, things)
        if route.startswith(("accounts/", "api/", "v1/")) or not is_acmes(route, things):
            continue
        seen[f"{method} {path}"] = getattr(client, method)(path).status_code
    assert len(seen) > 25
    assert {key: code for key, code in seen.items() if code not in {403, 404, 405}} == {}


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_a_strangers_token_gets_nothing_of_acme(things, mallory_token, api, method):
    client = api(mallory_token)
    seen = {}
    for route, _ in routes():
        path = concrete(route, things)
        if route.startswith("api/v1/") and is_acmes(route, things):
            seen[f"{method} {path}"] = getattr(client, method)(path, {}).status_code
    assert len(seen) > 10
    assert {key: code for key, code in seen.items() if code not in {403, 404, 405}} == {}


def test_nobody_gets_in_without_signing_in(things, client):
    seen = {}
    for route, name in routes():
        if bare(name) in PUBLIC or route.startswith(("accounts/", "v1/", "api/schema", "api/docs")):
            continue
        answer = client.get(concrete(route, things))
        seen[concrete(route, things)] = (answer.status_code, answer.get("Location", ""))
    wrong = {
        path: (code, where)
        for path, (code, where) in seen.items()
        if code not in {401, 403, 404, 405, 410}
        and not (code == 302 and "login" in where)
        and not path.startswith(("/static", "/invitations", "/join"))
    }
    assert wrong == {}


def test_a_viewer_changes_nothing(things, vera, client_of):
    client = client_of(vera)
    before = (
        ApiToken.objects.filter(revoked_at=None).count(),
        Deployment.objects.serving().count(),
    )
    seen = {}
    for route, name in routes():
        path = concrete(route, things)
        if is_acmes(route, things) and not route.startswith(("accounts/", "api/", "v1/")):
            seen[f"{name} {path}"] = client.post(
                path, {"name": "x", "role": "admin", "model": things["model"]}
            ).status_code
    allowed = {403, 404, 405}
    # Leaving a team and asking a model are everybody's; a form with errors changes nothing.
    wrong = {k: c for k, c in seen.items() if c not in allowed}
    assert {
        k
        for k in wrong
        if not k.startswith(
            (
                "training:estimate",
                "inference:ask",
                "accounts:leave",
                "training:job-live",
                "projects:dataset-live",
                "accounts:notices-live",
                # What one has read, and wants by e-mail, is one's own.
                "accounts:open-notice",
                "accounts:read-notices",
                "accounts:notice-settings",
            )
        )
    } == set()
    after = (ApiToken.objects.filter(revoked_at=None).count(), Deployment.objects.serving().count())
    assert before == after
    assert not Invitation.objects.exists()
