"""The API call that launches a job again, as people paste it into a terminal."""

import json
from pprint import pformat

from django.conf import settings

from training.models import TrainingJob

ADDRESS = "/api/v1/training-jobs"


def launch_body(job: TrainingJob) -> dict[str, object]:
    """The JSON that launches this job again: its recipe, which holds every hyperparameter."""
    body: dict[str, object] = {
        "project": str(job.project_id),
        "dataset": str(job.dataset_version.dataset_id),
        "name": job.name,
        **{name: value for name, value in job.recipe.items() if name != "export"},
        "compute": job.compute_class_id,
    }
    if job.time_limit_seconds:
        body["time_limit_seconds"] = job.time_limit_seconds
    return body


def as_curl(job: TrainingJob) -> str:
    body = json.dumps(launch_body(job), ensure_ascii=False, indent=2).replace("'", "'\\''")
    return (
        f"curl {settings.PUBLIC_URL}{ADDRESS} \\\n"
        '  -H "Authorization: Bearer $LATHE_API_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )


def as_python(job: TrainingJob) -> str:
    literal = pformat(launch_body(job), sort_dicts=False, width=96)
    return (
        "import os, requests\n\n"
        "job = requests.post(\n"
        f'    "{settings.PUBLIC_URL}{ADDRESS}",\n'
        '    headers={"Authorization": f"Bearer {os.environ[\'LATHE_API_TOKEN\']}"},\n'
        f"    json={literal},\n"
        ").json()\n"
        'print(job["id"], job["status"])'
    )
