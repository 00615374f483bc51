"""What lists of assistants, topics and conversations show."""

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from accounts.models import Team
from assistants.models import Answer, Assistant, Conversation, Version


def list_assistants(team: Team) -> QuerySet[Assistant]:
    """With `live_number`, and how many conversations wait."""
    live = Version.objects.filter(assistant=OuterRef("pk"), status="live").values("number")
    waiting = (
        Conversation.objects.filter(channel__assistant=OuterRef("pk"), state="waiting")
        .order_by()
        .values("channel__assistant")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return (
        Assistant.objects.current()
        .filter(team=team)
        .select_related("project")
        .annotate(live_number=Subquery(live[:1]), waiting=Subquery(waiting[:1]))
    )


def topics_with_counts(assistant: Assistant) -> list[Answer]:
    """Answers that are not retired, with `phrasing_count`."""
    counted = Count("phrasings", filter=Q(phrasings__accepted_at__isnull=False))
    answers = assistant.answers.exclude(state=Answer.State.RETIRED)
    return list(answers.annotate(phrasing_count=counted).order_by("key"))


def inbox_conversations(team: Team) -> QuerySet[Conversation]:
    rows = Conversation.objects.filter(channel__assistant__team=team)
    return rows.select_related("channel__assistant", "assignee")
