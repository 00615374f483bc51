"""Fine-tuning jobs through the official client, up to where a trainer takes over."""

import json

import openai
import pytest
from django.utils.timezone import now

from accounts.models import Notice
from accounts.webhooks.payloads import build_events
from inference.fine_tuning import jobs, names
from inference.models import ApiFile, FineTuningJob, ScheduledDeployment
from tests.inference.openai import shapes
from tests.inference.openai.conftest import chat_rows, jsonl
from training.models import Checkpoint, JobEvent, MetricPoint, TrainedModel, TrainingJob

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_child")]
BASE = "small-language-model"


@pytest.fixture
def fine_tune(client, training_file, import_file):
    import_file(training_file.id)
    return client.fine_tuning.jobs.create(
        model=BASE,
        training_file=training_file.id,
        suffix="sums",
        seed=7,
        metadata={"team": "maths"},
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}},
        },
    )


def test_a_job_of_the_client_is_the_job_that_pages_show(client, fine_tune, alice, client_of):
    shapes.require_shape(fine_tune.to_dict(), shapes.JOB)
    assert (fine_tune.status, fine_tune.seed, fine_tune.metadata) == (
        "queued", 7, {"team": "maths"},
    )  # fmt: skip
    job = TrainingJob.objects.get(pk=fine_tune.id.removeprefix("ftjob-"))
    assert (job.name, job.task, job.recipe["messages_column"]) == (
        "sums", "text-generation", "messages",
    )  # fmt: skip
    chosen = job.recipe["hyperparameters"]
    assert (chosen["epochs"], chosen["rows_per_step"], chosen["seed"]) == (2, 4, 7)
    assert client_of(alice).get(f"/jobs/{job.pk}/").status_code == 200
    scheduled = ScheduledDeployment.objects.get(job=job)
    assert scheduled.name == f"ft:{BASE}:acme-labs:sums:{job.pk.hex[:12]}"


def test_a_job_waits_for_its_file(client, training_file, import_file):
    waiting = client.fine_tuning.jobs.create(model=BASE, training_file=training_file.id)
    assert waiting.status == "validating_files"
    assert client.fine_tuning.jobs.list_events(waiting.id).data == []
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.pause(waiting.id)
    import_file(training_file.id)
    jobs.launch_waiting()
    assert client.fine_tuning.jobs.retrieve(waiting.id).status == "queued"


def test_a_waiting_job_can_be_cancelled(client, training_file, import_file):
    waiting = client.fine_tuning.jobs.create(model=BASE, training_file=training_file.id)
    assert client.fine_tuning.jobs.cancel(waiting.id).status == "cancelled"
    import_file(training_file.id)
    jobs.launch_waiting()
    assert not TrainingJob.objects.exists()
    assert end_events(client, waiting, "cancelled") == "cancelled"


def test_a_job_that_fails_before_its_launch_is_told(client, training_file, import_file):
    waiting = client.fine_tuning.jobs.create(model=BASE, training_file=training_file.id)
    version = FineTuningJob.objects.get().dataset_version
    version.status, version.failure_code = "failed", "bad"
    version.failure_sentence, version.finished_at = "This file is no table.", now()
    version.save()
    jobs.launch_waiting()
    assert end_events(client, waiting, "failed") == "failed"
    assert Notice.objects.get().sentence == f"{BASE}: This file is no table."


def end_events(client, fine_tune, status):
    """The status of the job that both forms of the one event are about."""
    (notice,) = Notice.objects.filter(event=f"training_job.{status}")
    assert notice.about is not None
    (_, _, ours), (name, _, theirs) = build_events(notice)
    assert name == f"fine_tuning.job.{status}"
    assert json.loads(ours)["data"]["status"] == status
    return client.fine_tuning.jobs.retrieve(json.loads(theirs)["data"]["id"]).status


def test_cancel_pause_and_resume_give_the_job(client, fine_tune):
    assert client.fine_tuning.jobs.pause(fine_tune.id).status == "paused"
    assert client.fine_tuning.jobs.resume(fine_tune.id).status == "queued"
    assert client.fine_tuning.jobs.cancel(fine_tune.id).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.cancel(fine_tune.id)


def bad_rows(**change):
    rows = chat_rows()
    rows[2]["messages"][2] |= change
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (chat_rows(9), "9 examples"),
        (bad_rows(role="robot"), "Line 3: the chat names the role 'robot' in message 3"),
        (bad_rows(content=""), "Line 3: the chat has an empty answer"),
        (bad_rows(weight=2), "Line 3: the chat gives message 3 the weight 2"),
        (bad_rows(weight=0), "Line 3: the chat gives every answer the weight 0"),
        (bad_rows(weight=True), "Line 3: the chat gives message 3 the weight true"),
        ([*chat_rows(), {"text": "x"}], "Line 13: the key 'messages' is missing"),
        ([{"prompt": "a", "completion": "b"}] * 5 + [{"prompt": "a"}] * 5, "Line 6: 'completion'"),
        ([{**row, "tools": [{}]} for row in chat_rows()], "Line 1: tools"),
    ],
)
def test_a_line_that_cannot_be_learnt_is_named(client, rows, said):
    file = client.files.create(file=jsonl(rows), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match=said) as refused:
        client.fine_tuning.jobs.create(model=BASE, training_file=file.id)
    assert refused.value.param == "training_file"
    assert not FineTuningJob.objects.exists()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "gpt-4o-mini"}, "model"),
        ({"model": "ft:small-language-model:a:b:0123456789ab"}, "model"),
        ({"training_file": "file-abc"}, "training_file"),
        ({"validation_file": "file-abc"}, "validation_file"),
        ({"suffix": "a b"}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ({"metadata": {"k": "x" * 513}}, "metadata"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"method": {"type": "reinforcement", "reinforcement": {}}}, "method.type"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size"),
        (
            {"hyperparameters": {"learning_rate_multiplier": 0}},
            "hyperparameters.learning_rate_multiplier",
        ),
        (
            {"hyperparameters": {"learning_rate_multiplier": 1e9}},
            "hyperparameters.learning_rate_multiplier",
        ),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_every_wrong_parameter_is_named(client, training_file, body, param):
    complete = {"model": BASE, "training_file": training_file.id} | body
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/fine_tuning/jobs", body=complete, cast_to=object)
    assert refused.value.status_code == (404 if param.endswith("_file") else 400)
    shapes.require_shape(refused.value.response.json(), shapes.ERROR_RESPONSE)
    assert refused.value.param.startswith(param), refused.value.body
    assert "not accepted here" not in refused.value.body["message"]
    assert not FineTuningJob.objects.exists()


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        ({"n_epochs": 0}, "It must be one of: auto, or it must be 1 or more."),
        ({"n_epochs": 51}, "It must be one of: auto, or it must be 50 or less."),
        ({"batch_size": "many"}, "It must be one of: auto, or it must be a whole number."),
        ({"learning_rate_multiplier": []}, "It must be one of: auto, or it must be a number."),
    ],
)
def test_every_choice_of_a_hyperparameter_is_said(client, training_file, hyperparameters, sentence):
    request = {"model": BASE, "training_file": training_file.id, "hyperparameters": hyperparameters}
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/fine_tuning/jobs", body=request, cast_to=object)
    (name,) = hyperparameters
    assert refused.value.body["message"] == f"hyperparameters.{name}: {sentence}"


def preference_rows(count=12):
    return [
        {
            "input": {
                "messages": [{"role": "user", "content": f"What is {number} plus one?"}],
                "tools": [],
                "parallel_tool_calls": True,
            },
            "preferred_output": [{"role": "assistant", "content": str(number + 1)}],
            "non_preferred_output": [{"role": "assistant", "content": "Who knows."}],
        }
        for number in range(count)
    ]


def test_preferences_are_learnt_by_dpo(client, import_file):
    file = client.files.create(file=jsonl(preference_rows()), purpose="fine-tune")
    import_file(file.id)
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 3}}}
    made = client.fine_tuning.jobs.create(model=BASE, training_file=file.id, method=method)
    shapes.require_shape(made.to_dict(), shapes.JOB)
    assert (made.status, made.method.type, made.method.dpo.hyperparameters.beta) == (
        "queued", "dpo", 0.2,
    )  # fmt: skip
    recipe = TrainingJob.objects.get().recipe
    assert recipe["prompt_columns"] == ["input.messages"]
    assert recipe["rejected_column"] == "non_preferred_output"
    assert (recipe["hyperparameters"]["beta"], recipe["hyperparameters"]["epochs"]) == (0.2, 3)
    (together,) = client.get("/fine-tunes", cast_to=object)["data"]
    assert together["training_method"] == {"method": "dpo"}


def test_a_file_of_the_other_method_is_refused(client, training_file, import_file):
    preferences = client.files.create(file=jsonl(preference_rows()), purpose="fine-tune")
    dpo = {"type": "dpo"}
    for body, said in (
        ({"training_file": training_file.id, "method": dpo}, "Line 1: 'input' must be an object"),
        ({"training_file": preferences.id}, "use the method 'dpo'"),
        ({"training_file": preferences.id, "method": {**dpo, "supervised": {}}}, "leave method"),
        ({"training_file": preferences.id, "method": dpo, "model": "all-MiniLM-L6-v2"}, "by dpo"),
    ):
        with pytest.raises(openai.BadRequestError, match=said):
            client.post("/fine_tuning/jobs", body={"model": BASE} | body, cast_to=object)
    assert not FineTuningJob.objects.exists()


def test_training_goes_on_from_a_finished_fine_tune(client, fine_tune, training_file):
    job = TrainingJob.objects.get()
    name = names.fine_tuned_model_name(FineTuningJob.objects.get())
    again = {"model": name, "training_file": training_file.id, "suffix": "more"}
    with pytest.raises(openai.BadRequestError, match="no finished"):
        client.fine_tuning.jobs.create(**again)
    model = TrainedModel.objects.create(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="m",
        task=job.task, base_model=job.base_model, artifact_key="artifacts/none",
    )  # fmt: skip
    job.start()
    job.succeed(model)
    made = client.fine_tuning.jobs.create(**again)
    assert (made.model, made.status) == (name, "queued")
    later = TrainingJob.objects.get(initial_model=model)
    assert later.base_model == BASE
    new_name = names.fine_tuned_model_name(FineTuningJob.objects.get(job=later))
    assert new_name == f"ft:{BASE}:acme-labs:more:{later.pk.hex[:12]}"
    with pytest.raises(openai.BadRequestError, match="not from checkpoints"):
        client.fine_tuning.jobs.create(**again | {"model": f"{name}:ckpt-step-3"})


def test_an_integration_of_null_is_none(client, training_file):
    made = client.fine_tuning.jobs.create(
        model=BASE, training_file=training_file.id, integrations=None, suffix=None
    )
    assert made.integrations == []


def test_a_validation_file_is_what_chooses_the_epoch(client, training_file, import_file):
    validation = client.files.create(file=jsonl(chat_rows(10), "v.jsonl"), purpose="fine-tune")
    made = client.fine_tuning.jobs.create(
        model=BASE, training_file=training_file.id, validation_file=validation.id
    )
    row = FineTuningJob.objects.get()
    import_file(row.dataset_version.pk.hex)
    jobs.launch_waiting()
    assert client.fine_tuning.jobs.retrieve(made.id).validation_file == validation.id
    row.refresh_from_db()
    assert row.job is not None, row.error_message
    split = row.job.recipe["split"]
    assert (split["method"], split["column"]) == ("column", jobs.SPLIT_COLUMN)
    assert row.dataset_version.rows == 22
    again = client.fine_tuning.jobs.create(
        model=BASE, training_file=training_file.id, validation_file=validation.id
    )
    assert again.status == "queued"  # Joined once.


def test_jobs_are_listed_with_those_of_pages(client, stranger, fine_tune, job):
    page = client.fine_tuning.jobs.list()
    shapes.require_shape(page.to_dict(), shapes.page_of(shapes.JOB))
    assert {one.id for one in page} == {fine_tune.id, f"ftjob-{job.pk.hex}"}
    assert [one.id for one in client.fine_tuning.jobs.list(limit=1)] == [one.id for one in page]
    by_metadata = client.fine_tuning.jobs.list(metadata={"team": "maths"})
    assert [one.id for one in by_metadata] == [fine_tune.id]
    assert list(client.fine_tuning.jobs.list(metadata={"team": "none"})) == []
    assert list(stranger.fine_tuning.jobs.list()) == []
    with pytest.raises(openai.NotFoundError):
        stranger.fine_tuning.jobs.retrieve(fine_tune.id)
    assert ApiFile.objects.get(pk=job.dataset_version_id).filename == "tickets.csv"


def test_events_are_sentences_and_measurements(client, fine_tune):
    job = TrainingJob.objects.get(pk=fine_tune.id.removeprefix("ftjob-"))
    for step in range(1, 6):
        MetricPoint.objects.create(
            job=job, attempt_number=1, name="train_loss", step=step, value=1 / step
        )
    JobEvent.objects.create(job=job, message="Halfway", level="warning")
    page = client.fine_tuning.jobs.list_events(fine_tune.id)
    shapes.require_shape(page.to_dict(), shapes.page_of(shapes.EVENT))
    kinds = [event.type for event in page.data]
    assert kinds == ["message", *["metrics"] * 5, "message"]
    assert page.data[0].level == "warn"
    assert page.data[1].data["train_loss"] == pytest.approx(0.2)
    one_by_one = client.fine_tuning.jobs.list_events(fine_tune.id, limit=1)
    assert [event.id for event in one_by_one] == [event.id for event in page.data]
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.list_events(fine_tune.id, after="ftevent-x")


def test_checkpoints_are_listed(client, fine_tune):
    job = TrainingJob.objects.get(pk=fine_tune.id.removeprefix("ftjob-"))
    for step in (10, 20, 30):
        Checkpoint.objects.create(
            job=job, attempt_number=1, step=step, storage_key="x",
            metrics={"validation_loss": 1.5},
        )  # fmt: skip
    page = client.fine_tuning.jobs.checkpoints.list(fine_tune.id, limit=2)
    shapes.require_shape(page.to_dict(), shapes.page_of(shapes.CHECKPOINT))
    assert [one.step_number for one in page] == [30, 20, 10]
    row = FineTuningJob.objects.get()
    first = page.data[0]
    assert first.fine_tuned_model_checkpoint == (f"{names.fine_tuned_model_name(row)}:ckpt-step-30")
    assert first.metrics.valid_loss == 1.5


def test_permissions_of_a_checkpoint_are_those_of_the_team(client, stranger, fine_tune, project):
    name = f"{names.fine_tuned_model_name(FineTuningJob.objects.get())}:ckpt-step-3"
    address = f"/fine_tuning/checkpoints/{name}/permissions"
    listed = client.get(address, cast_to=object)["data"]
    assert {one["project_id"] for one in listed} >= {f"proj_{project.pk.hex}"}
    body = {"project_ids": [f"proj_{project.pk.hex}"]}
    (permission,) = client.post(address, body=body, cast_to=object)["data"]
    assert permission["object"] == "checkpoint.permission"
    with pytest.raises(openai.ConflictError):
        client.delete(f"{address}/{permission['id']}", cast_to=object)
    with pytest.raises(openai.BadRequestError):
        client.post(address, body={"project_ids": ["proj_x"]}, cast_to=object)
    with pytest.raises(openai.NotFoundError):
        stranger.get(address, cast_to=object)


# As Together's own client sends them where a person names no more than a model and a file.
TOGETHER_DEFAULTS = {
    "n_epochs": 1, "validation_file": "", "n_evals": 0, "n_checkpoints": 1, "batch_size": "max",
    "learning_rate": 1e-5, "warmup_ratio": 0.0, "max_grad_norm": 1.0, "weight_decay": 0.0,
    "lr_scheduler": {"lr_scheduler_type": "linear", "lr_scheduler_args": {"min_lr_ratio": 0.0}},
    "training_type": {"type": "Full"}, "wandb_key": None, "from_hf_model": None,
    "training_method": {"method": "sft", "train_on_inputs": "auto"},
}  # fmt: skip
LORA = {
    "type": "Lora", "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0.1,
    "lora_trainable_modules": "all-linear",
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "asked", "chosen"),
    [
        (BASE, {}, {"method": "full", "epochs": 1, "learning_rate": 1e-5, "weight_decay": 0}),
        (
            "SmolLM2-135M-Instruct",
            {
                "training_type": LORA,
                "lr_scheduler": {
                    "lr_scheduler_type": "cosine",
                    "lr_scheduler_args": {"min_lr_ratio": 0, "num_cycles": 0.5},
                },
                "warmup_ratio": 0.25, "max_grad_norm": 2, "packing": False, "max_seq_length": 64,
                "n_epochs": 3, "n_evals": 3, "batch_size": 4,
            },
            {
                "method": "lora", "lora_rank": 8, "lora_alpha": 16, "lora_dropout": 0.1,
                "schedule": "cosine", "warmup_fraction": 0.25, "gradient_clip": 2,
                "packing": False, "max_length": 64, "epochs": 3, "rows_per_step": 4,
            },
        ),
    ],
)  # fmt: skip
def test_togethers_hyperparameters_are_the_trainers(
    client, training_file, import_file, model, asked, chosen
):
    import_file(training_file.id)
    body = TOGETHER_DEFAULTS | {"model": model, "training_file": training_file.id} | asked
    made = client.post("/fine-tunes", body=body, cast_to=object)
    assert made["learning_rate"] == 1e-5
    recipe = TrainingJob.objects.get().recipe["hyperparameters"]
    assert {name: recipe[name] for name in chosen} == chosen
    shown = client.fine_tuning.jobs.retrieve(made["id"])
    shapes.require_shape(shown.to_dict(), shapes.JOB)
    assert "engine" not in shown.method.to_dict()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n_evals": 3}, "n_evals"),
        ({"n_checkpoints": 2}, "n_checkpoints"),
        ({"learning_rate": 2}, "learning_rate"),
        ({"train_on_inputs": True}, "train_on_inputs"),
        ({"training_type": {"type": "Full", "lora_r": 4}}, "training_type"),
        ({"training_type": LORA | {"lora_trainable_modules": "q_proj"}}, "training_type"),
        ({"lr_scheduler": {"lr_scheduler_type": "cosine", "lr_scheduler_args": {"num_cycles": 2}}},
         "lr_scheduler.lr_scheduler_args.num_cycles"),
        ({"training_method": {"method": "sft", "dpo_beta": 0.1}}, "training_method.dpo_beta"),
        ({"training_method": {"method": "dpo", "simpo_gamma": 0.1}}, "training_method.simpo_gamma"),
        ({"wandb_key": "k"}, "wandb_key"),
        ({"from_checkpoint": "x"}, "model"),
        ({"model": None}, "model"),
        ({"model": None, "from_checkpoint": "ftjob-0:30"}, "from_checkpoint"),
        ({"model": "all-MiniLM-L6-v2", "packing": True}, "model"),
        ({"surprise": 1}, "surprise"),
    ],
)  # fmt: skip
def test_what_the_trainer_cannot_do_is_refused_by_togethers_name(
    client, training_file, change, param
):
    body = TOGETHER_DEFAULTS | {"model": BASE, "training_file": training_file.id} | change
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/fine-tunes", body=body, cast_to=object)
    assert refused.value.param.startswith(param), refused.value.body
    assert not FineTuningJob.objects.exists()


def test_together_goes_on_from_a_finished_job(client, fine_tune, training_file):
    job = TrainingJob.objects.get()
    model = TrainedModel.objects.create(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="m",
        task=job.task, base_model=job.base_model, artifact_key="artifacts/none",
    )  # fmt: skip
    job.start()
    job.succeed(model)
    body = {"from_checkpoint": fine_tune.id, "training_file": training_file.id}
    made = client.post("/fine-tunes", body=body, cast_to=object)
    assert TrainingJob.objects.get(initial_model=model).pk.hex == made["id"].removeprefix("ftjob-")


def test_togethers_clients_find_the_same_jobs(client, training_file, import_file):
    import_file(training_file.id)
    made = client.post(
        "/fine-tunes",
        body={"model": BASE, "training_file": training_file.id, "n_epochs": 3},
        cast_to=object,
    )
    assert made["status"] == "queued"
    assert client.get(f"/fine-tunes/{made['id']}", cast_to=object)["n_epochs"] == 3
    listed = client.get("/fine-tunes", cast_to=object)["data"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert client.get(f"/fine-tunes/{made['id']}/events", cast_to=object)["data"]
    assert client.get(f"/fine-tunes/{made['id']}/metrics", cast_to=object) == {"metrics": []}
    assert client.fine_tuning.jobs.retrieve(made["id"]).status == "queued"
    cancelled = client.post(f"/fine-tunes/{made['id']}/cancel", cast_to=object)
    assert cancelled["status"] == "cancelled"
