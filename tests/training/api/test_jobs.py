"""Fine-tunes over the native API: shapes, refusals, verbs, and who may ask."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Role
from projects.models import DatasetVersion
from tests.conftest import issue
from training.models import Checkpoint, MetricPoint, TrainingJob

JOBS = "/api/v1/training-jobs"


@pytest.fixture
def body(dataset_version: DatasetVersion) -> dict[str, object]:
    """The least that may be sent."""
    dataset = dataset_version.dataset
    return {
        "project": str(dataset.project_id),
        "dataset": str(dataset.pk),
        "task": "text-classification",
    }


def refusal(answer) -> dict[str, object]:
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    return answer.json()["error"]


def test_a_launch_needs_only_project_dataset_and_task(api, token, body):
    answer = api(token).post(JOBS, body)
    assert answer.status_code == 201
    job = answer.json()
    assert job["status"] == "queued"
    assert (job["text_columns"], job["target_column"]) == (["text"], "label")
    assert job["base_model"] == "all-MiniLM-L6-v2"
    assert job["compute"] == "cpu"
    assert job["waiting"] == "no cpu worker has ever been seen; start one"
    assert TrainingJob.objects.get().launched_by == token.created_by


def test_the_answer_has_the_promised_fields(api, token, job):
    answer = api(token).get(f"{JOBS}/{job.pk}").json()
    assert answer["id"] == str(job.pk)
    assert {key: answer[key] for key in ("phase", "eta_seconds", "model", "failure")} == {
        "phase": None, "eta_seconds": None, "model": None, "failure": None,
    }  # fmt: skip
    assert (answer["progress"], answer["cost_micros"]) == (0, 0)


def test_a_failure_is_a_code_and_a_sentence(api, token, job):
    job.fail("bad_data", "Only one label.")
    answer = api(token).get(f"{JOBS}/{job.pk}").json()
    failure = answer["failure"]
    assert (failure["code"], failure["sentence"]) == ("bad_data", "Only one label.")
    assert (failure["charged"], failure["retryable"]) == (True, False)
    assert failure["next_step"].startswith("Fix the data")


def test_everything_can_be_said(api, token, body):
    expected = {
        "name": "Mine",
        "text_column": "text",
        "target_column": "label",
        "base_model": "all-MiniLM-L6-v2",
        "hyperparameters": {"epochs": 2, "seed": 7},
        "compute": "cpu",
    }
    job = api(token).post(JOBS, body | expected).json()
    assert job["name"] == "Mine"
    assert job["hyperparameters"].items() >= {"epochs": 2, "seed": 7}.items()


def test_an_estimate_has_three_numbers_and_launches_nothing(api, token, body):
    answer = api(token).post(f"{JOBS}/estimate", body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["fits"] is True
    assert found["allowed"] is True
    assert 0 < found["seconds"]["low"] <= found["seconds"]["high"]
    assert 0 < found["cost_micros"]["low"] <= found["cost_micros"]["high"]
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"task": "image-classification"}, "image_column", "Choose a column for picture"),
        ({"task": "poetry"}, "task", "Supported: text-classification"),
        ({"learning_rate": 1}, "learning_rate", "Unknown field 'learning_rate'"),
        ({"image_column": "x"}, "image_column", "means nothing to text-classification"),
        ({"feature_columns": ["x"]}, "feature_columns", "means nothing to text-classification"),
        ({"text_column": "nope"}, "text_columns", "has no column 'nope'"),
        ({"target_column": "text"}, None, "cannot be both"),
        ({"text_column": "text", "text_columns": ["text"]}, "text_columns", "not both"),
        ({"base_model": "gpt-9"}, "base_model", "There is no base model 'gpt-9'"),
        ({"compute": "moon"}, "compute", "Offered: cpu"),
        ({"hyperparameters": {"epochs": -1}}, "hyperparameters.epochs", "must be 0 or more"),
        ({"hyperparameters": {"precision": "fp16"}}, "hyperparameters.precision", "needs a GPU"),
        ({"hyperparameters": {"epoch": 1}}, "hyperparameters.epoch", "Nothing of this name"),
        ({"hyperparameters": [1]}, "hyperparameters", "Expected a dictionary"),
        ({"hyperparameters": {"seed": {"a": 1}}}, "hyperparameters.seed", ""),
        ({"project": "x"}, "project", "valid UUID"),
        ({"dataset": None}, "dataset", "may not be null"),
        ({"text_columns": [1, {"a": 2}]}, None, ""),
        ({"name": "x" * 121}, "name", "120"),
    ],
)
@pytest.mark.parametrize("address", [JOBS, f"{JOBS}/estimate"])
def test_a_bad_body_is_refused_by_name(api, token, body, address, change, param, words):
    answer = api(token).post(address, body | change)
    assert answer.status_code == 400
    error = refusal(answer)
    assert words in error["message"]
    assert param is None or error["param"] == param
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("nonsense", [[], ["a"], "text", 5, None])
def test_a_body_that_is_no_object_is_refused(api, token, nonsense):
    assert api(token).post(JOBS, nonsense).status_code == 400


def test_null_bytes_and_odd_strings_are_refused_or_kept_but_never_an_error(api, token, body):
    for name in ("\x00", "<script>", "💩", "' OR 1=1 --", " " * 10):
        answer = api(token).post(JOBS, body | {"name": name})
        is_kept = "\x00" not in name and bool(name.strip())
        assert answer.status_code == (201 if is_kept else 400)
        assert not is_kept or answer.json()["name"] == name
        assert api(token).post(JOBS, body | {"text_column": name}).status_code == 400


def test_a_dataset_still_importing_is_refused(api, token, body, dataset_version):
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(
        status="importing", finished_at=None
    )
    answer = api(token).post(JOBS, body)
    assert answer.status_code == 409
    assert refusal(answer)["code"] == "dataset_not_ready"


def test_a_dataset_of_another_project_is_not_found(api, token, body, team):
    from projects.models import Project

    other = Project.objects.create(team=team, name="Other")
    assert api(token).post(JOBS, body | {"project": str(other.pk)}).status_code == 404


def test_the_list_pages_and_asks_the_same_number_of_questions(api, token, body):
    client = api(token)
    made = [client.post(JOBS, body).json()["id"] for _ in range(3)]
    with CaptureQueriesContext(connection) as few:
        first = client.get(JOBS, {"limit": 2}).json()
    assert (first["has_more"], [one["id"] for one in first["data"]]) == (True, made[:0:-1])
    rest = client.get(JOBS, {"limit": 2, "after": first["data"][-1]["id"]}).json()
    assert [one["id"] for one in rest["data"]] == made[:1]
    with CaptureQueriesContext(connection) as many:
        assert len(client.get(JOBS).json()["data"]) == 3
    assert len(many) == len(few)


def test_the_list_narrows(api, token, job):
    client = api(token)
    assert len(client.get(JOBS, {"status": "queued"}).json()["data"]) == 1
    assert client.get(JOBS, {"status": "failed"}).json()["data"] == []
    assert len(client.get(JOBS, {"project": str(job.project_id)}).json()["data"]) == 1
    assert client.get(JOBS, {"project": "x"}).status_code == 400


def test_events_metrics_and_checkpoints(api, token, job):
    job.add_event("First", level="info")
    job.add_event("Second", level="warning")
    MetricPoint.objects.create(job=job, attempt_number=1, name="train_loss", step=1, value=2.5)
    Checkpoint.objects.create(
        job=job, attempt_number=1, step=10, storage_key="k", metrics={"validation_loss": 1.0}
    )
    client = api(token)
    events = client.get(f"{JOBS}/{job.pk}/events").json()["data"]
    assert [(one["message"], one["level"]) for one in events] == [
        ("Second", "warning"),
        ("First", "info"),
    ]
    metrics = client.get(f"{JOBS}/{job.pk}/metrics").json()
    assert metrics["metrics"] == {"train_loss": [[1, 2.5]]}
    assert metrics["latest"] == {"train_loss": 2.5}
    saved = client.get(f"{JOBS}/{job.pk}/checkpoints").json()["data"]
    assert (saved[0]["step"], saved[0]["metrics"]) == (10, {"validation_loss": 1.0})


def test_pause_resume_and_cancel_and_each_too_late(api, token, job):
    client, address = api(token), f"{JOBS}/{job.pk}"
    assert client.post(f"{address}/pause").json()["status"] == "paused"
    assert client.post(f"{address}/pause").status_code == 409
    assert client.post(f"{address}/resume").json()["status"] == "queued"
    assert client.post(f"{address}/resume").status_code == 409
    assert client.post(f"{address}/cancel").json()["status"] == "cancelled"
    for verb in ("cancel", "pause", "resume"):
        answer = client.post(f"{address}/{verb}")
        assert answer.status_code == 409
        assert refusal(answer)["code"] == "job_moved_on"


TAILS = ["", "/events", "/metrics", "/checkpoints"]
VERBS = ["/cancel", "/pause", "/resume"]


def test_a_stranger_finds_nothing_and_launches_nothing(api, mallory_token, job, body):
    client = api(mallory_token)
    for tail in TAILS:
        assert client.get(f"{JOBS}/{job.pk}{tail}").status_code == 404
    for verb in VERBS:
        assert client.post(f"{JOBS}/{job.pk}{verb}").status_code == 404
    assert client.get(JOBS).json()["data"] == []
    assert client.post(JOBS, body).status_code == 404
    assert client.post(f"{JOBS}/estimate", body).status_code == 404


def test_without_a_token_nothing_answers(client, job):
    for tail in TAILS:
        assert client.get(f"{JOBS}/{job.pk}{tail}").status_code == 401
    assert client.post(JOBS, {}, content_type="application/json").status_code == 401


def test_a_read_token_reads_only(api, team, alice, job, body):
    client = api(issue(team, alice, scopes=["read"]))
    assert client.get(f"{JOBS}/{job.pk}").status_code == 200
    assert client.post(JOBS, body).status_code == 403
    for verb in VERBS:
        assert client.post(f"{JOBS}/{job.pk}{verb}").status_code == 403


def test_a_token_loses_its_reach_when_its_creator_may_only_look(api, team, bob, job, body):
    token = issue(team, bob)
    Membership.objects.filter(user=bob).update(role=Role.VIEWER)
    assert api(token).post(JOBS, body).status_code == 403
    assert api(token).post(f"{JOBS}/{job.pk}/cancel").status_code == 403


def test_unknown_jobs_are_not_found(api, token):
    assert api(token).get(f"{JOBS}/{uuid.uuid4()}").status_code == 404


def test_the_schema_names_every_endpoint(client, db):
    schema = client.get("/api/schema/", {"format": "json"}).json()
    paths = set(schema["paths"])
    assert {JOBS, f"{JOBS}/estimate", "/api/v1/models/{model_id}/evaluation"} <= paths
