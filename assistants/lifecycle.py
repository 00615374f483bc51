"""Creates, changes, pauses, retires and restores assistants, and their channels."""

import re
import secrets
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind, require_permission
from assistants.consultations.originals import delete_originals
from assistants.errors import (
    AssistantNameTaken,
    AssistantPurged,
    InvalidConsultation,
    StaleVersionState,
)
from assistants.models import Assistant, Channel, Mailbox, VersionStatus
from assistants.models.conversation import QUESTIONS_A_DAY
from assistants.writing.writers import keys_after
from engine.answering.encoders import choose_encoder
from projects.models import Project
from web.browser.trash import require_present, require_restorable
from web.sse import notify

HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")


@transaction.atomic
def create_assistant(
    project: Project,
    name: str,
    by: User | ApiToken,
    *,
    promise: float = 0.95,
    out_of_scope_share: float = 0.15,
    languages: list[str] | None = None,
) -> Assistant:
    """A draft with an API channel. Raises AssistantNameTaken."""
    try:
        with transaction.atomic():
            assistant = Assistant.objects.create(
                team=project.team,
                project=project,
                name=name,
                promise=promise,
                out_of_scope_share=out_of_scope_share,
                languages=languages or ["en"],
                encoder=choose_encoder(languages or ["en"]),
                created_by=person_behind(by),
            )
    except IntegrityError:
        raise AssistantNameTaken(param="name") from None
    add_channel(assistant, Channel.Kind.API, by, name="API")
    audit.record(project.team, by, "assistant.created", name)
    return assistant


@transaction.atomic
def change_assistant(assistant: Assistant, by: User | ApiToken, **fields: Any) -> None:
    """Change settings; those that a version froze count from the next version on."""
    if "languages" in fields:
        fields["encoder"] = choose_encoder(fields["languages"])
    fields = {**keys_after(assistant, fields), **fields}
    for name, value in fields.items():
        setattr(assistant, name, value)
    assistant.save(update_fields=list(fields))
    if "original_days" in fields and assistant.original_days is None:
        delete_originals(assistant)
    audit.record(assistant.team, by, "assistant.changed", assistant.name, fields=sorted(fields))


@transaction.atomic
def set_paused(assistant: Assistant, is_paused: bool, by: User | ApiToken) -> None:
    """Pause: answer nobody until resumed. Raises StaleVersionState."""
    before, after = Assistant.State.LIVE, Assistant.State.PAUSED
    if not is_paused:
        before, after = after, before
    if not Assistant.objects.filter(pk=assistant.pk, state=before).update(state=after):
        raise StaleVersionState(f"This assistant is not {before}.")
    audit.record(assistant.team, by, f"assistant.{after}", assistant.name)
    notify(f"assistant:{assistant.pk}")
    assistant.refresh_from_db()


@transaction.atomic
def retire_assistant(assistant: Assistant, by: User | ApiToken) -> None:
    """Answer nobody any more; it lies in the trash, and its name is free. Raises
    StaleVersionState."""
    current = Assistant.objects.current().filter(pk=assistant.pk)
    if not current.update(state=Assistant.State.RETIRED, retired_at=now()):
        raise StaleVersionState("This assistant was retired.")
    audit.record(assistant.team, by, "assistant.retired", assistant.name)
    assistant.refresh_from_db()


def restore_assistant(assistant: Assistant, by: User | ApiToken) -> None:
    """Bring it back from the trash under its name: paused if it has a live version, since only a
    person lets it answer again; else as a draft.

    Raises TooLateToRestore, InTrash of its project, or AssistantNameTaken.
    """
    require_restorable(assistant.retired_at)
    require_present(assistant.project)
    has_live = assistant.versions.filter(status=VersionStatus.LIVE).exists()
    state = Assistant.State.PAUSED if has_live else Assistant.State.DRAFT
    retired = Assistant.objects.filter(pk=assistant.pk, state=Assistant.State.RETIRED)
    try:
        with transaction.atomic():
            if retired.update(state=state, retired_at=None, keeps_history=False):
                audit.record(assistant.team, by, "assistant.restored", assistant.name)
    except IntegrityError:
        raise AssistantNameTaken(
            f"Another assistant is called {assistant.name} now. Retire that one first.",
            param="name",
        ) from None
    assistant.refresh_from_db()


def find_assistant(viewer: User | ApiToken, assistant_id: UUID, permission: str = "") -> Assistant:
    """The assistant with team and project. Raises Http404 for strangers, too, AssistantPurged, and
    refuses members without the permission."""
    visible = Assistant.objects.visible_to(viewer).select_related("team", "project")
    assistant = visible.filter(pk=assistant_id).first()
    if assistant is None:
        get_object_or_404(Assistant.objects.purged_of(viewer), pk=assistant_id)
        raise AssistantPurged
    if permission:
        require_permission(viewer, assistant.team, permission)
    return assistant


@transaction.atomic
def add_channel(
    assistant: Assistant,
    kind: Channel.Kind,
    by: User | ApiToken,
    *,
    name: str = "",
    allowed_origins: list[str] | None = None,
    secrets_sealed: str = "",
    daily_limit: int = QUESTIONS_A_DAY,
    **settings: bool,
) -> Channel:
    """A way in with a key of its own. Raises InvalidConsultation for an origin that is none."""
    channel = Channel.objects.create(
        assistant=assistant,
        kind=kind,
        name=name,
        public_key=_new_key(),
        daily_limit=daily_limit,
        allowed_origins=[parse_origin(origin) for origin in allowed_origins or []],
        secrets=secrets_sealed,
        settings=settings,
    )
    if kind == Channel.Kind.EMAIL:
        Mailbox.objects.create(channel=channel)
    audit.record(assistant.team, by, "assistant.channel-added", assistant.name, kind=kind)
    return channel


@transaction.atomic
def change_channel(channel: Channel, by: User | ApiToken, **fields: Any) -> None:
    """Change what is set of it. Raises InvalidConsultation for an origin that is none."""
    if "allowed_origins" in fields:
        fields["allowed_origins"] = [parse_origin(text) for text in fields["allowed_origins"]]
    for name, value in fields.items():
        setattr(channel, name, value)
    channel.save(update_fields=list(fields))
    # A mailbox of another account has other numbers: it begins with the next message, at once.
    if "secrets" in fields:
        Mailbox.objects.filter(channel=channel).update(
            uid_validity=None, checked_at=None, problem="", tries=0, next_at=now()
        )
    assistant = channel.assistant
    audit.record(assistant.team, by, "assistant.channel-changed", assistant.name, kind=channel.kind)


@transaction.atomic
def rotate_key(channel: Channel, by: User | ApiToken) -> None:
    """Give it another key; the old one lets nobody in any more."""
    channel.public_key = _new_key()
    channel.save(update_fields=["public_key"])
    assistant = channel.assistant
    audit.record(assistant.team, by, "assistant.channel-rotated", assistant.name, kind=channel.kind)


def _new_key() -> str:
    return f"ch_{secrets.token_urlsafe(24)}"


@transaction.atomic
def disable_channel(channel: Channel, by: User | ApiToken) -> None:
    """Nobody gets in by it any more; what was said stays. Raises StaleVersionState."""
    if not Channel.objects.filter(pk=channel.pk, disabled_at=None).update(disabled_at=now()):
        raise StaleVersionState("This channel was removed.")
    assistant = channel.assistant
    audit.record(assistant.team, by, "assistant.channel-removed", assistant.name, kind=channel.kind)


def find_channel(viewer: User | ApiToken, channel_id: UUID, permission: str = "") -> Channel:
    """The channel with its assistant, unless it was removed. Raises Http404 for strangers, too, and
    refuses members without the permission."""
    visible = Channel.objects.visible_to(viewer).filter(disabled_at=None)
    channel = get_object_or_404(visible.select_related("assistant__team"), pk=channel_id)
    if permission:
        require_permission(viewer, channel.assistant.team, permission)
    return channel


def parse_origin(text: str) -> str:
    """scheme://host[:port] as browsers write it. Raises InvalidConsultation."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:  # A bracket that is never closed.
        parts = urlsplit("")
    is_origin = (
        parts.scheme in ("http", "https")
        and HOST.fullmatch(parts.netloc) is not None
        and parts.path in ("", "/")
        and not parts.query
        and not parts.fragment
    )
    if not is_origin:
        raise InvalidConsultation(
            f"{text[:100]!r} is no origin. Write it as https://www.example.com.",
            param="allowed_origins",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"
