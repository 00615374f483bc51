"""A password or a person that changes, and a session that ends, end live streams on every process.

The pages open them again, and the views decide anew. Memberships are `accounts.teams.access`'s.
"""

from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_save
from django.http import HttpRequest

from accounts.models import User
from web.streams.access import access_ended


def connect() -> None:
    """Called once, when the app is ready."""
    user_logged_out.connect(_end_of_session, dispatch_uid="streams.session")
    post_save.connect(_end_of_person, sender=User, dispatch_uid="streams.person")


def _end_of_session(sender: object, request: HttpRequest | None, **_: object) -> None:
    """Sent before the session is emptied, so that its key is still known."""
    session_key = getattr(getattr(request, "session", None), "session_key", None)
    access_ended(session_key=session_key)


def _end_of_person(
    sender: object,
    instance: User,
    created: bool,
    update_fields: frozenset[str] | None = None,
    **_: object,
) -> None:
    """A password, an address or a flag has changed; signing in itself changes only last_login."""
    if not created and update_fields != frozenset({"last_login"}):
        access_ended(person_ids=[instance.pk])
