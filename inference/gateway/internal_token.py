"""Internal tokens: how our own processes authenticate to the models process for a person, a batch
or an assistant.

A browser holds no API token, so the web process, having checked that the person belongs to the
team, sends `x-lathe-pass`: the team and person, signed with SECRET_KEY and valid for seconds. It
never reaches the browser, and the reverse proxy drops the header from requests from outside. A
batch names the API token that began it, so that its rights, limits and place on the bill hold, and
the line that it asks, so that a line which is asked again is billed once.
"""

from dataclasses import dataclass
from uuid import UUID

from django.core import signing

HEADER = "x-lathe-pass"
MAX_AGE_SECONDS = 30  # Long enough for two clocks that differ a little and a model that is loading.
_SALT = "inference.playground"


@dataclass(frozen=True, slots=True)
class InternalCaller:
    """For whom a process of ours asks."""

    team_id: UUID
    api_token_id: UUID | None = None  # Of a batch: the token that began it.
    source: str | None = None  # What is billed instead of what answers: an assistant.
    usage_key: str | None = None  # Of a batch's line: its use is billed once under this key.
    prefix: str = ""  # Of the API token that asked the assistant.
    asks_base: bool = False  # What a deployment's base model answers.


def issue_token(
    team_id: UUID,
    person_id: int | None,
    api_token_id: UUID | None = None,
    *,
    source: str | None = None,
    usage_key: str | None = None,
    prefix: str = "",
    asks_base: bool = False,
) -> str:
    """A token for the team's deployments, valid for MAX_AGE_SECONDS."""
    facts: dict[str, object] = {"team": str(team_id), "person": person_id}
    if api_token_id is not None:
        facts["token"] = str(api_token_id)
    if source is not None:
        facts["source"] = source
    if usage_key is not None:
        facts["usage_key"] = usage_key
    if prefix:
        facts["prefix"] = prefix
    if asks_base:
        facts["base"] = True
    return signing.dumps(facts, salt=_SALT)


def verify_token(text: str) -> InternalCaller | None:
    """Who is meant by a genuine, unexpired token; None for anything else."""
    try:
        facts = signing.loads(text, salt=_SALT, max_age=MAX_AGE_SECONDS)
        token = facts.get("token")
        team_id, token_id = UUID(facts["team"]), UUID(token) if token else None
        return InternalCaller(
            team_id,
            token_id,
            facts.get("source"),
            facts.get("usage_key"),
            facts.get("prefix", ""),
            facts.get("base", False),
        )
    except (signing.BadSignature, KeyError, ValueError):
        return None
