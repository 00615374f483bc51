"""What answers a credential is kept by no cache; and doors that strangers try."""

import re

import pytest
from django.test import Client

from accounts.models import User
from tests.web.test_outsiders import concrete, routes


@pytest.mark.slow
@pytest.mark.django_db
def test_every_page_of_a_signed_in_person_is_kept_by_no_cache(things, alice, client_of):
    browser, wrong, seen = client_of(alice), {}, 0
    for route, _ in routes():
        path = concrete(route, things)
        if path.startswith(("/accounts/logout", "/w/")):  # The widget is for everybody.
            continue
        answer = browser.get(path)
        rule = answer.get("Cache-Control", "")
        seen += answer.status_code == 200
        if "no-store" not in rule and not ("private" in rule and "immutable" in rule):
            wrong[path] = (answer.status_code, rule)
    assert seen > 40
    assert wrong == {}


@pytest.mark.django_db
def test_every_answer_to_a_token_is_kept_by_no_cache(things, token, api):
    client = api(token)
    paths = {concrete(route, things) for route, _ in routes() if route.startswith("api/v1/")}
    rules = {path: client.get(path).get("Cache-Control", "") for path in paths}
    assert len(rules) > 20
    assert {path: rule for path, rule in rules.items() if "no-store" not in rule} == {}


@pytest.mark.django_db
def test_what_is_the_same_for_everybody_may_be_cached(client):
    assert "no-store" not in client.get("/api/schema/").get("Cache-Control", "")


@pytest.mark.django_db
def test_administrators_sign_in_where_everybody_does_with_its_limits(client):
    User.objects.create_superuser("root@lathe.test", "correct horse battery")
    answer = client.post(
        "/admin/login/", {"username": "root@lathe.test", "password": "correct horse battery"}
    )
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")
    assert "sessionid" not in client.cookies


@pytest.mark.django_db
def test_the_admin_opens_for_staff_and_for_nobody_else(alice, client_of, client):
    assert client_of(alice).get("/admin/login/").status_code == 403
    root = User.objects.create_superuser("root@lathe.test", "correct horse battery")
    assert client_of(root).get("/admin/").status_code == 200
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


@pytest.mark.django_db
def test_guessing_an_administrators_password_is_stopped(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/m/key"}
    User.objects.create_superuser("root2@lathe.test", "correct horse battery")
    login = {"login": "root2@lathe.test", "password": "wrong"}
    for _ in range(4):
        page = client.post("/accounts/login/?next=/admin/", login).content.decode()
    assert "Too many failed login attempts" in page


@pytest.mark.django_db
def test_the_api_documentation_has_no_inline_script(client: Client):
    page = client.get("/api/docs/").content.decode()
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page)
    sources = re.findall(r'<script src="([^"]+)"', page)
    assert all(source.startswith("/") for source in sources)
    script = client.get(sources[-1].replace("&amp;", "&"))
    assert script["Content-Type"].startswith("application/javascript")
    assert "/api/schema/" in script.content.decode()
