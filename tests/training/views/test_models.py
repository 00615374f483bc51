"""The model page is the evaluation report, and every value on it is text."""

import io
import json
import zipfile

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.training.made import make_model
from training.models import Evaluation, TrainedModel
from training.queries.models import headline_test_result, latest_validation_result
from training.queries.report.verdict import judge_model

LABELS = ["<b>card</b>", "transfer & co", "a/b?c=d"]


@pytest.fixture
def model(job, tmp_path) -> TrainedModel:
    return make_model(job, tmp_path / "artifact", LABELS)


def body(answer) -> bytes:
    return b"".join(answer)


def test_the_report_leads_with_its_verdict_and_shows_the_engines_numbers(model, alice, client_of):
    page = client_of(alice).get(f"/models/{model.pk}/?tab=all").content.decode()
    report = Evaluation.objects.get().report
    assert judge_model(report).sentence in page
    accuracy = next(one for one in report["metrics"] if one["name"] == "accuracy")
    assert f"{accuracy['value']:.1%}" in page
    assert f"{accuracy['low']:.1%} – {accuracy['high']:.1%}" in page
    assert accuracy["method"].split(";")[0] in page
    assert f"scikit-learn {accuracy['version']}" in page
    assert "TF-IDF + logistic regression" in page
    assert "served and tested" in page


def test_figures_of_few_test_rows_say_what_they_rest_on(model, alice, client_of):
    evaluation = Evaluation.objects.get()
    sentence = (
        "The figures rest on 127 rows, since 15 test rows alone say little. 7 further models were"
        " made in the same way, each on other rows than it was tested on (cross-validation); the"
        " model itself answered the test rows."
    )
    crossed = {"rows": 127, "test_rows": 15, "fits": 7, "repeats": 1, "sentence": sentence}
    evaluation.report["cross_validation"] = crossed
    evaluation.save()
    page = client_of(alice).get(f"/models/{model.pk}/?tab=all").content.decode()
    assert page.count(sentence) >= 2
    assert "On 127 rows, each answered by a model that never saw it." in page
    assert "that nobody looked at before" not in page


def test_the_advice_to_take_the_quick_probe_has_its_button(model, job, alice, vera, client_of):
    job.start()
    job.succeed(model)
    version, address = model.dataset_version, f"/models/{model.pk}/"
    assert "quick probe" not in client_of(alice).get(address).content.decode()
    evaluation = Evaluation.objects.get()
    evaluation.report["next_step"] = (
        "The quick probe is about as good and trains in a fraction of the time: use it for"
        " experiments, and read the worst rows before adding more."
    )
    evaluation.report["verdict"] = "helped"
    evaluation.save()
    page = client_of(alice).get(address).content.decode()
    link = f"/datasets/{version.dataset_id}/launch/?version=1&amp;again={job.pk}&amp;probe"
    assert link in page
    assert link not in client_of(vera).get(address).content.decode()
    form = client_of(alice).get(link.replace("&amp;", "&")).content.decode()
    select = form.partition('name="hyperparameters-method"')[2].partition("</select>")[0]
    assert '<option value="probe" selected>' in select


def test_a_label_that_looks_wrong_leads_to_its_row(model, alice, client_of):
    evaluation = Evaluation.objects.get()
    issue = {"row": 51, "text": "t", "label": "a", "suggested": "b", "probability": 0.97}
    evaluation.report.setdefault("data", {})["label_issues"] = [issue]
    evaluation.save()
    page = client_of(alice).get(f"/models/{model.pk}/?tab=mistakes").content.decode()
    dataset = f"/datasets/{model.dataset_version.dataset_id}/"
    assert f'href="{dataset}?version=1&amp;tab=rows&amp;page=2#row-52"' in page


def test_labels_are_text_wherever_they_appear(model, alice, client_of):
    page = client_of(alice).get(f"/models/{model.pk}/?tab=all").content.decode()
    assert "<b>card</b>" not in page
    assert page.count("&lt;b&gt;card&lt;/b&gt;") > 5


def test_a_cell_of_the_matrix_opens_its_rows(model, alice, client_of):
    browser = client_of(alice)
    page = browser.get(f"/models/{model.pk}/?tab=confusion").content.decode()
    assert "true=a%2Fb%3Fc%3Dd&amp;predicted=a%2Fb%3Fc%3Dd" in page
    rows = browser.get(f"/models/{model.pk}/rows/", {"true": LABELS[2], "predicted": LABELS[2]})
    matrix = Evaluation.objects.get().report["confusion"]["matrix"]
    assert f"{matrix[2][2]} test rows" in rows.content.decode()
    none = browser.get(f"/models/{model.pk}/rows/", {"true": "no", "predicted": "such"})
    assert "No such rows" in none.content.decode()


def test_a_model_without_report_or_files_still_has_a_page(job, alice, client_of):
    bare = TrainedModel.objects.create(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="bare",
        task=job.task, base_model=job.base_model, artifact_key="artifacts/none",
    )  # fmt: skip
    browser = client_of(alice)
    assert "not been evaluated" in browser.get(f"/models/{bare.pk}/").content.decode()
    Evaluation.objects.create(model=bare, report={})
    assert browser.get(f"/models/{bare.pk}/").status_code == 200
    assert browser.get(f"/models/{bare.pk}/download/").status_code == 410


def test_the_download_is_a_whole_zip(model, alice, client_of):
    answer = client_of(alice).get(f"/models/{model.pk}/download/")
    assert answer["Content-Disposition"] == 'attachment; filename="support-intents.zip"'
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {"manifest.json", "model.onnx", "predictions.parquet"}
        assert archive.read("model.onnx") == b"weights" * 1000


def test_the_report_is_there_as_json(model, alice, client_of):
    answer = client_of(alice).get(f"/models/{model.pk}/report.json")
    assert json.loads(answer.content) == Evaluation.objects.get().report


@pytest.mark.parametrize("tail", ["", "rows/", "report.json", "download/"])
def test_strangers_and_the_signed_out_see_no_model(model, mallory, client_of, client, tail):
    assert client_of(mallory).get(f"/models/{model.pk}/{tail}").status_code == 404
    assert client.get(f"/models/{model.pk}/{tail}").status_code == 302


def test_the_list_asks_the_same_number_of_questions_however_long(model, alice, client_of):
    browser, path = client_of(alice), f"/teams/{model.team.slug}/models/"
    browser.get(path)
    with CaptureQueriesContext(connection) as few:
        assert model.name in browser.get(path).content.decode()
    for number in range(10):
        model.pk, model.name = TrainedModel._meta.pk.get_default(), f"copy {number}"
        model._state.adding = True
        model.save(force_insert=True)
    with CaptureQueriesContext(connection) as many:
        assert "copy 9" in browser.get(path).content.decode()
    assert len(many) == len(few)


def test_every_viewer_of_the_team_may_read_the_report(model, vera, client_of):
    assert client_of(vera).get(f"/models/{model.pk}/").status_code == 200


def test_every_task_is_listed_by_the_result_that_counts_for_it(job, model, alice, client_of):
    model.metrics = {"rmse": 0.6123, "mae": 0.5, "r2": 0.43}
    model.task, model.labels = "tabular-regression", []
    model.save()
    job.start()
    job.succeed(model)
    browser = client_of(alice)
    listed = browser.get(f"/teams/{model.team.slug}/models/").content.decode()
    assert "RMSE 0.612" in listed
    assert "R² 0.43" in listed
    assert "Accuracy" not in listed
    assert "RMSE 0.612" in browser.get(f"/teams/{model.team.slug}/jobs/").content.decode()


@pytest.mark.parametrize(
    ("values", "task", "shown"),
    [
        ({"validation_accuracy": 0.5, "validation_loss": 2.0}, "image-classification",
         ("Validation accuracy", "50.0%")),
        ({"validation_rmse": 0.25, "validation_loss": 2.0}, "text-regression",
         ("Validation RMSE", "0.250")),
        ({"validation_loss": 3.25}, "text-generation", ("Validation loss", "3.250")),
        ({}, "tabular-regression", ("Validation error", "—")),
    ],
)  # fmt: skip
def test_a_running_job_shows_the_validation_metric_of_its_task(values, task, shown):
    assert latest_validation_result(values, task) == shown


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        ({"accuracy": 0.905, "macro_f1": 0.9}, ("Test accuracy", "90.5%")),
        ({"rmse": 0.6118}, ("Test RMSE", "0.612")),
        ({"micro_f1": 0.5}, ("Test micro F1", "50.0%")),
        ({"loss": 3.25}, ("Test loss of a token", "3.250")),
        ({}, None),
    ],
)
def test_a_finished_job_shows_what_its_model_does_on_test_rows(metrics, shown):
    assert headline_test_result(metrics) == shown
