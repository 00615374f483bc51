"""Every address with what people type or paste into it by hand: a page, or a clear refusal."""

import re
import uuid

import pytest

from tests.training.made import make_model
from tests.web.test_outsiders import concrete, is_acmes, routes

NOWHERE = str(uuid.UUID(int=7))
ODD_QUERIES = [
    f"a={NOWHERE}&b=x&from=9&to=0&key=none&page=zero&tab=none&version=99999999999&job={NOWHERE}",
    "page=-1&sort=%00x&q=%F0%9F%AA%B5&status=none&by=none&month=2020-13&tag=%27%22%3C&chart=none",
    "from=1&to=1&page=999999&version=2&dataset=x&row=-5&true=x&predicted=y&label=%5B%5D&metric=..",
    "a=&b=&q=&page=&tab=&version=&job=&job=x&conversation=x&topic=x&until=yesterday&start=1e9",
]
# Streams go on for as long as the page is open; what only programs ask for answers in JSON.
NOT_PAGES = re.compile(r"/(live|events)/$|^/(api|v1|accounts|static|w|wechat|consult)\b|\.json$")
HEADING, WAY_ON = re.compile(r"<h1[^>]*>\s*\S"), re.compile(r'<a [^>]*href="(/|\?)')


def faults_of(answer) -> list[str]:
    """What a person who meets this answer would miss."""
    if answer.status_code >= 500:
        return [f"{answer.status_code}"]
    if answer.status_code < 400:
        return []
    page = answer.content.decode()
    matches = {
        "style": 'rel="stylesheet"' in page,
        "heading": bool(HEADING.search(page)),
        "sentence": bool(re.search(r"<p[^>]*>[^<]{12,}", page)),
        "way on": bool(WAY_ON.search(page.partition("<main")[2])),
    }
    return [f"{answer.status_code} without {part}" for part, has in matches.items() if not has]


@pytest.mark.parametrize("query", ["", *ODD_QUERIES])
def test_whatever_stands_in_an_address_the_answer_is_a_page_with_a_way_on(
    query, things, alice, client_of
):
    client, wrong, seen = client_of(alice), {}, 0
    for route, name in routes():
        path = concrete(route, things)
        if NOT_PAGES.search(path):
            continue
        answer = client.get(path, QUERY_STRING=query, HTTP_ACCEPT="text/html")
        seen += 1
        if faults := faults_of(answer):
            wrong[f"{name} {path}?{query}"] = faults
    assert seen > 60
    assert wrong == {}


@pytest.mark.parametrize("query", ODD_QUERIES)
def test_nothing_of_acme_breaks_for_a_stranger(query, things, mallory, client_of):
    client, wrong = client_of(mallory), {}
    for route, name in routes():
        path = concrete(route, things)
        if is_acmes(route, things) and not NOT_PAGES.search(path):
            answer = client.get(path, QUERY_STRING=query, HTTP_ACCEPT="text/html")
            if faults := faults_of(answer):
                wrong[name] = faults
    assert wrong == {}


@pytest.fixture
def unlike(job, tmp_path):
    """Two models of a team that know other labels."""
    names = (["card", "transfer"], ["spam", "ham"])
    return [
        make_model(job, tmp_path / str(place), list(known)) for place, known in enumerate(names)
    ]


def test_models_that_cannot_be_compared_say_why_and_offer_those_that_can(
    unlike, job, alice, client_of, tmp_path
):
    address = f"/models/compare/?a={unlike[0].pk}&b={unlike[1].pk}"
    alone = client_of(alice).get(address)
    assert (alone.status_code, faults_of(alone)) == (409, [])
    page = alone.content.decode()
    assert "do not know the same labels" in page
    assert "answer every row alike" not in page
    assert f"/datasets/{job.dataset_version.dataset_id}/launch/" in page
    third = make_model(job, tmp_path / "third", ["card", "transfer"])
    page = client_of(alice).get(address).content.decode()
    assert f'<option value="{third.pk}"' in page
    assert f'<option value="{unlike[1].pk}"' not in page


def test_a_comparison_without_its_second_model_asks_for_it(unlike, job, alice, client_of, tmp_path):
    third = make_model(job, tmp_path / "third", ["card", "transfer"])
    answer = client_of(alice).get(f"/models/compare/?a={unlike[0].pk}")
    assert answer.status_code == 200
    assert f'<option value="{third.pk}"' in answer.content.decode()


def test_jobs_of_another_team_and_of_other_tasks_are_named_beside_the_curves(
    job, other_job, alice, client_of
):
    client, slug = client_of(alice), job.team.slug
    address = f"/teams/{slug}/jobs/compare/?job={job.pk}&job={other_job.pk}"
    assert "do different tasks" in client.get(address).content.decode()
    page = client.get(f"{address}&job={NOWHERE}").content.decode()
    assert "of another team" in page


@pytest.fixture
def other_job(job):
    from training.models import TrainingJob

    other = TrainingJob.objects.get(pk=job.pk)
    other.pk, other.name, other.task = uuid.uuid4(), "prices", "text-regression"
    other.recipe = {**job.recipe, "task": "text-regression"}
    other._state.adding = True
    other.save()
    return other
