"""What of its assistants waits for a person, for a team's overview."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import F, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team
from assistants.models import (
    Assistant,
    Conversation,
    ConversationState,
    Version,
    VersionStatus,
)
from inference.queries.needs import Need

RECENT = timedelta(days=7)


def assistants_needs(team: Team) -> Iterator[Need]:
    """Visitors who wait, newest versions that failed, live ones below their promise."""
    talks = Conversation.objects.filter(channel__assistant__team=team)
    if waiting := talks.filter(state=ConversationState.WAITING).count():
        sentence = (
            "A visitor waits for a person."
            if waiting == 1
            else f"{waiting} visitors wait for a person."
        )
        yield Need(sentence, reverse("assistants:inbox", args=[team.slug]), "wait")
    for version in _troubled_versions(team):
        url = reverse("assistants:assistant", args=[version.assistant_id])
        if version.status == VersionStatus.FAILED:
            sentence = f"{version} failed. {version.failure_sentence}"
            yield Need(sentence, url, "bad")
        else:
            yield Need(f"{version} answers below its promise.", url, "bad")


def _troubled_versions(team: Team) -> list[Version]:
    newest = Version.objects.filter(assistant=OuterRef("assistant")).order_by("-number")
    rows = (
        Version.objects.filter(assistant__team=team)
        .exclude(assistant__state=Assistant.State.RETIRED)
        .annotate(newest=Subquery(newest.values("number")[:1]))
        .filter(
            Q(status=VersionStatus.LIVE, promise_broken_at__isnull=False)
            | Q(status=VersionStatus.FAILED, number=F("newest"), created_at__gt=now() - RECENT)
        )
    )
    return list(rows.select_related("assistant").defer("report", "rules")[:6])
