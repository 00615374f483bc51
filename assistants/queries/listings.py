"""What lists of assistants, topics and conversations show."""

from datetime import timedelta

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils.timezone import now

from accounts.models import Team
from assistants.models import Answer, Assistant, Conversation, Message, Version

VOLUME_DAYS = 30


def list_assistants(team: Team) -> QuerySet[Assistant]:
    """With `live_number`, when its promise broke, how many conversations wait, and how many were
    opened within VOLUME_DAYS."""
    live = Version.objects.filter(assistant=OuterRef("pk"), status="live")
    opened = Conversation.objects.filter(channel__assistant=OuterRef("pk")).order_by()
    lately = opened.filter(opened_at__gte=now() - timedelta(days=VOLUME_DAYS))
    return (
        Assistant.objects.current()
        .filter(team=team)
        .select_related("project")
        .annotate(
            live_number=Subquery(live.values("number")[:1]),
            broken_at=Subquery(live.values("promise_broken_at")[:1]),
            waiting=_count(opened.filter(state="waiting")),
            volume=_count(lately),
        )
    )


def _count(rows: QuerySet[Conversation]) -> Subquery:
    return Subquery(rows.values("channel__assistant").annotate(n=Count("pk")).values("n")[:1])


def topics_with_counts(assistant: Assistant) -> list[Answer]:
    """Answers that are not retired, with `phrasing_count`."""
    counted = Count("phrasings", filter=Q(phrasings__accepted_at__isnull=False))
    answers = assistant.answers.exclude(state=Answer.State.RETIRED)
    return list(answers.annotate(phrasing_count=counted).order_by("key"))


def groups_of(team: Team) -> list[str]:
    """Groups of people to whom rules have handed conversations over."""
    rows = Conversation.objects.filter(channel__assistant__team=team).exclude(handed_over_group="")
    return sorted(rows.order_by().values_list("handed_over_group", flat=True).distinct())


def inbox_conversations(team: Team) -> QuerySet[Conversation]:
    """With `said`, what the visitor wrote last."""
    rows = Conversation.objects.filter(channel__assistant__team=team)
    written = Message.objects.filter(conversation=OuterRef("pk"), author=Message.Author.VISITOR)
    newest_text = Subquery(written.order_by("-seq").values("text")[:1])
    return rows.select_related("channel__assistant", "assignee").annotate(said=newest_text)
