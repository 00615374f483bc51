"""Feedback of callers on answers."""

from accounts.models import Team
from inference.models import Feedback


def record_feedback(
    team: Team, *, request_id: str, score: int | None = None, correction: str = ""
) -> Feedback:
    """Store the team's feedback on one of its requests; a later one replaces it.

    The request need not be in the log, which is a sample of recent requests.
    """
    feedback, _ = Feedback.objects.update_or_create(
        team=team, request_id=request_id, defaults={"score": score, "correction": correction}
    )
    return feedback
