"""The reference names what bodies and answers hold, and answers hold what it names."""

from collections import defaultdict

import pytest
from django.utils.timezone import now
from rest_framework import serializers

from assistants.models import Answer, Assistant, Rule, TestCase, Version
from engine.spec import SPEC_CLASSES, hyperparameters_class
from inference.models import Deployment, Feedback, RequestLog
from projects import storage
from projects.importing.editing import edit_version
from projects.models import DatasetVersion
from projects.profiling.table_profile import profile_table
from projects.queries.rows import connect
from tests.web.reference.schema import operations, problems_of, reference
from tests.web.test_outsiders import concrete
from training.models import (
    Analysis,
    Checkpoint,
    JobEvent,
    MetricPoint,
    TrainedModel,
    TrainingJob,
    Trial,
)

# What holds other things each time, and why.
FREE = {
    "AnalysisAnswer.result": "each kind of analysis of the engine has a result of its own",
    "ConsultRequest.metadata": "whatever the caller's rules ask for",
    "EventAnswer.detail": "each kind of event has facts of its own",
    "JobBody.integrations.*": "refused, unless there are none",
    "NoticeAnswer.data": "each kind of notice has ids and facts of its own",
    "RequestAnswer.asked": "the body that a caller sent to a model",
    "StoredInspection.result.*": "the engine's own record, which a launch compares with its spec",
    "LabelExample.explanation.*": "words, a grid or cells, by the kind of input",
    "NumberExample.explanation.*": "words, a grid or cells, by the kind of input",
    "Report.explanations.*": "words, a grid or cells, by the kind of input",
}
SAYS_SOMETHING = ("$ref", "anyOf", "oneOf", "allOf", "enum")


def bare(schema: dict, name: str) -> list[str]:
    """The names of parts that say nothing about what they hold."""
    found = []
    for key in SAYS_SOMETHING[1:4]:
        for part in schema.get(key, []):
            found += bare(part, name)
    for field, part in schema.get("properties", {}).items():
        found += bare(part, f"{name}.{field}")
    if schema.get("type") == "array":
        found += bare(schema.get("items", {}), f"{name}.*")
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values:
        found += bare(values, f"{name}.*")
    elif schema.get("type") == "object" and "properties" not in schema:
        return [*found, name]
    if "type" not in schema and not any(key in schema for key in SAYS_SOMETHING):
        return [*found, name]
    return found


def test_no_part_of_the_reference_holds_just_anything():
    found = []
    for name, schema in reference()["components"]["schemas"].items():
        found += bare(schema, name)
    for path, method, operation in operations():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for kind, content in body.get("content", {}).items():
                found += bare(content.get("schema", {}), f"{method} {path} {kind}")
    assert set(found) == set(FREE)


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "array"}, {"nullable": True}])
def test_a_bare_part_is_found_wherever_it_stands(schema):
    assert bare(schema, "x") != []
    assert bare({"anyOf": [{"type": "string"}, schema]}, "x") != []
    assert bare({"type": "object", "additionalProperties": schema}, "x") != []
    assert bare({"type": "object", "properties": {"a": schema}}, "x")[0].startswith("x.a")


def test_two_serializers_never_share_a_name():
    """The second would stand in the reference where the first is meant."""
    waiting, places = list(serializers.Serializer.__subclasses__()), defaultdict(set)
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if ".api." in one.__module__:
            places[one.__name__].add(one.__module__)
    assert len(places) > 80
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("task", SPEC_CLASSES)
def test_hyperparameters_are_those_of_the_task_with_their_ranges(task):
    kind = hyperparameters_class(task)
    schema = reference()["components"]["schemas"][kind.__name__]
    assert set(schema["properties"]) == set(kind.model_fields)
    epochs = schema["properties"]["epochs"]
    assert (epochs["minimum"], epochs["type"]) == (0, "integer")
    assert epochs["default"] == kind.model_fields["epochs"].default
    assert problems_of({"epochs": 3}, schema) == []
    assert problems_of({"epochs": -1}, schema) != []
    assert problems_of({"epoch": 3}, schema) != []


@pytest.fixture
def filled(things, dataset_version, job, team, token):
    """Acme with something in every list that a row can stand in."""
    with storage.local_file(dataset_version.parquet_key) as path, connect() as connection:
        profile = profile_table(connection, path, dataset_version.columns)
    DatasetVersion.objects.update(profile=profile)
    dataset_version.refresh_from_db()
    edited = edit_version(dataset_version, [{"op": "drop_rows", "rows": [0]}], token)
    DatasetVersion.objects.filter(pk=edited.pk).update(
        status="ready",
        finished_at=now(),
        rows=200,
        rejected_rows=0,
        parquet_key=dataset_version.parquet_key,
        columns=dataset_version.columns,
        profile=profile,
    )
    TrainingJob.objects.filter(pk=job.pk).update(
        recipe={
            **job.recipe,
            "hyperparameters": {"epochs": 3, "learning_rate": 0.001},
            "search": {"trials": 4},
            "split": {"method": "random", "seed": 7},
        },
        estimate={"seconds": 1.5, "memory_bytes": 10, "cost_low_micro": 1, "cost_high_micro": 2},
    )
    _fill_job(job)
    _fill_deployment(things)
    return {**things, "name": "loss", "number": "1", "answer": _fill_assistant(things["assistant"])}


def _fill_job(job):
    JobEvent.objects.create(job=job, kind="started", message="It began.", data={"device": "cpu"})
    MetricPoint.objects.create(job=job, attempt_number=1, name="loss", step=1, value=0.5)
    Trial.objects.create(
        job=job, number=0, attempt_number=1, state="finished", score_name="accuracy", score=0.5,
        parameters={"learning_rate": 0.1, "schedule": "linear"}, scores=[0.4, 0.5],
    )  # fmt: skip
    Checkpoint.objects.create(
        job=job, attempt_number=1, step=1, storage_key="c", metrics={"accuracy": 0.5}
    )


def _fill_deployment(things):
    RequestLog.objects.create(
        deployment_id=things["deployment"], request_id="r1", status=200, inputs=["a text"],
        answers=["card"], asked={"input": "a text"}, latency_ms=3.5, rows=1, tokens=4,
    )  # fmt: skip
    team = Deployment.objects.get(pk=things["deployment"]).team
    Feedback.objects.create(team=team, request_id="r1", score=1)
    model = TrainedModel.objects.get(pk=things["model"])
    Analysis.objects.create(
        team=team, model=model, kind="groups", question={"column": "label"}, result={"rows": 3},
        finished_at=now(),
    )  # fmt: skip


def _fill_assistant(assistant_id):
    assistant = Assistant.objects.get(pk=assistant_id)
    Version.objects.create(
        assistant=assistant, number=1, encoder="e", promise=0.9, out_of_scope_share=0.1
    )
    Rule.objects.create(
        assistant=assistant, position=0, name="thanks", when={"says_any": ["thanks"]},
        then={"do": "say", "text": "You are welcome."}, examples_yes=["thanks"], examples_no=["no"],
    )  # fmt: skip
    TestCase.objects.create(assistant=assistant, question="Where?", expects="refuse")
    return str(Answer.objects.create(assistant=assistant, key="where", text="Here.").pk)


def address(path, values):
    return concrete(path.lstrip("/").replace("{", "<").replace("}", ">"), values)


# What this team has nothing of, by the operation.
NOT_HERE = {
    "compare_models": "asks for two models with predictions in storage",
    "export_visitor": "asks whose data",
    "read_promotion_rule": "the deployment has none",
}


@pytest.mark.django_db
def test_every_answer_of_a_get_is_as_the_reference_says(filled, api, token):
    client, seen, wrong = api(token), set(), {}
    for path, method, operation in operations():
        content = operation["responses"].get("200", {}).get("content", {})
        name = operation["operationId"]
        if method != "get" or "application/json" not in content or not path.startswith("/api/"):
            continue
        answer = client.get(address(path, filled))
        if answer.status_code != 200:
            wrong[name] = [answer.status_code, answer.content[:200]]
            continue
        seen.add(name)
        if problems := problems_of(answer.json(), content["application/json"]["schema"]):
            wrong[name] = problems[:5]
    assert len(seen) > 45
    assert wrong.keys() == NOT_HERE.keys(), wrong
