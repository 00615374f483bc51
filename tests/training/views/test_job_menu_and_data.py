"""A job's ⋯ menu, and the tab that says what training read."""

import pytest
from django.utils.timezone import now

from tests.training.made import make_model
from training.models import Evaluation, Status, TrainingJob

FACTS = {
    "train_rows": 30,
    "validation_rows": 4,
    "test_rows": 5,
    "labels": ["card", "transfer"],
    "warnings": ["1 row also appears in a later part of the split: it was left out."],
    "label_rows": {"train": [10, 20], "validation": [3, 1], "test": [2, 3]},
}


def page_of(client, job, tab="") -> str:
    return client.get(f"/jobs/{job.pk}/?tab={tab}").content.decode()


def test_before_the_data_is_read_the_tab_says_so(job, alice, client_of):
    client = client_of(alice)
    assert "as soon as a machine has loaded" in page_of(client, job, "data")
    job.cancel("stopped")
    assert "ended before it had read its data" in page_of(client, job, "data")


def test_the_data_tab_shows_what_the_engine_counted(job, alice, client_of):
    version = job.dataset_version
    version.overrides, version.rows = {"mask": ["phone"]}, 41
    version.save(update_fields=["overrides", "rows"])
    TrainingJob.objects.filter(pk=job.pk).update(data_facts=FACTS)
    page = " ".join(page_of(client_of(alice), job, "data").split())
    assert "<dt>Training rows</dt><dd>30</dd>" in page
    assert "<strong>39</strong>" in page
    assert "<dt>In the dataset, but not used</dt><dd>2</dd>" in page
    assert "<code>phone</code>" in page
    assert version.content_sha256 in page
    assert FACTS["warnings"][0] in page
    # The most frequent first, each with its rows in the three parts.
    transfer = page.index('data-label="Label">transfer')
    assert transfer < page.index('data-label="Label">card')
    cells = page[transfer:].split("</tr>")[0]
    for part, rows in (("Training rows", 20), ("Validation rows", 1), ("Test rows", 3)):
        assert f'"{part}">{rows}<' in cells


def test_the_report_adds_tokens_and_cut_texts(job, alice, client_of, tmp_path):
    job.start()
    model = make_model(job, tmp_path / "artifact", ["card", "transfer"])
    model.manifest = {"inputs": {"max_length": 128}}
    model.save()
    evaluation = Evaluation.objects.get()
    evaluation.report["data"] |= {"cut_rows": 7, "mean_tokens": 12.25}
    evaluation.save()
    job.succeed(model)
    TrainingJob.objects.filter(pk=job.pk).update(data_facts=FACTS)
    page = " ".join(page_of(client_of(alice), job, "data").split())
    assert "<dt>Texts whose end was cut</dt><dd>7</dd>" in page
    assert "<dd>12.3</dd>" in page or "<dd>12.2</dd>" in page
    assert "<dt>Most tokens of a row</dt><dd>128</dd>" in page


def test_a_job_of_an_older_engine_has_labels_without_counts(job, alice, client_of):
    facts = {name: value for name, value in FACTS.items() if name != "label_rows"}
    TrainingJob.objects.filter(pk=job.pk).update(data_facts=facts)
    page = page_of(client_of(alice), job, "data")
    assert "2 labels were learnt" in page
    assert 'data-label="Label"' not in page


def test_the_menu_copies_clones_compares_and_removes(job, alice, client_of):
    page = page_of(client_of(alice), job)
    assert f"/datasets/{job.dataset_version.dataset_id}/launch/?again={job.pk}" in page
    assert f"/teams/{job.team.slug}/jobs/?job={job.pk}" in page
    assert 'id="job-as-curl"' in page
    assert f"/jobs/{job.pk}/archive/" not in page  # It waits in the queue.
    TrainingJob.objects.filter(pk=job.pk).update(status=Status.CANCELLED, finished_at=now())
    page = page_of(client_of(alice), job)
    assert f"/jobs/{job.pk}/archive/" in page
    assert 'id="job-menu-end"' in page


def test_a_viewer_copies_and_compares_but_changes_nothing(job, vera, client_of):
    page = page_of(client_of(vera), job)
    assert 'id="job-as-curl"' in page
    assert f"/jobs/{job.pk}/rename/" not in page
    assert f"launch/?again={job.pk}" not in page


@pytest.mark.parametrize("tab", ["data", "events", "checkpoints", "cost"])
def test_tabs_that_refresh_themselves_answer_as_fragments(job, alice, client_of, tab):
    answer = client_of(alice).get(f"/jobs/{job.pk}/events/", {"tab": tab})
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
