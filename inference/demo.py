"""Seeds the demo team: a person, an API token, a project with support tickets, a first fine-tune.

Only what is absent is created, so that seeding again changes nothing.
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
from accounts.authentication import find_token
from accounts.models import Team, TokenScope, User
from accounts.signup import create_account
from inference import scheduled_deployments
from inference.demo_data import write_demo_csv
from projects.importing import uploads
from projects.models import Dataset, Project

EMAIL = "demo@lathe.local"
TEAM, PROJECT, DATASET = "Demo team", "Support tickets", "support-tickets.csv"
DEPLOYMENT = "support-tickets"


@dataclass(frozen=True)
class Credentials:
    """How to sign in. Stored in a file that only its owner may read, for the next `make up`."""

    email: str
    password: str
    token: str


def seed() -> Credentials:
    """Create what is missing, and return the credentials, the same every time."""
    with transaction.atomic():
        try:
            stored = Credentials(**json.loads(_credentials_path().read_text()))
        except (OSError, ValueError, TypeError):  # Absent or damaged: created again.
            stored = None
        user, team, password = _ensure_user(stored)
        token = _ensure_token(stored, user, team)
        project, _ = Project.objects.get_or_create(team=team, name=PROJECT)
    credentials = Credentials(EMAIL, password, token)
    if credentials != stored:
        _save_credentials(credentials)
    if not Dataset.objects.filter(project=project).exists():
        _upload_and_plan(project, user)
    return credentials


def _ensure_user(stored: Credentials | None) -> tuple[User, Team, str]:
    password = stored.password if stored else secrets.token_urlsafe(12)
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        user, team = create_account(EMAIL, password, TEAM)
        return user, team, password
    if stored is None:  # The file was lost, and the password with it.
        user.set_password(password)
        user.save(update_fields=["password"])
    team = Team.objects.filter(memberships__user=user).order_by("created_at")[0]
    return user, team, password


def _ensure_token(stored: Credentials | None, user: User, team: Team) -> str:
    known = find_token(stored.token) if stored else None
    if stored and known and known.team_id == team.pk:
        return stored.token
    _, secret = tokens.issue(team, user, name="Demo", scopes=list(TokenScope.values))
    return secret


def _upload_and_plan(project: Project, user: User) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATASET
        write_demo_csv(path)
        upload = uploads.receive_upload(
            project=project, filename=DATASET, chunks=[path.read_bytes()], by=user
        )
    scheduled_deployments.launch_when_ready(upload.version, DEPLOYMENT, user)


def _credentials_path() -> Path:
    return Path(settings.VAR_DIR) / "demo.json"


def _save_credentials(credentials: Credentials) -> None:
    draft = _credentials_path().with_name("demo.json.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file)
    draft.replace(_credentials_path())
