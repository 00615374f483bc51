"""What keeps an assistant right: rules, test cases and judgements."""

from typing import Self, TypedDict

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet, User
from assistants.models.assistant import Assistant
from assistants.models.conversation import Decision
from assistants.models.knowledge import Answer
from assistants.models.version import Version
from assistants.models.words import ROUTE_WORDS
from projects.models import DatasetVersion


class Rule(models.Model):
    """What is decided before any question is read; see assistants.rules."""

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=80)
    when = models.JSONField()
    then = models.JSONField()
    examples_yes = models.JSONField()
    examples_no = models.JSONField()
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(name="assistants_rule_name_once", fields=["assistant", "name"])
        ]

    def __str__(self) -> str:
        return self.name


class TestCase(models.Model):
    """A question whose outcome is known. A version that breaks a locked one does not go live."""

    __test__ = False  # To pytest, whose classes begin with Test.

    class Expects(models.TextChoices):
        ANSWER = "answer"
        REFUSE = "refuse"
        HAND_OVER = "hand_over"
        CONTAINS = "contains"

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="test_cases")
    question = models.CharField(max_length=2000)
    expects = models.CharField(max_length=10, choices=Expects.choices)
    value = models.CharField(max_length=500, blank=True)  # An answer's key, or words contained.
    language = models.CharField(max_length=8, default="en")
    origin = models.CharField(max_length=20, default="written")
    locked = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                name="assistants_case_question_once", fields=["assistant", "question"]
            ),
            models.CheckConstraint(
                name="assistants_case_value_iff_named",
                condition=(Q(expects__in=["answer", "contains"]) & ~Q(value=""))
                | Q(expects__in=["refuse", "hand_over"], value=""),
            ),
        ]

    def __str__(self) -> str:
        return self.question[:80]


class CaseResult(TypedDict):
    """One case as a version decides it; `got` is for people."""

    case: int
    question: str
    passed: bool
    locked: bool
    got: str


class TestRun(models.Model):
    """All test cases of an assistant, decided by one version."""

    __test__ = False

    version = models.ForeignKey(Version, models.CASCADE, related_name="test_runs")
    results = models.JSONField()  # A CaseResult for each.
    passed = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    failed_locked = models.PositiveIntegerField()
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.version}: {self.passed} passed, {self.failed} failed"


class ShadowDecision(models.Model):
    """What a version that is not live would have said to a question that the live one decided."""

    decision = models.ForeignKey(Decision, models.CASCADE, related_name="shadows")
    version = models.ForeignKey(Version, models.CASCADE, related_name="+")
    route = models.CharField(max_length=10, choices=Decision.Route.choices)
    answer_key = models.CharField(max_length=200, blank=True)
    confidence = models.FloatField(default=0.0)
    # Its own dialogue, as a conversation keeps the live version's: what it asks for now, what it
    # was given (encrypted), and how often it refused in a row.
    awaiting = models.JSONField(null=True, blank=True)
    captured = models.TextField(blank=True, default="", db_default="")
    refusals_running = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="assistants_shadow_once", fields=["decision", "version"])
        ]

    def __str__(self) -> str:
        return f"{self.route} by {self.version}"

    @property
    def route_words(self) -> str:
        return ROUTE_WORDS.get(self.route, self.route)

    @property
    def differs(self) -> bool:
        live = (self.decision.route, self.decision.answer_key)
        return live != (self.route, self.answer_key)


VERDICT_WORDS = {
    "right": "Right",
    "wrong": "Wrong",
    "should_have_answered": "It should have answered",
    "out_of_scope": "Nobody could answer this",
}


class JudgementQuerySet(TeamOwnedQuerySet["Judgement"]):
    team_path = "decision__message__channel__assistant__team"

    def awaiting_review(self) -> Self:
        """A person's own words of which nobody made an answer yet."""
        return self.filter(answer=None, reviewed_at=None).exclude(text="")

    def taught(self, assistant: Assistant) -> Self:
        """Corrections: those whose question became a way to ask for the right answer."""
        return self.filter(
            decision__message__channel__assistant=assistant,
            taught_at__isnull=False,
            answer__isnull=False,
        )


class Judgement(models.Model):
    """Whether a decision was right, as a person or the visitor says."""

    class Verdict(models.TextChoices):
        RIGHT = "right"
        WRONG = "wrong"
        SHOULD_HAVE_ANSWERED = "should_have_answered"
        OUT_OF_SCOPE = "out_of_scope"

    decision = models.OneToOneField(Decision, models.CASCADE, related_name="judgement")
    person = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    by_visitor = models.BooleanField(default=False)
    verdict = models.CharField(max_length=20, choices=Verdict.choices)
    answer = models.ForeignKey(
        Answer, models.SET_NULL, related_name="+", null=True, blank=True
    )  # The one that is right.
    text = models.TextField(blank=True)  # What a person said instead, masked.
    is_audit = models.BooleanField(default=False)
    taught_at = models.DateTimeField(null=True, blank=True)  # When it became a phrasing.
    used_in = models.ForeignKey(
        DatasetVersion, models.SET_NULL, related_name="+", null=True, blank=True
    )  # The first rows of a version that hold what it taught.
    reviewed_at = models.DateTimeField(null=True, blank=True)  # When `text` became a draft, or not.
    at = models.DateTimeField(default=now)
    objects = JudgementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="assistants_judgement_by_one",
                condition=Q(by_visitor=True, person=None)
                | Q(by_visitor=False, person__isnull=False),
            )
        ]

    @property
    def verdict_words(self) -> str:
        return VERDICT_WORDS[self.verdict]

    @property
    def awaits_review(self) -> bool:
        return bool(self.text) and self.answer_id is None and self.reviewed_at is None

    def __str__(self) -> str:
        return f"{self.verdict} ({self.decision_id})"
