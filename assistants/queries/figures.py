"""The figures of an assistant over some days. Each is defined here, once, for page and API."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    Count,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    Max,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from assistants.models import (
    Assistant,
    Conversation,
    Decision,
    Judgement,
    Version,
    VersionStatus,
)
from engine.answering.bounds import wilson_interval
from web.browser.page_memo import once_per_page

BACK_WITHIN = timedelta(hours=72)
MIN_SHOWN = 30  # A rate of fewer is not shown: it says nothing.

DEFINITIONS = {
    "consultations": "Conversations with at least one message of a visitor that the assistant was"
    " allowed to answer, by the time they opened.",
    "answer_rate": "Consultations with at least one answer of the assistant, of all. An answer is"
    " an approved one, a passage of a document, or one written from passages: what is billed.",
    "containment": "Closed consultations that no person was asked to take over, of all closed.",
    "hand_over_rate": "Consultations that were handed over to a person, of all.",
    "confirmed_resolution": "Consultations whose visitor said the reply helped, or rated 4 or 5,"
    " of all.",
    "unconfirmed": "Closed after a day of silence without any word whether it helped, of all.",
    "return_rate": "Consultations whose visitor opened another one within 72 hours and was given"
    " the same approved answer, of those with an approved answer and a known visitor.",
    "csat": "Ratings of 4 or 5, of all ratings.",
    "csat_response_rate": "Consultations with a rating, of all.",
    "precision_live": "Right answers in the random audit, of all answers judged there: approved"
    " ones, passages, and those written from passages.",
    "out_of_scope_share": "Audited questions that nobody could answer, of all audited questions.",
    "gaps": "Questions that found no answer, of all that no rule decided.",
    "drift": "Approved answers farther (by cosine) from every known question than 95 of 100"
    " held-out questions, of all answers that were matched.",
}

TITLES = {  # As the page calls them; programs know them by their names.
    "consultations": "Consultations",
    "answer_rate": "Answered by the assistant",
    "containment": "Solved without a person",
    "hand_over_rate": "Handed over",
    "confirmed_resolution": "Confirmed as solved",
    "unconfirmed": "Closed without a word",
    "return_rate": "Asked again within three days",
    "csat": "Rated 4 or 5",
    "csat_response_rate": "Rated at all",
    "precision_live": "Right in the audit",
    "out_of_scope_share": "Nobody could have answered",
    "gaps": "Found no answer",
    "drift": "Far from what is known",
}


@dataclass(frozen=True)
class Figure:
    """A share with its count; `value` is None where fewer than MIN_SHOWN are known."""

    name: str
    definition: str
    n: int
    count: int
    value: float | None
    low: float | None = None
    high: float | None = None
    promise: float | None = None  # Of the live version, for the share that it promises.

    @property
    def title(self) -> str:
        return TITLES[self.name]


def consultations(assistant: Assistant, since: datetime, until: datetime) -> QuerySet[Conversation]:
    """Those opened from `since` to before `until`: the denominator of most figures."""
    # To a draft's question the assistant may say nothing.
    decisions = Decision.objects.filter(message__channel__assistant=assistant).exclude(
        route=Decision.Route.DRAFT
    )
    return Conversation.objects.filter(
        pk__in=decisions.values("message__conversation"),
        channel__assistant=assistant,
        opened_at__gte=since,
        opened_at__lt=until,
    )


# Of each share of consultations: which are counted, and among which.
EVERY, CLOSED, RATED = Q(), Q(state="closed"), Q(csat__isnull=False)
KNOWN = Q(is_given_approved=True, visitor__isnull=False)
SHARES: dict[str, tuple[Q, Q]] = {
    "consultations": (EVERY, EVERY),
    "answer_rate": (Q(is_answered=True), EVERY),
    "containment": (Q(handed_over_at=None), CLOSED),
    "hand_over_rate": (Q(handed_over_at__isnull=False), EVERY),
    "confirmed_resolution": (Q(is_helped=True) | Q(csat__gte=4), EVERY),
    "unconfirmed": (Q(outcome="unconfirmed", csat=None, is_helped=False), EVERY),
    "return_rate": (Q(came_back=True), KNOWN),
    "csat": (Q(csat__gte=4), RATED),
    "csat_response_rate": (RATED, EVERY),
}


def described_consultations(
    assistant: Assistant, since: datetime, until: datetime
) -> QuerySet[Conversation]:
    """With what the conditions of SHARES ask: `is_answered`, `is_given_approved`, `is_helped` and
    `came_back`."""
    # Sets of keys, each read once: EXISTS would search the decisions anew for every conversation.
    decisions = Decision.objects.filter(message__channel__assistant=assistant)
    answered = decisions.filter(route__in=Decision.ANSWERED)
    helped = decisions.filter(
        judgement__by_visitor=True, judgement__verdict=Judgement.Verdict.RIGHT
    )
    conversations = "message__conversation"
    return consultations(assistant, since, until).annotate(
        is_answered=_in(answered.values(conversations)),
        is_given_approved=_in(decisions.filter(route=Decision.Route.ANSWER).values(conversations)),
        is_helped=_in(helped.values(conversations)),
        came_back=_in(_came_back(assistant, since, until)),
    )


def _in(keys: QuerySet[Any] | RawSQL) -> "ExpressionWrapper[Any]":
    return ExpressionWrapper(Q(pk__in=keys), output_field=BooleanField())


def _came_back(assistant: Assistant, since: datetime, until: datetime) -> RawSQL:
    """Keys of conversations whose visitor was given the same answer in a later one, in time."""
    return RawSQL(
        """
        SELECT id FROM (
            SELECT talk.id, count(*) OVER (
                PARTITION BY talk.visitor_id, decision.answer_key ORDER BY talk.opened_at
                RANGE BETWEEN '1 microsecond' FOLLOWING AND %s FOLLOWING
            ) AS later
            FROM assistants_decision decision
            JOIN assistants_message message ON message.id = decision.message_id
            JOIN assistants_conversation talk ON talk.id = message.conversation_id
            JOIN assistants_channel channel ON channel.id = talk.channel_id
            WHERE channel.assistant_id = %s AND decision.route = %s
                AND talk.visitor_id IS NOT NULL AND talk.opened_at >= %s AND talk.opened_at <= %s
        ) answered WHERE later > 0
        """,
        [BACK_WITHIN, assistant.pk, Decision.Route.ANSWER, since, until + BACK_WITHIN],
    )


def counted_consultations(
    assistant: Assistant, since: datetime, until: datetime, name: str
) -> QuerySet[Conversation]:
    """The rows that a figure of SHARES counts, newest first."""
    counted, among = SHARES[name]
    rows = described_consultations(assistant, since, until).filter(counted & among)
    return rows.order_by("-opened_at")


# Of each volume, and of the reasons of hand-overs: which consultations it counts.
PARTS = {
    "channel": "channel__kind",
    "language": "language",
    "topic": "messages__decision__answer_key",
    "reason": "handed_over_reason",
}


def part_of_consultations(
    assistant: Assistant, since: datetime, until: datetime, kind: str, value: str
) -> QuerySet[Conversation]:
    """The rows behind one volume, newest first."""
    rows = consultations(assistant, since, until).filter(**{PARTS[kind]: value})
    if kind == "reason":
        rows = rows.filter(handed_over_at__isnull=False)
    return rows.distinct().order_by("-opened_at")


def compute_figures(assistant: Assistant, since: datetime, until: datetime) -> list[Figure]:
    """Every figure of DEFINITIONS, in their order."""
    counts = described_consultations(assistant, since, until).aggregate(
        **{
            key: Count("pk", filter=condition)
            for name, (counted, among) in SHARES.items()
            for key, condition in ((f"counted_{name}", counted & among), (f"of_{name}", among))
        }
    )
    decisions = _decision_counts(assistant, since, until)
    shares = {name: (counts[f"counted_{name}"], counts[f"of_{name}"]) for name in SHARES}
    shares["precision_live"] = (decisions["right"], decisions["answers"])
    shares["out_of_scope_share"] = (decisions["out_of_scope"], decisions["audited"])
    shares["gaps"] = (decisions["gaps"], decisions["asked"])
    shares["drift"] = count_drifted(assistant, since, until)
    promises = {"precision_live": decisions["promise"]}
    return [
        replace(_figure(name, *shares[name]), promise=promises.get(name)) for name in DEFINITIONS
    ]


def count_drifted(assistant: Assistant, since: datetime, until: datetime) -> tuple[int, int]:
    """(answers farther from every known question than the version's report expects, all).

    The report's `usual_cosine` is what 95 of 100 held-out questions reach.
    """
    counts = _known_matches(assistant, since, until).aggregate(
        drifted=Count("pk", filter=DRIFTED), total=Count("pk")
    )
    return counts["drifted"], counts["total"]


def _known_matches(assistant: Assistant, since: datetime, until: datetime) -> QuerySet[Decision]:
    """Approved answers that were matched, with the cosine that is `usual` and the `nearest` one."""
    matched = decisions_of(assistant, since, until).filter(
        route=Decision.Route.ANSWER, rule="", version__isnull=False
    )
    usual = _json_number("version__report", F("language"), Value("usual_cosine"))
    nearest = _json_number("candidates", Value("0"), Value("cosine"))
    known = matched.annotate(usual=usual, nearest=nearest)
    return known.exclude(usual=None).exclude(nearest=None)


def _json_number(field: str, *path: F | Value) -> Cast:
    """The number at this path of a JSON field; null where there is none."""
    text = Func(F(field), *path, function="jsonb_extract_path_text", output_field=TextField())
    return Cast(text, FloatField())


def _decision_counts(assistant: Assistant, since: datetime, until: datetime) -> dict[str, Any]:
    """Of the audit and of what found no answer; and the live version's promise."""
    live = Version.objects.filter(assistant=assistant, status=VersionStatus.LIVE)
    return decisions_of(assistant, since, until).aggregate(
        audited=Count("pk", filter=AUDITED),
        answers=Count("pk", filter=AUDITED & IS_ANSWER),
        right=Count("pk", filter=AUDITED & IS_ANSWER & IS_RIGHT),
        out_of_scope=Count("pk", filter=AUDITED & NOBODY_COULD_ANSWER),
        gaps=Count("pk", filter=ASKED & FOUND_NOTHING),
        asked=Count("pk", filter=ASKED),
        promise=Max(Subquery(live.values("promise")[:1])),
    )


AUDITED, IS_ANSWER = Q(judgement__is_audit=True), Q(route__in=Decision.ANSWERED)
IS_RIGHT = Q(judgement__verdict=Judgement.Verdict.RIGHT)
ASKED = Q(rule="") & ~Q(route=Decision.Route.SILENT)
NOBODY_COULD_ANSWER = Q(judgement__verdict=Judgement.Verdict.OUT_OF_SCOPE)
FOUND_NOTHING = Q(route__in=[Decision.Route.REFUSE, Decision.Route.HAND_OVER]) | Q(
    route=Decision.Route.DRAFT, draft=""
)
DRIFTED = Q(nearest__lt=F("usual"))
OF_DECISIONS = ("precision_live", "out_of_scope_share", "gaps", "drift")


def decisions_of(assistant: Assistant, since: datetime, until: datetime) -> QuerySet[Decision]:
    """Those made from `since` to before `until`."""
    return Decision.objects.filter(
        message__channel__assistant=assistant, at__gte=since, at__lt=until
    )


def counted_decisions(
    assistant: Assistant, since: datetime, until: datetime, name: str
) -> QuerySet[Decision]:
    """The rows behind a figure of OF_DECISIONS, newest first: those it counts; of the precision all
    that were judged, the wrong ones first."""
    rows = decisions_of(assistant, since, until)
    if name == "precision_live":
        is_right = Case(When(judgement__verdict=Judgement.Verdict.RIGHT, then=1), default=0)
        rows = rows.filter(AUDITED & IS_ANSWER).order_by(is_right, "-at")
    elif name == "out_of_scope_share":
        rows = rows.filter(AUDITED & NOBODY_COULD_ANSWER)
    elif name == "gaps":
        rows = rows.filter(FOUND_NOTHING, rule="")
    else:
        rows = _known_matches(assistant, since, until).filter(DRIFTED)
    return rows.select_related("message", "judgement")


def _figure(name: str, count: int, n: int) -> Figure:
    if name == "consultations":
        return Figure(name, DEFINITIONS[name], n, count, float(count))
    if n < MIN_SHOWN:
        return Figure(name, DEFINITIONS[name], n, count, None)
    low, high = wilson_interval(count, n)
    return Figure(name, DEFINITIONS[name], n, count, count / n, low, high)


@once_per_page
def count_consultations(
    assistant: Assistant, since: datetime, until: datetime
) -> list[Mapping[str, Any]]:
    """How many there are of each channel, language and reason of hand-over (None
    where there was none)."""
    reason = Case(
        When(handed_over_at__isnull=False, then=F("handed_over_reason")), default=Value(None)
    )
    rows = consultations(assistant, since, until).order_by().annotate(reason=reason)
    return list(rows.values("channel__kind", "language", "reason").annotate(n=Count("pk")))


def most_frequent(rows: Iterable[Mapping[str, Any]], field: str) -> list[tuple[str, int]]:
    """(value of the field, how many), the commonest first."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row[field] is not None:
            counts[row[field]] += row["n"]
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def hand_over_reasons(
    assistant: Assistant, since: datetime, until: datetime
) -> list[tuple[str, int]]:
    """(reason, conversations), the commonest first."""
    return most_frequent(count_consultations(assistant, since, until), "reason")


def gaps(assistant: Assistant, limit: int = 50) -> QuerySet[Decision]:
    """The newest questions that found no answer and nobody has judged yet."""
    refused = Decision.objects.filter(
        FOUND_NOTHING,
        message__channel__assistant=assistant,
        rule="",
        judgement=None,
    )
    return refused.select_related("message").order_by("-at")[:limit]
