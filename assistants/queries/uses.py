"""What assistants depend on, for those who take it away; and assistants by their names."""

from uuid import UUID

from django.db.models import Model

from accounts.models import Team
from assistants.models import Assistant, Conversation, ConversationState, Version, VersionStatus
from assistants.writing.writers import settings_of
from inference.models import Deployment

MAX_NAMED = 5
WRITING_TASK = "text-generation"
ANSWERING = (Assistant.State.LIVE, Assistant.State.PAUSED)


def assistants_of_project(project: Model) -> list[str]:
    """A sentence for each that answers, or will once it is resumed."""
    names = Assistant.objects.filter(project=project.pk, state__in=ANSWERING).order_by("name")
    return [
        f"The assistant “{name}” is in it: retire it first."
        for name in names.values_list("name", flat=True)[:MAX_NAMED]
    ]


def assistants_that_write_with(endpoint: Model) -> list[str]:
    """A sentence for each whose live version lets this endpoint write."""
    if not isinstance(endpoint, Deployment) or endpoint.model.task != WRITING_TASK:
        return []
    live = Version.objects.filter(
        assistant__team=endpoint.team_id, assistant__state__in=ANSWERING, status=VersionStatus.LIVE
    )
    rows = live.select_related("assistant").defer("report", "rules").order_by("assistant__name")
    writers = [(version.assistant.name, settings_of(version)) for version in rows]
    return [
        f"The assistant “{name}” writes with it: publish a version that does not."
        for name, writer in writers
        if writer.model == endpoint.name and not writer.url
    ][:MAX_NAMED]


def what_stops_with(assistant: Assistant) -> list[str]:
    """A sentence for each channel that answers nobody any more, and for what is open there."""
    channels = assistant.channels.filter(disabled_at=None)
    sentences = [
        f"{channel.title}: nobody is answered there any more." for channel in channels[:MAX_NAMED]
    ]
    talks = Conversation.objects.filter(channel__assistant=assistant).exclude(
        state=ConversationState.CLOSED
    )
    if count := talks.count():
        sentences.append(
            f"{'1 conversation is' if count == 1 else f'{count:,} conversations are'} not closed."
        )
    return sentences


def find_assistants(team: Team, text: str) -> list[tuple[UUID, str]]:
    """(key, name) of those whose name contains the text."""
    rows = Assistant.objects.current().filter(team=team, name__icontains=text).order_by("name")
    return list(rows.values_list("pk", "name"))
