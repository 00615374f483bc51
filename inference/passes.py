"""Playground passes: how the web process asks the models process on behalf of a signed-in person.

A browser holds no API token, so the web process, having checked that the person belongs to the
team, sends `x-lathe-pass`: the team and person, signed with SECRET_KEY and good for seconds. It
never reaches the browser, and the pass-through drops the header from whatever comes from outside.
"""

from uuid import UUID

from django.core import signing

HEADER = "x-lathe-pass"
SECONDS = 30  # Long enough for two clocks that differ a little and a model that is loading.
_SALT = "inference.playground"


def issue(team_id: UUID, person_id: int) -> str:
    """A pass to ask the team's deployments for the next SECONDS."""
    return signing.dumps({"team": str(team_id), "person": person_id}, salt=_SALT)


def team_of(text: str) -> UUID | None:
    """The team a genuine, unexpired pass speaks for; None for anything else."""
    try:
        return UUID(signing.loads(text, salt=_SALT, max_age=SECONDS)["team"])
    except (signing.BadSignature, KeyError, ValueError):
        return None
