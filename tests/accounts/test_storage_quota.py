"""A team keeps what its plan allows; an upload beyond is refused with a sentence, and not kept."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.storage_quota import StorageFull, require_room, storage_usage
from billing.budgets.budget import get_budget
from billing.models import Plan
from projects import storage
from projects.importing.uploads import receive_upload, reimport
from projects.models import Dataset, DatasetVersion
from training.models import TrainedModel


@pytest.fixture
def quota(team):
    def set_quota(size: int | None) -> None:
        Plan.objects.filter(pk=get_budget(team).plan_id).update(storage_bytes=size)

    return set_quota


def upload(project, size=1000):
    return receive_upload(project=project, filename="x.csv", chunks=[b"x" * size], by=None).version


def test_what_is_kept_is_counted_once(team, project, dataset_version, alice):
    version = upload(project)
    reimport(version, {}, alice)
    DatasetVersion.objects.filter(pk=version.pk).update(table_bytes=70)
    TrainedModel.objects.create(
        team=team, project=project, dataset_version=version, name="m", task="t", base_model="b",
        artifact_key="k", artifact_bytes=500,
    )  # fmt: skip
    usage = storage_usage(team)
    # The fixture's version counts its one byte of upload.
    assert usage.by_kind == {
        "datasets": 1000 + 70 + 1,
        "models": 500,
        "files": 0,
        "uploads under way": 0,
    }
    assert usage.used_bytes == 1571


def test_an_upload_that_does_not_fit_is_refused_and_leaves_nothing(team, project, quota):
    upload(project)
    quota(1500)
    before = set(storage.list_folders("uploads")), Dataset.objects.count()
    with pytest.raises(StorageFull, match="1000\\xa0bytes of the 1.5\\xa0KB"):
        upload(project)
    assert (set(storage.list_folders("uploads")), Dataset.objects.count()) == before
    upload(project, 400)
    assert storage_usage(team).used_bytes == 1400
    quota(None)
    upload(project)


def test_both_doors_say_so(team, project, alice, client_of, api, token, quota):
    quota(10)
    file = {"file": SimpleUploadedFile("x.csv", b"a,b\n1,2\n3,4\n"), "project": str(project.pk)}
    answer = api(token).post("/api/v1/datasets", file, format="multipart")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "storage_full")
    form = {"file": SimpleUploadedFile("x.csv", b"a,b\n1,2\n3,4\n"), "name": "x"}
    page = client_of(alice).post(reverse("projects:upload", args=[project.pk]), form)
    assert page.status_code == 409
    assert "do not fit" in page.content.decode()


def test_the_usage_page_shows_it(team, project, alice, client_of, quota):
    quota(10 * 1024**3)
    upload(project)
    page = client_of(alice).get(reverse("billing:usage", args=[team.slug])).content.decode()
    assert "1000\xa0bytes kept" in page
    assert "10\xa0GB of your plan" in page
    assert storage_usage(team).share < 0.01


def test_plans_come_with_a_quota(db):
    sizes = dict(Plan.objects.values_list("code", "storage_bytes"))
    assert sizes["free"] < sizes["team"] < sizes["scale"]


def test_another_teams_files_count_for_nobody_else(team, other_team, project, quota):
    upload(project)
    assert storage_usage(other_team).used_bytes == 0
    require_room(other_team, 1)
