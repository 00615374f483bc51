"""Tables with the columns of well-known public ones: what is proposed first, through the upload."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from projects.importing import imports
from tests.projects.profiling.public_tables import PUBLIC
from tests.projects.profiling.table_specs import write_table

pytestmark = pytest.mark.django_db
QUICK = ("hr turnover", "banking77", "stocks", "forest fires", "zendesk", "job salaries")


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.nightly) for name in PUBLIC],
)
def test_what_a_public_table_is_known_for_is_proposed_first(name, api, token, project, quick_child):
    task, texts, target, spec = PUBLIC[name]
    body = {"project": str(project.pk), "file": SimpleUploadedFile("data.csv", write_table(spec))}
    accepted = api(token).post("/api/v1/datasets", body, format="multipart").json()
    imports.import_version(accepted["version_id"])
    found = api(token).get(f"/api/v1/datasets/{accepted['id']}").json()
    first = found["profile"]["suggested"]
    proposed = first["target_column"] or first.get("target_columns")
    assert (first["task"], first["text_columns"], proposed) == (task, texts, target), first["why"]
