"""Versions that nobody has to ask for: built every so many days from what was taught meanwhile."""

from datetime import timedelta

from django.utils.timezone import now

from accounts.models import Membership, Role, User
from accounts.permissions import has_permission
from assistants.errors import BuildingAlready, NothingToLearn
from assistants.knowledge.phrasings import taught_phrasings
from assistants.models import Assistant, Version
from assistants.versions.building import create_version
from assistants.versions.storing import hash_knowledge


def build_due() -> int:
    """Build what is due and goes live if the gate lets it; returns how many were begun."""
    begun = 0
    live = Assistant.objects.filter(state=Assistant.State.LIVE, rebuild_days__isnull=False)
    for assistant in live.select_related("team", "created_by"):
        person = _find_builder(assistant)
        if person is None or not _is_due(assistant):
            continue
        try:
            create_version(assistant, person, publish_when_measured=True, train_classifier=True)
            begun += 1
        except (BuildingAlready, NothingToLearn):
            continue
    return begun


def _is_due(assistant: Assistant) -> bool:
    """Whether the newest version is old enough, and something was taught since."""
    assert assistant.rebuild_days is not None
    newest = Version.objects.filter(assistant=assistant).first()
    if newest is None or newest.created_at > now() - timedelta(days=assistant.rebuild_days):
        return False
    return hash_knowledge(list(taught_phrasings(assistant))) != newest.knowledge_hash


def _find_builder(assistant: Assistant) -> User | None:
    """In whose name: who made the assistant while they may, else an owner of the team."""
    maker = assistant.created_by
    if maker is not None and has_permission(maker, assistant.team, "write"):
        return maker
    owners = Membership.objects.filter(team=assistant.team, role=Role.OWNER)
    first = owners.select_related("user").order_by("pk").first()
    return first.user if first else None
