"""Projects and datasets over the API."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import ApiToken, TokenScope
from projects.importing import imports
from projects.models import Dataset, Project
from tests.projects.importing.test_imports import TABLE

pytestmark = pytest.mark.usefixtures("quick_child")


def post_dataset(client, project, content=TABLE, name="t.csv", **data):
    body = {"file": SimpleUploadedFile(name, content), "project": str(project.pk), **data}
    return client.post("/api/v1/datasets", body, format="multipart")


def test_projects_are_created_and_listed(api, token):
    client = api(token)
    created = client.post("/api/v1/projects", {"name": "Churn"})
    assert created.status_code == 201
    listed = client.get("/api/v1/projects").json()
    assert [project["id"] for project in listed["data"]] == [created.json()["id"]]
    assert listed["object"] == "list"


def test_an_upload_is_accepted_then_ready(api, token, project):
    client = api(token)
    accepted = post_dataset(client, project, name="tickets.csv")
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "importing"
    imports.import_version(accepted.json()["version_id"])
    ready = client.get(f"/api/v1/datasets/{accepted.json()['id']}").json()
    assert (ready["status"], ready["rows"], ready["version"]) == ("ready", 60, 1)
    assert [column["name"] for column in ready["columns"]] == ["text", "label"]
    assert ready["dialect"]["delimiter"] == ","
    assert ready["issues"] == []
    assert ready["failure"] is None
    assert ready["profile"]["suggested"]["target_column"] == "label"
    assert client.get("/api/v1/datasets").json()["data"][0]["name"] == "tickets.csv"


def test_a_failed_import_gives_code_and_sentence(api, token, project):
    client = api(token)
    accepted = post_dataset(client, project, b"a,b\n").json()
    imports.import_version(accepted["version_id"])
    failed = client.get(f"/api/v1/datasets/{accepted['id']}").json()
    assert failed["failure"]["code"] == "no_rows"
    assert failed["failure"]["sentence"].endswith(".")


def test_rejects_come_as_csv(api, token, project):
    client = api(token)
    accepted = post_dataset(client, project, b"a,b\n1,2\n3\n").json()
    imports.import_version(accepted["version_id"])
    answer = client.get(f"/api/v1/datasets/{accepted['id']}/rejects")
    assert answer["Content-Type"].startswith("text/csv")
    assert b"3,,The row has 1 value" in b"".join(answer)


def test_a_strangers_token_finds_nothing(api, mallory_token, project, dataset_version):
    client = api(mallory_token)
    dataset = dataset_version.dataset_id
    assert client.get(f"/api/v1/datasets/{dataset}").status_code == 404
    assert client.get(f"/api/v1/datasets/{dataset}/rejects").status_code == 404
    assert post_dataset(client, project).status_code == 404
    assert client.get("/api/v1/datasets").json()["data"] == []
    assert client.get("/api/v1/projects").json()["data"] == []


def test_a_strangers_dataset_is_no_upload_target(api, mallory_token, other_team, dataset_version):
    own = Project.objects.create(team=other_team, name="Own")
    answer = post_dataset(api(mallory_token), own, dataset=str(dataset_version.dataset_id))
    assert answer.status_code == 404


def test_without_a_token_nothing_is_answered(client, dataset_version):
    for url in ("projects", "datasets", f"datasets/{dataset_version.dataset_id}"):
        assert client.get(f"/api/v1/{url}").status_code == 401


def test_a_token_that_may_only_read_changes_nothing(api, team, alice, project):
    token, secret = ApiToken.issue(team=team, created_by=alice, name="r", scopes=[TokenScope.READ])
    token.secret = secret
    assert post_dataset(api(token), project).status_code == 403
    assert api(token).post("/api/v1/projects", {"name": "x"}).status_code == 403
    assert not Dataset.objects.exists()


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "file"), ({"file": "text", "project": "x"}, "file"), ({"project": "nonsense"}, "file")],
)
def test_a_bad_request_names_its_parameter(api, token, body, param):
    answer = api(token).post("/api/v1/datasets", body, format="multipart")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("name", ["", "x" * 500, None, "\0", ["a"]])
def test_a_strange_project_name_is_refused_in_the_one_shape(api, token, name):
    answer = api(token).post("/api/v1/projects", {"name": name})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


def test_a_number_is_a_project_name(api, token):
    answer = api(token).post("/api/v1/projects", {"name": 5})
    assert (answer.status_code, answer.json()["name"]) == (201, "5")


def test_the_other_media_type_is_refused_without_a_trace(api, token):
    assert api(token).post("/api/v1/datasets", {"file": "x"}, format="json").status_code == 415


def test_a_second_file_is_the_next_version(api, token, project):
    client = api(token)
    first = post_dataset(client, project).json()
    second = post_dataset(client, project, TABLE + b"new,a\n", dataset=first["id"]).json()
    assert (second["id"], second["version"]) == (first["id"], 2)
    assert len(client.get("/api/v1/datasets").json()["data"]) == 1
