"""The launch page: the estimate comes before the button, and the button names the blocker."""

import re

import pytest

from accounts.models import AuditEntry
from billing.models import Budget
from projects.importing import imports
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion
from tests.training.made import make_model
from training.models import ComputeClass, TrainingJob

GOOD = {
    "version": "1",
    "text_columns": "text",
    "target_column": "label",
    "base_model": "all-MiniLM-L6-v2",
    "compute": "cpu",
    "hyperparameters-epochs": "2",
}


def url(version: DatasetVersion, tail: str = "launch/") -> str:
    return f"/datasets/{version.dataset_id}/{tail}"


def button(page: str) -> str:
    return page[page.index('<button id="launch-button"') :].split("</button>")[0]


def test_the_first_page_has_the_suggested_mapping_an_estimate_and_a_live_button(
    dataset_version, alice, client_of
):
    page = client_of(alice).get(url(dataset_version)).content.decode()
    assert 'value="text" id="id_text_columns_0" checked' in page.replace("\n", " ")
    assert '<option value="label" selected>' in page
    assert "my card never arrived 0" in page
    assert "disabled" not in button(page)
    assert "up to $0.01" in button(page)


def test_every_hyperparameter_of_the_engine_is_on_the_page(dataset_version, alice, client_of):
    from engine.spec import TextHyperparameters

    page = client_of(alice).get(url(dataset_version)).content.decode()
    for name in TextHyperparameters.model_fields:
        assert f'name="hyperparameters-{name}"' in page


def test_another_task_brings_its_own_form(dataset_version, alice, client_of):
    page = client_of(alice).get(url(dataset_version), {"task": "text-regression"}).content.decode()
    assert '<option value="text-regression" selected>' in page
    assert 'name="text_columns"' in page
    assert client_of(alice).get(url(dataset_version), {"task": "poetry"}).status_code == 200


@pytest.mark.slow
def test_sums_among_the_rows_are_left_out_by_one_click_before_the_launch(project, alice, client_of):
    rows = [f"{'NS'[n // 20]},{n},{n * 7 % 13}" for n in range(40)]
    rows.append(f"Total,{sum(range(40))},{sum(n * 7 % 13 for n in range(40))}")
    content = "\n".join(["region,day,sales", *rows]).encode()
    received = receive_upload(project=project, filename="s.csv", chunks=[content], by=alice)
    imports.import_version(received.version.pk)
    version = DatasetVersion.objects.get(pk=received.version.pk)
    client = client_of(alice)
    page = client.get(url(version)).content.decode()
    assert "Row 41 sums up other rows" in page
    codes = [warning.get("code") for warning in version.profile["warnings"]]
    place = codes.index("summary_rows")
    assert f'action="/datasets/{version.dataset_id}/fix/?version=1"' in page
    assert f'name="warning" value="{place}"' in page
    client.post(f"/datasets/{version.dataset_id}/fix/?version=1", {"warning": place})
    newest = version.dataset.latest
    imports.import_version(newest.pk)
    newest.refresh_from_db()
    assert (newest.number, newest.rows) == (2, 40)
    assert "sums up other rows" not in client.get(url(version)).content.decode()


def test_each_proposal_of_the_import_is_a_link_that_fills_the_form(
    dataset_version, alice, client_of
):
    """A number that names no proposal shows the first one."""
    other = {
        "task": "text-regression",
        "text_columns": ["label"],
        "target_column": "text",
        "why": "Odd.",
    }
    profile = dataset_version.profile | {"proposals": [dataset_version.profile["suggested"], other]}
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(profile=profile)
    page = client_of(alice).get(f"/datasets/{dataset_version.dataset_id}/").content.decode()
    link = f"{url(dataset_version)}?version={dataset_version.number}&amp;proposal=1"
    assert link in page
    assert "Odd." in page
    form = client_of(alice).get(link.replace("&amp;", "&")).content.decode()
    assert '<option value="text-regression" selected>' in form
    assert '<option value="text" selected>' in form
    for number in ("7", "x", "-1", "9" * 40):
        answer = client_of(alice).get(url(dataset_version), {"proposal": number})
        assert '<option value="text-classification" selected>' in answer.content.decode()


def test_a_task_that_is_chosen_is_launched(dataset_version, alice, client_of):
    chosen = {
        "task": "text-generation",
        "prompt_columns": "text",
        "completion_column": "label",
        "base_model": "small-language-model",
    }
    client_of(alice).post(url(dataset_version), GOOD | chosen)
    job = TrainingJob.objects.get()
    assert (job.task, job.recipe["task"]) == ("text-generation", "text-generation")


@pytest.mark.parametrize(
    ("change", "blocker"),
    [
        ({"text_columns": ""}, "Choose a text column"),
        ({"target_column": ""}, "Choose the label column"),
        ({"target_column": "text"}, "Text and label cannot be the same column"),
        ({"hyperparameters-epochs": "-1"}, "Check the advanced options"),
        ({"hyperparameters-label_smoothing": "0.5"}, "Check the advanced options"),
        ({"hyperparameters-learning_rate": "nan"}, "Check the advanced options"),
        ({"time_limit_hours": "25"}, "A time limit on CPU is 60 s to 24 h"),
        ({"time_limit_hours": "0", "time_limit_minutes": "0"}, "A time limit on CPU is 60 s"),
        ({"time_limit_minutes": "75"}, "A time limit is whole minutes"),
        ({"time_limit_hours": "a while"}, "A time limit is whole hours"),
    ],
)
def test_the_button_is_off_and_says_why(dataset_version, alice, client_of, change, blocker):
    fields = {name: value for name, value in (GOOD | change).items() if value}
    page = client_of(alice).get(url(dataset_version, "estimate/"), fields).content.decode()
    assert "disabled" in button(page)
    assert blocker in button(page)
    answer = client_of(alice).post(url(dataset_version), fields)
    assert answer.status_code == 400
    assert blocker in button(answer.content.decode())
    assert not TrainingJob.objects.exists()


def test_an_estimate_over_the_cap_turns_the_button_off(dataset_version, alice, client_of, team):
    from billing.budgets import budget

    budget.get_budget(team)
    Budget.objects.filter(team=team).update(cap_micro=0)
    page = client_of(alice).get(url(dataset_version, "estimate/"), GOOD).content.decode()
    assert "disabled" in button(page)
    assert "Raise the cap" in page


def test_a_launch_queues_the_job_and_is_on_record(dataset_version, bob, client_of):
    answer = client_of(bob).post(url(dataset_version), GOOD | {"name": "Mine"})
    job = TrainingJob.objects.get()
    assert answer.url == f"/jobs/{job.pk}/"
    assert (job.name, job.status, job.launched_by) == ("Mine", "queued", bob)
    assert job.recipe["hyperparameters"]["epochs"] == 2
    assert job.estimate["cost_high_micro"] > 0
    assert AuditEntry.objects.filter(action="job.launched", target=str(job.pk)).exists()


def test_a_preset_says_what_it_came_to_last_time_and_else_that_nobody_knows(
    dataset_version, alice, client_of, tmp_path
):
    client = client_of(alice)
    form = {name: value for name, value in GOOD.items() if not name.startswith("hyper")}
    client.post(url(dataset_version), form | {"preset": "quick"})
    job = TrainingJob.objects.get()
    unknown = "Quality: not known before its first run"
    assert client.get(url(dataset_version)).content.decode().count(unknown) == 3
    job.start()
    model = make_model(job, tmp_path / "artifact", ["card", "transfer"])
    model.metrics = {"accuracy": 0.8125}
    model.save()
    job.succeed(model)
    TrainingJob.objects.filter(pk=job.pk).update(data_facts={"test_rows": 120})
    page = client.get(url(dataset_version)).content.decode()
    quick = page.split('value="quick"')[1].split("</label>")[0]
    assert "Accuracy 81.2%" in quick
    assert "120 test rows of v1" in quick
    assert page.count(unknown) == 2
    # Of other columns, another base model or settings of its own it says nothing.
    for field, value in (
        ("base_model", "bert-base-uncased"),
        ("recipe", job.recipe | {"target_column": "text", "text_columns": ["label"]}),
        ("recipe", job.recipe | {"hyperparameters": {"epochs": 77}}),
        ("task", "text-regression"),
    ):
        TrainingJob.objects.filter(pk=job.pk).update(**{field: value})
        assert client.get(url(dataset_version)).content.decode().count(unknown) == 3
        job.save(update_fields=[field])


def test_launching_again_starts_from_the_earlier_settings(job, alice, client_of):
    TrainingJob.objects.filter(pk=job.pk).update(
        recipe=job.recipe | {"hyperparameters": {"epochs": 7}}
    )
    path = url(job.dataset_version)
    page = client_of(alice).get(path, {"again": str(job.pk)}).content.decode()
    assert 'name="hyperparameters-epochs" value="7"' in page
    assert client_of(alice).get(path, {"again": "nonsense"}).status_code == 200


def test_a_time_limit_is_hours_and_minutes_and_stays_when_launched_again(
    dataset_version, alice, client_of
):
    limit = {"time_limit_hours": "1", "time_limit_minutes": "30"}
    client_of(alice).post(url(dataset_version), GOOD | limit)
    job = TrainingJob.objects.get()
    assert job.time_limit_seconds == 5400
    page = client_of(alice).get(url(dataset_version), {"again": str(job.pk)}).content.decode()
    assert 'name="time_limit_hours" value="1"' in page
    assert 'name="time_limit_minutes" value="30"' in page
    assert "the most allowed, 24 h" in page


def test_a_wrong_time_limit_is_named_at_its_field(dataset_version, alice, client_of):
    answer = client_of(alice).post(url(dataset_version), GOOD | {"time_limit_hours": "1000"})
    field = answer.content.decode().partition("<legend>Time limit")[2].partition("</fieldset>")[0]
    assert "A time limit is whole hours, of 0 to 720 hours" in field


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        ({"folds": "1"}, "One fold leaves nothing to train on", "只有一折就没有可供训练的行"),
        (
            {"label_separator": "123456"},
            "at most 5 characters (it has 6)",
            "确保该变量包含不超过 5 字符",
        ),
        ({"label_smoothing": "0.5"}, "It must be less than 0.5.", "必须小于 0.5。"),
        ({"head_learning_rate": "0"}, "It must be more than 0.", "必须大于 0。"),
    ],
)
def test_a_wrong_setting_is_said_plainly_at_its_field(
    dataset_version, alice, client_of, change, english, chinese
):
    client, (name,) = client_of(alice), change
    sent = GOOD | {f"hyperparameters-{name}": change[name]}
    for language, sentence in (("en", english), ("zh-hans", chinese)):
        type(alice).objects.update(language=language)
        page = client.post(url(dataset_version), sent).content.decode()
        at_field = page.partition(f'id="id_hyperparameters-{name}_error"')[2].partition("</ul>")[0]
        assert sentence in at_field
        assert "Value error" not in page


def test_the_time_limit_speaks_chinese(dataset_version, alice, client_of):
    ComputeClass.objects.create(
        code="slow", name="Slow box", device="cpu", time_limit_seconds=5400, order=9,
        memory_bytes=2**34,
    )  # fmt: skip
    type(alice).objects.update(language="zh-hans")
    answer = client_of(alice).post(
        url(dataset_version), GOOD | {"compute": "slow", "time_limit_hours": "9"}
    )
    page = answer.content.decode()
    field = page[page.index('name="time_limit_hours"') :].partition("</fieldset>")[0]
    help_text = field.partition('<p class="muted">')[2].partition("</p>")[0]
    assert "24 小时" in help_text
    assert "1 小时 30 分钟" in help_text
    assert "Slow box" in help_text
    assert not re.search(r"\b(At|most|on|min|h|Empty)\b", help_text)
    error = field.partition("errorlist")[2]
    assert "60 秒" in error
    assert "1 小时 30 分钟" in error


def test_column_names_are_shown_as_text(dataset_version, alice, client_of):
    name = '"><script>alert(1)</script>'
    dataset_version.columns = [*dataset_version.columns, {"name": name, "type": "text"}]
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(columns=dataset_version.columns)
    page = client_of(alice).get(url(dataset_version)).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_dataset_that_is_not_ready_cannot_be_launched(dataset, alice, client_of):
    DatasetVersion.objects.create(
        dataset=dataset, number=1, filename="x", upload_key="x", upload_bytes=1, upload_sha256="0"
    )
    answer = client_of(alice).get(f"/datasets/{dataset.pk}/launch/")
    assert answer.status_code == 409
    assert "still importing" in answer.content.decode()


@pytest.mark.parametrize(("number", "status"), [("²", 200), ("99", 404), ("x", 200), ("-1", 200)])
def test_a_version_number_that_is_none_gives_no_error(
    dataset_version, alice, client_of, number, status
):
    answer = client_of(alice).get(url(dataset_version), {"version": number})
    assert answer.status_code == status


def test_a_viewer_sees_the_estimate_but_launches_nothing(dataset_version, vera, client_of):
    page = client_of(vera).get(url(dataset_version)).content.decode()
    assert "Your role may not launch" in button(page)
    assert client_of(vera).post(url(dataset_version), GOOD).status_code == 403
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("tail", ["launch/", "estimate/", "rows/"])
def test_strangers_and_the_signed_out_get_nothing(
    dataset_version, mallory, client_of, client, tail
):
    assert client_of(mallory).get(url(dataset_version, tail)).status_code == 404
    assert client.get(url(dataset_version, tail)).status_code == 302


def test_the_datasets_page_fetches_what_the_suggested_fine_tune_would_take(
    dataset_version, alice, client_of
):
    client = client_of(alice)
    page = client.get(url(dataset_version, "offer/")).content.decode()
    assert "Takes " in page
    assert "costs up to $0.01." in page
    address = f"/datasets/{dataset_version.dataset_id}/"
    assert "/offer/?version=1" in client.get(address).content.decode()
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(profile={})
    assert "/offer/" not in client.get(address).content.decode()  # Nothing is suggested.


def test_nothing_is_promised_for_data_that_cannot_be_learnt_from(dataset_version, alice, client_of):
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(columns=[])
    answer = client_of(alice).get(url(dataset_version, "offer/"))
    assert (answer.status_code, answer.content.decode().strip()) == (200, "")
