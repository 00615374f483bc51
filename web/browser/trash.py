"""The trash: what was removed stays as it was, and can be brought back, for a while."""

from datetime import datetime, timedelta

from django.db.models import Model
from django.utils.timezone import now

from web.errors import UserError

TRASH_DAYS = 30


class StillInUse(UserError):
    code, status = "still_in_use", 409
    sentence = "This is still in use."


class InTrash(UserError):
    code, status = "in_trash", 409
    sentence = "This is in the trash. Restore it first."


class TooLateToRestore(UserError):
    code, status = "too_late_to_restore", 410
    sentence = f"This was removed more than {TRASH_DAYS} days ago and cannot be restored."


def require_present(*rows: Model) -> None:
    """For everything that makes something of these: nothing works on in the trash, unseen.

    Raises InTrash, which names the first that is there. Each has an `archived_at`.
    """
    for row in rows:
        if getattr(row, "archived_at") is not None:  # noqa: B009 - models share no base class.
            kind = row._meta.verbose_name_raw
            raise InTrash(f"The {kind} “{row}” is in the trash. Restore it first.")


def restorable_since() -> datetime:
    """What was removed after this moment can be brought back."""
    return now() - timedelta(days=TRASH_DAYS)


def require_restorable(removed_at: datetime | None) -> None:
    """Raises TooLateToRestore after TRASH_DAYS; what was never removed may be restored."""
    if removed_at is not None and removed_at < restorable_since():
        raise TooLateToRestore


def require_unused(name: str, uses: list[str]) -> None:
    """Raises StillInUse, which names every use."""
    if uses:
        raise StillInUse(f"{name} is still in use. {' '.join(uses)}")
