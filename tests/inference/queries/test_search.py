"""The search: every page that can be opened without a thing of its own is found, by who may."""

import re

import pytest
from django.urls import reverse
from django.utils import translation

from inference.queries.search import PAGES, search
from projects.models import Project
from tests.web.test_outsiders import routes
from web.language.sentences import translated

# Steps of a way through signing in and up, which nobody looks for.
STEPS = {
    "account_email_verification_sent", "account_inactive", "account_reauthenticate",
    "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key_done", "socialaccount_login_cancelled",
}  # fmt: skip


def addresses(team):
    """(name, address) of every route whose only place, if any, is the team's."""
    for route, name in sorted(set(routes())):
        if name and set(re.findall(r"<(?:\w+:)?(\w+)>", route)) <= {"slug"}:
            yield name, "/" + route.replace("<slug:slug>", team.slug)


def test_every_page_without_a_thing_of_its_own_is_found(things, alice, team, client_of):
    client, found = client_of(alice), {one.url for one in search(team, "", alice)}
    pages = set()
    for name, address in addresses(team):
        if name in STEPS or name == "doc" or address.startswith(("/v1/", "/api/v1/")):
            continue
        answer = client.get(address)
        is_page = answer.headers.get("Content-Type", "").startswith("text/html")
        if answer.status_code == 200 and is_page and b"<html" in answer.content:
            pages.add(address)
    assert len(pages) > 30
    assert pages - found == set()


@pytest.mark.parametrize("who", ["alice", "bob", "vera"])
def test_every_page_that_is_found_opens(who, request, things, team, client_of):
    viewer = request.getfixturevalue(who)
    client = client_of(viewer)
    for one in search(team, "", viewer):
        assert client.get(one.url).status_code == 200, one.name


def test_a_page_is_found_by_its_name_in_the_readers_language_and_by_other_words(team, alice):
    assert "Two-factor authentication" in {one.name for one in search(team, "2fa", alice)}
    with translation.override("zh-hans"):
        for page in PAGES:
            own = {one.url for one in search(team, page.name, alice)}
            name = translated(page.name)
            assert own & {one.url for one in search(team, name, alice)}
        assert "数据集" in {one.name for one in search(team, "数据集", alice)}


def test_sections_of_the_help_are_found(team, alice):
    found = {one.url for one in search(team, "spend cap", alice) if one.kind == "Help"}
    assert "/docs/costs/#the-spend-cap" in found
    titles = [one for one in search(team, "webhooks", alice) if one.kind == "Help"]
    assert reverse("doc", args=["webhooks"]) in {one.url for one in titles}


def test_a_project_is_found_by_its_tag(team, alice, project):
    Project.objects.filter(pk=project.pk).update(tags=["q3 plan"])
    assert project.get_absolute_url() in {one.url for one in search(team, "q3 plan", alice)}
