"""What callers report about answers."""

from django.db import models
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User


class FeedbackQuerySet(TeamOwnedQuerySet["Feedback"]):
    pass


class Feedback(models.Model):
    """A caller's score or correction of an answer; corrections can become the next dataset."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    request_id = models.CharField(max_length=60)
    score = models.SmallIntegerField(null=True)  # -1 or 1.
    correction = models.TextField(blank=True)
    # Who judged the answer on a page; null: a caller with an API token.
    person = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=now)
    objects = FeedbackQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(
                name="inference_feedback_once_per_request", fields=["team", "request_id"]
            )
        ]

    def __str__(self) -> str:
        return self.request_id
