"""The data pages as their people see them, and as strangers do not."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from projects.importing import imports
from projects.models import DatasetVersion, ImportStatus, Project
from tests.projects.importing.test_imports import TABLE


def urls(project, dataset):
    """Every page about these two: method and address."""
    team = f"/teams/{project.team.slug}"
    return [
        ("get", f"{team}/"),
        ("get", f"{team}/datasets/"),
        ("get", f"{team}/projects/create/"),
        ("post", f"{team}/projects/create/"),
        ("get", f"/projects/{project.pk}/"),
        ("post", f"/projects/{project.pk}/archive/"),
        ("get", f"/projects/{project.pk}/upload/"),
        ("post", f"/projects/{project.pk}/upload/"),
        ("get", f"/datasets/{dataset.pk}/"),
        ("get", f"/datasets/{dataset.pk}/?version=1"),
        ("get", f"/datasets/{dataset.pk}/status/"),
        ("get", f"/datasets/{dataset.pk}/live/"),
        ("post", f"/datasets/{dataset.pk}/import-again/"),
        ("post", f"/datasets/{dataset.pk}/mask/"),
        ("get", f"/datasets/{dataset.pk}/rejects.csv"),
        ("get", f"/datasets/{dataset.pk}/pictures/0/"),
    ]


def test_a_stranger_finds_nothing(client_of, mallory, project, dataset_version):
    client = client_of(mallory)
    for method, url in urls(project, dataset_version.dataset):
        assert getattr(client, method)(url).status_code == 404, url


def test_a_guest_is_sent_to_sign_in_and_has_no_stream(client, project, dataset_version):
    for method, url in urls(project, dataset_version.dataset):
        answer = getattr(client, method)(url)
        if url.endswith("/live/"):
            assert answer.status_code == 404
        else:
            assert (answer.status_code, answer["Location"].split("?")[0]) == (
                302,
                "/accounts/login/",
            ), url


def test_a_viewer_may_look_but_not_change(client_of, vera, project, dataset_version):
    client = client_of(vera)
    for method, url in urls(project, dataset_version.dataset):
        if method == "post" or "create" in url or "upload" in url:
            assert getattr(client, method)(url).status_code == 403, url
    page = client.get(f"/datasets/{dataset_version.dataset_id}/").content.decode()
    assert "Upload new version" not in page
    assert "Import again" not in page


def test_home_leads_to_the_team(client_of, alice, team):
    assert client_of(alice).get("/home/").url == f"/teams/{team.slug}/"


def test_a_new_team_is_shown_the_way(client_of, alice, team):
    assert "Create a project" in client_of(alice).get(f"/teams/{team.slug}/").content.decode()


def test_a_project_is_created_and_archived(client_of, alice, team):
    client = client_of(alice)
    answer = client.post(f"/teams/{team.slug}/projects/create/", {"name": "Churn"})
    created = Project.objects.get(name="Churn")
    assert answer.url == f"/projects/{created.pk}/"
    assert "No data yet" in client.get(answer.url).content.decode()
    client.post(f"/projects/{created.pk}/archive/")
    created.refresh_from_db()
    assert created.archived_at is None  # Its name was not typed.
    client.post(f"/projects/{created.pk}/archive/", {"typed_name": "Churn"})
    created.refresh_from_db()
    assert created.archived_at
    assert "Churn</a>" not in client.get(f"/teams/{team.slug}/").content.decode()


def upload(client, project, content, name="tickets.csv", **data):
    query = data.pop("query", "")
    file = SimpleUploadedFile(name, content)
    return client.post(f"/projects/{project.pk}/upload/{query}", {"file": file, **data})


@pytest.mark.slow
def test_an_upload_leads_to_its_page_and_the_page_to_a_fine_tune(client_of, alice, project):
    client = client_of(alice)
    answer = upload(client, project, TABLE, name="tickets.csv")
    waiting = client.get(answer.url).content.decode()
    assert "Reading tickets.csv" in waiting
    live = f'hx-sse:connect="{answer.url}live/"'
    assert live in waiting
    imports.import_version(DatasetVersion.objects.get().pk)
    page = client.get(answer.url).content.decode()
    assert "Fine-tune</a>" in page
    assert "(2 labels)" in page
    assert "some text 0" in page
    assert live not in page


@pytest.mark.slow
def test_a_failed_import_says_why_and_offers_another_reading(client_of, alice, project):
    client = client_of(alice)
    answer = upload(client, project, b"a,b\n")
    version = DatasetVersion.objects.get()
    imports.import_version(version.pk)
    page = client.get(answer.url).content.decode()
    assert "no rows below it" in page
    client.post(f"/datasets/{version.dataset_id}/import-again/", {"header_rows": "0"})
    again = DatasetVersion.objects.get(number=2)
    imports.import_version(again.pk)
    again.refresh_from_db()
    assert (again.status, again.rows) == (ImportStatus.READY, 1)
    assert client.get(f"/datasets/{version.dataset_id}/?version=1").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [{"header_rows": "-1"}, {"encoding": "klingon"}, {"delimiter": "\0"}, {"skip_lines": "9" * 40}],
)
def test_a_reading_that_makes_no_sense_is_answered_on_the_page(
    client_of, alice, dataset_version, fields
):
    url = f"/datasets/{dataset_version.dataset_id}/import-again/"
    assert client_of(alice).post(url, fields).status_code == 400
    assert DatasetVersion.objects.count() == 1


def test_the_page_of_an_older_version_launches_that_version(bring_in, client_of, alice):
    older = bring_in(TABLE, filename="tickets.csv")
    bring_in(TABLE + b"one more text,a\n", filename="tickets.csv", dataset=older.dataset)
    client, address = client_of(alice), f"/datasets/{older.dataset_id}/"
    for number, query in (("1", "?version=1"), ("2", "")):
        page = client.get(address + query).content.decode()
        launches = re.findall(rf'href="{address}launch/([^"]*)"', page)
        assert len(launches) >= 2
        assert all(link.startswith(f"?version={number}") for link in launches)


def test_a_version_that_is_importing_cannot_be_read_another_way(client_of, alice, project):
    client = client_of(alice)
    url = upload(client, project, TABLE).url
    assert client.post(f"{url}import-again/", {}).status_code == 409


@pytest.mark.parametrize("data", [{}, {"file": "no file"}])
def test_an_upload_without_a_file_is_asked_for_again(client_of, alice, project, data):
    answer = client_of(alice).post(f"/projects/{project.pk}/upload/", data)
    assert answer.status_code == 200
    assert "This field is required" in answer.content.decode()


def test_an_empty_file_is_refused_with_its_sentence(client_of, alice, project):
    answer = upload(client_of(alice), project, b"")
    assert answer.status_code == 400
    assert "empty" in answer.content.decode()


@override_settings(MAX_UPLOAD_BYTES=100)
def test_a_file_too_large_is_refused_with_its_sentence(client_of, alice, project):
    answer = upload(client_of(alice), project, b"x" * 200)
    assert answer.status_code == 413
    assert "larger than" in answer.content.decode()


def test_the_same_bytes_again_are_told(client_of, alice, project):
    client = client_of(alice)
    url = upload(client, project, TABLE).url
    dataset = DatasetVersion.objects.get().dataset
    upload(client, project, TABLE, query=f"?dataset={dataset.pk}")
    assert "same bytes as version 1" in client.get(url).content.decode()
    assert DatasetVersion.objects.count() == 1


def test_a_dataset_of_another_project_is_no_target(client_of, alice, project, dataset_version):
    other = Project.objects.create(team=project.team, name="Other")
    for asked in (dataset_version.dataset_id, "nonsense", "\0"):
        answer = upload(client_of(alice), other, TABLE, query=f"?dataset={asked}")
        assert answer.status_code in {400, 404}


def test_rejected_rows_can_be_downloaded(client_of, alice, bring_in):
    version = bring_in(b"a,b\n1,2\n3\n4,5\n")
    answer = client_of(alice).get(f"/datasets/{version.dataset_id}/rejects.csv")
    assert answer["Content-Disposition"].startswith("attachment")
    assert b"1 value where" in b"".join(answer)


def test_content_is_shown_as_text_never_as_markup(client_of, alice, bring_in):
    evil = "<script>alert(1)</script>"
    rows = f'"{evil}","{evil}"\n' * 12
    version = bring_in(f'"{evil} text","{evil} label"\n{rows}'.encode(), f"{evil}.csv")
    page = client_of(alice).get(f"/datasets/{version.dataset_id}/").content.decode()
    assert "alert(1)" in page
    assert "<script>alert" not in page


def test_masking_makes_a_new_version(client_of, alice, bring_in):
    version = bring_in(b"text,label\n" + b"mail ann@mail.example now,x\nno mail,y\n" * 9)
    url = f"/datasets/{version.dataset_id}/mask/"
    client_of(alice).post(url, {"column": ["text", "nonsense"]})
    assert DatasetVersion.objects.get(number=2).overrides == {"mask": ["text"]}


def test_a_version_that_is_not_there_is_not_found_and_nonsense_shows_the_newest(
    client_of, alice, dataset_version
):
    page = f"/datasets/{dataset_version.dataset_id}/?version="
    statuses = {
        number: client_of(alice).get(page + number).status_code
        for number in ("0", "99999999", "x", "-1", "1e3", "²", "9" * 50)
    }
    not_found = {number for number, status in statuses.items() if status == 404}
    assert not_found == {"0", "99999999"}
    assert set(statuses.values()) == {200, 404}


def test_a_new_person_finds_a_first_project(client, db):
    client.post(
        "/accounts/signup/",
        {"email": "new@startup.test", "password1": "a long enough secret", "team_name": "New Co"},
    )
    assert Project.objects.get(team__memberships__user__email="new@startup.test").name


def test_operators_see_projects_and_imports_in_the_admin(client, dataset_version):
    from accounts.models import User

    client.force_login(
        User.objects.create_superuser("root@acme.test", "x"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    for name in ("project", "dataset", "datasetversion"):
        assert client.get(f"/admin/projects/{name}/?q=tick").status_code == 200
    url = f"/admin/projects/datasetversion/{dataset_version.pk}/change/"
    assert client.get(url).status_code == 200
    assert (
        client.get(f"/admin/projects/dataset/{dataset_version.dataset_id}/change/").status_code
        == 200
    )


def test_a_dataset_without_a_version_is_listed_too(client_of, alice, dataset):
    team = dataset.project.team
    for url in (
        f"/teams/{team.slug}/datasets/",
        f"/projects/{dataset.project_id}/",
    ):
        assert "tickets.csv" in client_of(alice).get(url).content.decode()


def test_a_dataset_of_several_versions_offers_each_on_its_page(client_of, alice, bring_in):
    first = bring_in(TABLE)
    address = f"/datasets/{first.dataset_id}/"
    client = client_of(alice)
    assert 'href="?version=1"' not in client.get(address).content.decode()
    second = DatasetVersion.objects.get(pk=first.pk)
    second.pk, second.number, second._state.adding = None, 2, True
    second.save()
    page = client.get(address).content.decode()
    assert 'href="?version=1"' in page
    assert "Version 2 ·" in page
    older = client.get(f"{address}?version=1").content.decode()
    assert older.count('aria-current="true"') == 1
