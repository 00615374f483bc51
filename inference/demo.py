"""The demo team: a person, an API token, a project with support tickets, and a first fine-tune.

Everything is made only if absent, so that seeding again changes nothing.
"""

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts import tokens
from accounts.models import ApiToken, Scope, Team, User
from accounts.signup import create_account
from engine.sample_tickets import write_csv
from inference import planning
from projects import uploading
from projects.models import Dataset, Project

EMAIL = "demo@lathe.local"
TEAM, PROJECT, DATASET = "Demo team", "Support tickets", "support-tickets.csv"
DEPLOYMENT = "support-tickets"


@dataclass(frozen=True)
class Credentials:
    """How to get in. Kept in a file that its owner alone may read, for the next `make up`."""

    email: str
    password: str
    token: str


def seed() -> Credentials:
    """Make what is missing; the credentials, the same every time."""
    with transaction.atomic():
        kept = _kept()
        user, team, password = _person(kept)
        token = _token(kept, user, team)
        project, _ = Project.objects.get_or_create(team=team, name=PROJECT)
    credentials = Credentials(EMAIL, password, token)
    if credentials != kept:
        _keep(credentials)
    if not Dataset.objects.filter(project=project).exists():
        _upload_and_plan(project, user)
    return credentials


def _person(kept: Credentials | None) -> tuple[User, Team, str]:
    password = kept.password if kept else secrets.token_urlsafe(12)
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        user, team = create_account(EMAIL, password, TEAM)
        return user, team, password
    if kept is None:  # The file was lost, and the password with it.
        user.set_password(password)
        user.save(update_fields=["password"])
    team = Team.objects.filter(memberships__user=user).order_by("created_at")[0]
    return user, team, password


def _token(kept: Credentials | None, user: User, team: Team) -> str:
    if kept and ApiToken.objects.matching(kept.token).filter(team=team).exists():
        return kept.token
    _, secret = tokens.issue(team, user, name="Demo", scopes=list(Scope.values))
    return secret


def _upload_and_plan(project: Project, user: User) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATASET
        write_csv(path)
        upload = uploading.receive(
            project=project, filename=DATASET, chunks=[path.read_bytes()], by=user
        )
    planning.launch_when_ready(upload.version, DEPLOYMENT, user)


def _file() -> Path:
    return Path(settings.VAR_DIR) / "demo.json"


def _kept() -> Credentials | None:
    try:
        return Credentials(**json.loads(_file().read_text()))
    except (OSError, ValueError, TypeError):  # Absent or damaged: made anew.
        return None


def _keep(credentials: Credentials) -> None:
    draft = _file().with_name("demo.json.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file)
    draft.replace(_file())
