"""Nothing is made of what lies in the trash: it would work on, and be billed, unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils.timezone import now

from inference import deployments
from inference.models import Deployment
from projects.importing.editing import edit_version
from projects.importing.uploads import receive_upload, reimport
from projects.models import Dataset, DatasetVersion, Project
from training.analysis.requests import request_analysis
from training.jobs import actions, exports, launch
from training.models import Analysis, Status, TrainedModel, TrainingJob
from web.browser.trash import InTrash

MADE = (Dataset, DatasetVersion, TrainingJob, Deployment, Analysis)
OF_ROWS = {"project", "dataset"}
# What it is made of, then how; each with all that it needs but for the trash.
MAKERS: dict[str, tuple[set[str], Callable]] = {
    "a dataset in the project": ({"project"}, lambda t, who: upload(t.project, None, who)),
    "the next version": (OF_ROWS, lambda t, who: upload(t.project, t.dataset, who)),
    "the same file read anew": (
        {"project", "dataset"},
        lambda t, who: reimport(t.version, {}, who),
    ),
    "an edited version": (
        {"project", "dataset"},
        lambda t, who: edit_version(t.version, [{"op": "drop_rows", "rows": [0]}], who),
    ),
    "a fine-tune": (
        {"project", "dataset"},
        lambda t, who: launch.launch(
            dataset_version=t.version, user=who, viewer=who, request=launch.LaunchRequest()
        ),
    ),
    "a retry": ({"project", "dataset", "job"}, lambda t, who: actions.retry(t.job, who)),
    "an export": (
        {"project", "dataset", "model"},
        lambda t, who: exports.launch_export(
            t.model, exports.ExportRequest(format="int8", options={}), who, who
        ),
    ),
    "an endpoint": (
        {"project", "model"},
        lambda t, who: deployments.deploy(t.model, "another-name", who),
    ),
    "an analysis": (
        {"project", "model"},
        lambda t, who: request_analysis(t.model, who, "explain", {"text": "hello"}),
    ),
}


def upload(project, dataset, who):
    rows = b"text,label\na,b\n"
    return receive_upload(
        project=project, dataset=dataset, filename="t.csv", chunks=[rows], by=who, name="t"
    )


class Things:
    """Fresh rows, as each request finds them."""

    def __init__(self) -> None:
        self.project = Project.objects.get()
        self.version = DatasetVersion.objects.select_related("dataset__project").first()
        self.dataset, self.model = self.version.dataset, TrainedModel.objects.get()
        self.job = TrainingJob.objects.get()


@pytest.mark.parametrize("maker", MAKERS)
def test_nothing_is_made_of_what_lies_in_the_trash(maker, things, job, alice):
    TrainingJob.objects.update(status=Status.CANCELLED, finished_at=now())
    parts, make = MAKERS[maker]
    before, files = [model.objects.count() for model in MADE], stored()
    for part in sorted(parts):
        found = getattr(Things(), part)
        type(found).objects.filter(pk=found.pk).update(archived_at=now())
        with pytest.raises(InTrash, match="is in the trash. Restore it first"):
            make(Things(), alice)
        type(found).objects.filter(pk=found.pk).update(archived_at=None)
    assert [model.objects.count() for model in MADE] == before
    assert stored() == files


def stored() -> set[str]:
    folder = Path(default_storage.path("uploads"))
    return {str(path) for path in folder.rglob("*")} if folder.exists() else set()
