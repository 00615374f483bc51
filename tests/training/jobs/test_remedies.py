"""A failed job's page offers the button that helps, and the launch page shows what it changes."""

import pytest

from training.jobs.remedies import remedy_for
from training.models import FailureCode, MetricPoint, TrainingJob


def failed(job: TrainingJob, code: FailureCode, **hyperparameters: object) -> TrainingJob:
    job.recipe["hyperparameters"] = hyperparameters
    job.save()
    job.fail(code, "It failed.")
    return job


def told(job: TrainingJob) -> list[tuple[str, str, str]]:
    remedy = remedy_for(job)
    assert remedy is not None
    return [(one.title, one.before, one.after) for one in remedy.changes]


def test_out_of_memory_takes_a_quarter_of_the_batch_and_keeps_no_activations(job):
    failed(job, FailureCode.OUT_OF_MEMORY, batch_tokens=2048)
    assert told(job) == [
        ("Tokens per batch", "2,048", "512"),
        ("Gradient checkpointing", "no", "yes"),
    ]


def test_a_batch_that_was_left_open_is_the_one_that_was_planned(job):
    failed(job, FailureCode.OUT_OF_MEMORY)
    assert told(job)[0] == ("Tokens per batch", "512", "128")


def test_a_table_has_rows_in_its_batches_and_no_activations_to_keep(job):
    job.task = "tabular-classification"
    failed(job, FailureCode.OUT_OF_MEMORY, batch_rows=128)
    assert told(job) == [("Rows per batch", "128", "32")]


def test_nothing_is_offered_where_nothing_can_be_made_smaller(job):
    failed(job, FailureCode.OUT_OF_MEMORY, batch_tokens=32, gradient_checkpointing=True)
    assert remedy_for(job) is None


def test_a_diverged_job_learns_a_fifth_as_fast_as_it_did(job):
    failed(job, FailureCode.DIVERGED)
    MetricPoint.objects.create(
        job=job, attempt_number=1, name="learning_rate", step=1, value=0.0005
    )
    assert ("Learning rate", "0.0005", "0.0001") in told(job)


def test_out_of_time_gets_twice_the_time_within_what_the_machine_allows(job):
    job.time_limit_seconds = 3600
    failed(job, FailureCode.TIME_LIMIT)
    assert told(job) == [("Time limit", "1 h", "2 h")]
    job.time_limit_seconds = None
    assert remedy_for(job) is None


@pytest.mark.parametrize(
    "code", [FailureCode.BAD_DATA, FailureCode.WORKER_LOST, FailureCode.INTERNAL]
)
def test_settings_are_not_to_blame_for_the_rest(job, code):
    assert remedy_for(failed(job, code)) is None


def test_the_button_leads_to_a_launch_page_that_shows_the_change(job, alice, client_of):
    failed(job, FailureCode.OUT_OF_MEMORY, batch_tokens=2048, epochs=3)
    browser, dataset = client_of(alice), job.dataset_version.dataset_id
    page = browser.get(f"/jobs/{job.pk}/").content.decode()
    address = f"/datasets/{dataset}/launch/?again={job.pk}&amp;remedy"
    assert address in page
    assert "Launch with smaller batches" in page
    form = browser.get(address.replace("&amp;", "&")).content.decode()
    assert "<strong>512</strong> instead of 2,048" in form
    assert 'name="hyperparameters-batch_tokens" value="512"' in form
    assert 'name="hyperparameters-epochs" value="3"' in form


def test_bad_data_leads_to_the_data_and_a_lost_machine_to_a_retry(job, alice, client_of):
    failed(job, FailureCode.BAD_DATA)
    page = client_of(alice).get(f"/jobs/{job.pk}/").content.decode()
    assert f'<a class="btn" href="/datasets/{job.dataset_version.dataset_id}/?tab=quality">' in page
    assert "Retry from the start" not in page
    assert "Retry unchanged" in page


def test_who_may_only_look_is_offered_no_remedy(job, vera, client_of):
    failed(job, FailureCode.OUT_OF_MEMORY, batch_tokens=2048)
    page = client_of(vera).get(f"/jobs/{job.pk}/").content.decode()
    assert "It failed." in page
    assert "remedy" not in page
