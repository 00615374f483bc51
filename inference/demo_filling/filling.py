"""After the demo's first model is live: a small fine-tune of each other task, and real questions.

Runs once, beside the product (`manage.py fill_demo`); everything goes the ways that people use. It
may be ended at any moment: what exists is not made again.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from django.conf import settings

from accounts.models import Team, User
from inference import demo, scheduled_deployments
from inference.demo_data import generate_tickets
from inference.demo_filling.examples import Example, all_examples, batches
from inference.models import Deployment, RequestLog
from projects.importing import uploads
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from training.jobs.launch import LaunchRequest, launch
from training.models import TrainingJob
from web.errors import UserError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS, POLL_SECONDS = 1800, 2.0
ROWS_PER_REQUEST = 2
MOST_TOKENS = 40  # Of an answer in a chat.
FILLED_FILE = "demo-filled"


def fill(wait: Callable[[float], None] = time.sleep) -> None:
    """Returns once everything was asked, or after half an hour."""
    person = User.objects.get(email=demo.EMAIL)
    team = Team.objects.filter(memberships__user=person).order_by("created_at")[0]
    tickets = [message for *_, message, _queue in generate_tickets(40, seed=7)]
    unanswered: dict[str, list[str | dict[str, str | int | float]]] = {
        demo.DEPLOYMENT: list(tickets)
    }
    unanswered |= {e.deployment: e.questions for e in all_examples() if e.questions}
    pending = all_examples()
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while (pending or unanswered) and time.monotonic() < ends_at:
        for name in [*unanswered]:
            deployment = Deployment.objects.serving().filter(team=team, name=name).first()
            if deployment is not None and _ask(deployment, unanswered[name]):
                del unanswered[name]
        # The first model alone, for it is what people wait for.
        if pending and demo.DEPLOYMENT not in unanswered:
            pending = [example for example in pending if not _advance(example, team, person)]
        wait(POLL_SECONDS)
    (Path(settings.VAR_DIR) / FILLED_FILE).touch()  # `make up` does not start this again.


def _advance(example: Example, team: Team, person: User) -> bool:
    """The next step of one example; True when nothing is left to do."""
    project, _ = Project.objects.get_or_create(team=team, name=example.project)
    dataset = Dataset.objects.filter(project=project).first()
    if dataset is None:
        uploads.receive_upload(
            project=project, filename=example.filename, chunks=[example.content], by=person
        )
        return False
    version: DatasetVersion = dataset.versions.latest("number")
    if TrainingJob.objects.filter(project=project).exists():
        return True
    if version.status == ImportStatus.FAILED:
        logger.warning("The demo's %s: %s", example.filename, version.failure_sentence)
        return True
    if version.status != ImportStatus.READY:
        return False
    request = LaunchRequest(
        task=example.task,
        columns=example.columns,
        hyperparameters=example.hyperparameters,
        split=example.split,
    )
    try:
        job = launch(dataset_version=version, user=person, viewer=person, request=request)
        scheduled_deployments.deploy_when_succeeded(job, example.deployment, person)
    except UserError as refusal:
        logger.warning("The demo's %s: %s", example.filename, refusal.sentence)
    return True


def _ask(deployment: Deployment, questions: list[str | dict[str, str | int | float]]) -> bool:
    """By the API, as a customer's program would; True when all were asked, now or before."""
    if RequestLog.objects.filter(deployment=deployment).exists():
        return True
    headers = {"Authorization": f"Bearer {demo.seed().token}"}
    try:
        with httpx.Client(base_url=settings.PUBLIC_URL, headers=headers, timeout=60) as client:
            for path, body in _requests(deployment.model.task, questions):
                client.post(path, json={"model": deployment.name, **body}).raise_for_status()
    except httpx.HTTPError as error:
        logger.info("The demo's %s does not answer yet: %s", deployment.name, error)
        return False
    return True


def _requests(
    task: str, questions: list[str | dict[str, str | int | float]]
) -> Iterator[tuple[str, dict[str, object]]]:
    """Path and body of each request: a chat for a language model, a few rows for any other."""
    if task == "text-generation":
        for question in questions:
            chat = [{"role": "user", "content": question}]
            yield "/v1/chat/completions", {"messages": chat, "max_tokens": MOST_TOKENS}
        return
    # One picture at a time: the request log keeps a single one, and its endpoint's page shows it.
    rows_per_request = 1 if task == "image-classification" else ROWS_PER_REQUEST
    for rows in batches(questions, rows_per_request):
        yield "/v1/classify", {"input": rows}
