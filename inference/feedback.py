"""What callers think of answers."""

from accounts.models import Team
from inference.models import Feedback


def give_feedback(
    team: Team, *, request_id: str, score: int | None = None, correction: str = ""
) -> Feedback:
    """Keep the team's last word on one of its requests.

    The request need not be in the log, which is only a sample and forgets.
    """
    given, _ = Feedback.objects.update_or_create(
        team=team, request_id=request_id, defaults={"score": score, "correction": correction}
    )
    return given
