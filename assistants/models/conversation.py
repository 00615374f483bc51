"""Who asks, through what, and what was said and decided."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet, User
from assistants.models.assistant import Assistant
from assistants.models.version import Version
from assistants.models.words import HAND_OVER_WORDS, KIND_WORDS, MOVE_WORDS, ROUTE_WORDS
from web.language.sentences import translated

NOTHING = models.Value([], models.JSONField())  # For rows that older code inserts.
QUESTIONS_A_DAY = 20_000  # Of a channel, unless the team sets another limit.


class ChannelQuerySet(TeamOwnedQuerySet["Channel"]):
    team_path = "assistant__team"


class Channel(models.Model):
    """A way in: the widget, the API, a WeChat account, a mailbox."""

    class Kind(models.TextChoices):
        WEB = "web"
        API = "api"
        WECHAT = "wechat"
        EMAIL = "email"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=80, blank=True)
    public_key = models.CharField(max_length=40, unique=True)
    allowed_origins = models.JSONField(default=list, blank=True)
    secrets = models.TextField(blank=True)  # JSON, encrypted.
    settings = models.JSONField(default=dict, blank=True)
    daily_limit = models.PositiveIntegerField(default=QUESTIONS_A_DAY)
    created_at = models.DateTimeField(default=now, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True)
    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                name="assistants_channel_known_kind",
                condition=Q(kind__in=["web", "api", "wechat", "email"]),
            )
        ]

    def __str__(self) -> str:
        return self.name or f"{self.kind} of {self.assistant}"

    @property
    def title(self) -> str:
        """Its name, else what it is, in the reader's language."""
        return self.name or translated(KIND_WORDS[self.kind])


class Visitor(models.Model):
    """Somebody who asks, known by a hash only."""

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="visitors")
    external_hash = models.CharField(max_length=64)
    locale = models.CharField(  # As they asked last, such as "zh-CN".
        max_length=35, blank=True, default="", db_default=""
    )
    # The site's own server signed who they are; see assistants.views.visitors.
    verified = models.BooleanField(default=False, db_default=False)
    blocked_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="assistants_visitor_once_per_channel", fields=["channel", "external_hash"]
            )
        ]

    @property
    def is_blocked(self) -> bool:
        return self.blocked_until is not None and self.blocked_until > now()

    def __str__(self) -> str:
        return self.external_hash[:12]


class ConversationState(models.TextChoices):
    BOT = "bot"
    WAITING = "waiting"
    HUMAN = "human"
    CLOSED = "closed"


# Who may follow whom. Closed is final: who writes again opens a new conversation.
NEXT_STATES = {
    ConversationState.BOT: {ConversationState.WAITING, ConversationState.CLOSED},
    ConversationState.WAITING: {ConversationState.HUMAN, ConversationState.CLOSED},
    ConversationState.HUMAN: {
        ConversationState.BOT,
        ConversationState.WAITING,
        ConversationState.CLOSED,
    },
}


class ConversationQuerySet(TeamOwnedQuerySet["Conversation"]):
    team_path = "channel__assistant__team"


class Conversation(models.Model):
    """What one visitor and the assistant, or a person, say to each other until it is closed."""

    class Outcome(models.TextChoices):
        RESOLVED = "resolved"
        UNCONFIRMED = "unconfirmed"
        UNRESOLVED = "unresolved"
        ABANDONED = "abandoned"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(Channel, models.PROTECT, related_name="conversations")
    visitor = models.ForeignKey(Visitor, models.CASCADE, related_name="conversations", null=True)
    state = models.CharField(
        max_length=8, choices=ConversationState.choices, default=ConversationState.BOT
    )
    assignee = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    version = models.ForeignKey(Version, models.PROTECT, related_name="+", null=True)
    language = models.CharField(max_length=8, default="en")
    opened_at = models.DateTimeField(default=now, editable=False)
    last_message_at = models.DateTimeField(default=now)
    handed_over_at = models.DateTimeField(null=True, blank=True)
    handed_over_reason = models.CharField(max_length=40, blank=True)
    handed_over_group = models.CharField(  # Of people.
        max_length=40, blank=True, default="", db_default=""
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True)
    csat = models.PositiveSmallIntegerField(null=True, blank=True)
    refusals_running = models.PositiveSmallIntegerField(default=0)
    asked_back = models.BooleanField(default=False)  # The last reply was "did you mean".
    awaiting = models.JSONField(null=True, blank=True)  # assistants.rules.matching.Awaited
    captured = models.TextField(
        blank=True, default="", db_default=""
    )  # Encrypted: {shape: what was given}.
    # Encrypted: where a person's reply goes that no page of ours shows. Else a visitor is a hash.
    contact = models.TextField(blank=True, db_default="")
    tags = ArrayField(models.CharField(max_length=40), default=list, db_default=[], blank=True)
    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-last_message_at"]
        constraints = [
            models.CheckConstraint(
                name="assistants_conversation_handed_over",
                condition=~Q(state__in=["waiting", "human"]) | Q(handed_over_at__isnull=False),
            ),
            models.CheckConstraint(
                name="assistants_conversation_human_iff_assignee",
                condition=(Q(state="human") & Q(assignee__isnull=False))
                | (Q(state__in=["bot", "waiting"]) & Q(assignee=None))
                | Q(state="closed"),
            ),
            models.CheckConstraint(
                name="assistants_conversation_closed_iff_time",
                condition=(Q(state="closed", closed_at__isnull=False) & ~Q(outcome=""))
                | (~Q(state="closed") & Q(closed_at=None, outcome="")),
            ),
            models.CheckConstraint(
                name="assistants_conversation_csat_range",
                condition=Q(csat=None) | Q(csat__gte=1, csat__lte=5),
            ),
            models.UniqueConstraint(
                name="assistants_one_open_conversation",
                fields=["visitor"],
                condition=~Q(state="closed"),
            ),
        ]
        indexes = [
            models.Index(
                name="assistants_inbox",
                fields=["state", "handed_over_at"],
                condition=Q(state__in=["waiting", "human"]),
            )
        ]

    @property
    def live_channels(self) -> list[str]:
        """The channels that live pages of the team's inbox and of the conversation subscribe to."""
        return [f"inbox:{self.channel.assistant.team_id}", f"conversation:{self.pk}"]

    def __str__(self) -> str:
        return f"{self.channel}, {self.opened_at:%Y-%m-%d %H:%M}"

    @property
    def handed_over_words(self) -> str:
        return HAND_OVER_WORDS.get(self.handed_over_reason, self.handed_over_reason)


class Move(models.Model):
    """One change of a conversation's state: what its own columns forget when it changes again."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="moves")
    to = models.CharField(max_length=8, choices=ConversationState.choices)
    person = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    reason = models.CharField(max_length=40, blank=True)  # Of a hand-over, or the outcome.
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="assistants_move_human_has_person",
                condition=~Q(to="human") | Q(person__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.to} at {self.at:%Y-%m-%d %H:%M}"

    @property
    def reason_words(self) -> str:
        return MOVE_WORDS.get(self.reason, self.reason)


class Message(models.Model):
    """One thing that was said. `text` is masked before it is stored."""

    class Author(models.TextChoices):
        VISITOR = "visitor"
        BOT = "bot"
        PERSON = "person"
        SYSTEM = "system"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    channel = models.ForeignKey(Channel, models.PROTECT, related_name="+")
    seq = models.PositiveIntegerField()
    author = models.CharField(max_length=8, choices=Author.choices)
    person = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    text = models.TextField()
    # As it was written, encrypted: only where masking changed it and the assistant keeps that.
    original = models.TextField(blank=True, default="", db_default="")
    external_id = models.CharField(max_length=100, blank=True)
    # The last message of the burst that this one was read with: itself where it came alone.
    read_with = models.ForeignKey("self", models.SET_NULL, related_name="+", null=True, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["conversation", "seq"]
        constraints = [
            models.UniqueConstraint(
                name="assistants_message_seq_once", fields=["conversation", "seq"]
            ),
            models.UniqueConstraint(
                name="assistants_message_external_once",
                fields=["channel", "external_id"],
                condition=~Q(external_id=""),
            ),
            models.CheckConstraint(
                name="assistants_message_person_iff_person",
                condition=(Q(author="person") & Q(person__isnull=False))
                | (~Q(author="person") & Q(person=None)),
            ),
        ]
        indexes = [
            models.Index(
                name="assistants_message_originals", fields=["at"], condition=~Q(original="")
            )
        ]

    def __str__(self) -> str:
        return self.text[:80]


class Note(models.Model):
    """What people tell one another about a conversation. No visitor and no model is shown it."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="notes")
    person = models.ForeignKey(User, models.PROTECT, related_name="+")
    text = models.TextField()
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.CheckConstraint(name="assistants_note_has_text", condition=~Q(text=""))
        ]

    def __str__(self) -> str:
        return self.text[:80]


class Decision(models.Model):
    """Why the assistant said what it said to one message of a visitor."""

    class Route(models.TextChoices):
        ANSWER = "answer"
        ASK = "ask"
        REFUSE = "refuse"
        RULE = "rule"
        HAND_OVER = "hand_over"
        QUOTE = "quote"  # A passage of a document, word for word.
        WRITTEN = "written"  # From passages, by a language model.
        SILENT = "silent"
        DRAFT = "draft"  # For a person to send: nothing was said.

    # What is an answer, to every figure, the promise and the bill: an approved one, a passage, or
    # one written from passages.
    ANSWERED = (Route.ANSWER, Route.QUOTE, Route.WRITTEN)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.OneToOneField(Message, models.CASCADE, related_name="decision")
    reply = models.OneToOneField(Message, models.SET_NULL, related_name="+", null=True)
    version = models.ForeignKey(Version, models.PROTECT, related_name="+", null=True)
    route = models.CharField(max_length=10, choices=Route.choices)
    language = models.CharField(max_length=8, default="en")
    candidates = models.JSONField(default=list)  # [{"key", "probability", "cosine", "phrasing"}]
    confidence = models.FloatField(default=0.0)
    thresholds = models.JSONField(default=dict)  # {"answer", "ask"}
    held_back = models.JSONField(
        default=list, db_default=NOTHING
    )  # [{"text", "problem"}] of a writer's sentences.
    sources = models.JSONField(
        default=list, db_default=NOTHING
    )  # [{"title", "link", "quote", "score"}]: what the answer rests on.
    draft = models.TextField(blank=True, db_default="")  # What would have been said.
    tokens = models.PositiveIntegerField(default=0, db_default=0)  # Of the writer, all.
    tokens_written = models.PositiveIntegerField(default=0, db_default=0)
    cost_micro = models.BigIntegerField(default=0, db_default=0)  # What its own provider asks.
    rule = models.CharField(max_length=80, blank=True)
    answer_key = models.CharField(max_length=200, blank=True)
    burst = models.TextField(blank=True, db_default="")  # All that was asked, where it was more.
    step_ms = models.JSONField(default=dict)
    request_id = models.CharField(max_length=60, blank=True)
    token_prefix = models.CharField(max_length=16, blank=True, db_default="")  # Of who asked.
    for_audit = models.BooleanField(default=False)  # Drawn at random for the daily audit.
    # Whether it is on the bill, if it answered. What older code decides never is.
    is_counted = models.BooleanField(default=False, db_default=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.CheckConstraint(
                name="assistants_decision_answer_has_key",
                condition=~Q(route="answer") | ~Q(answer_key=""),
            ),
            models.CheckConstraint(
                name="assistants_decision_confidence_range",
                condition=Q(confidence__gte=0, confidence__lte=1),
            ),
        ]
        indexes = [
            models.Index(
                name="assistants_uncounted_answers",
                fields=["at"],
                condition=Q(is_counted=False, route__in=["answer", "quote", "written"]),
            )
        ]

    @property
    def question(self) -> str:
        """What was asked: the message, or all messages of a burst."""
        return self.burst or self.message.text

    @property
    def route_words(self) -> str:
        return ROUTE_WORDS.get(self.route, self.route)

    def __str__(self) -> str:
        return f"{self.route} at {self.at:%Y-%m-%d %H:%M}"
