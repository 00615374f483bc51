"""Who asks and what answers, as the models process reads it from PostgreSQL."""

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.models import Team, scopes_within
from accounts.models.api_token import WITH_DIGEST_SQL, WORKING_TOKENS_SQL
from billing.models import UsageDay
from engine import catalog
from engine.encoder_precision import split_precision
from inference.models import Deployment
from inference.playground import pretrained_at_hand
from inference.serving.model_cache import CheckpointKeys
from training.models import Checkpoint, TrainedModel, TrainingJob

GENERATION_TASK = "text-generation"
PLAYGROUND_PREFIX = "playground"  # Stands where an API token's prefix would, in usage and logs.

_LIMITS = """team.frozen_at IS NOT NULL, membership.role, token.allowed_models,
       token.budget_micro, token.requests_per_minute"""
# A former secret ends with its overlap, or with the token if that is sooner.
TOKEN_SQL = f"""
SELECT token.id, token.team_id, token.prefix, token.scopes,
       CASE WHEN token.digest = %s THEN token.expires_at
            ELSE LEAST(token.expires_at, token.previous_until) END, {_LIMITS}
{WORKING_TOKENS_SQL} {WITH_DIGEST_SQL}
"""
TOKEN_BY_ID_SQL = f"""
SELECT token.id, token.team_id, token.prefix, token.scopes, token.expires_at, {_LIMITS}
{WORKING_TOKENS_SQL} AND token.id = %s
"""
TOKEN_SPENT_SQL = f"""
SELECT COALESCE(SUM(total.amount_micro), 0) FROM {UsageDay._meta.db_table} total
WHERE total.team_id = %s AND total.token_prefix = %s AND total.day >= %s
"""
DEPLOYMENTS_SQL = f"""
SELECT deployment.id, deployment.name, deployment.created_at, model.id, model.artifact_key,
       model.base_model, model.task, checkpoint.storage_key, initial.artifact_key,
       canary.id, canary.artifact_key, deployment.canary_percent, shadow.id, shadow.artifact_key,
       deployment.log_one_in
FROM {Deployment._meta.db_table} deployment
JOIN {TrainedModel._meta.db_table} model ON model.id = deployment.model_id
LEFT JOIN {Checkpoint._meta.db_table} checkpoint ON checkpoint.id = deployment.checkpoint_id
LEFT JOIN {TrainingJob._meta.db_table} job ON job.id = checkpoint.job_id
LEFT JOIN {TrainedModel._meta.db_table} initial ON initial.id = job.initial_model_id
LEFT JOIN {TrainedModel._meta.db_table} canary ON canary.id = deployment.canary_model_id
LEFT JOIN {TrainedModel._meta.db_table} shadow ON shadow.id = deployment.shadow_model_id
WHERE deployment.team_id = %s AND deployment.retired_at IS NULL
ORDER BY deployment.created_at DESC
"""
SUSPENDED_SQL = f"SELECT frozen_at IS NOT NULL FROM {Team._meta.db_table} WHERE id = %s"


ENCODER_TASK = "text-classification"
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever sent a request: an API token, a person in the playground, or an assistant."""

    team_id: UUID
    prefix: str
    scopes: frozenset[str]
    is_suspended: bool
    token_id: UUID | None = None
    expires_at: datetime | None = None
    allowed_models: frozenset[str] = frozenset()  # Empty: all of the team's.
    budget_micro: int | None = None  # Of this token's answers each month.
    requests_per_minute: int | None = None
    is_batch: bool = False  # Its pace is the worker's, not a client's.
    source: str | None = None  # What is billed instead of the deployment: an assistant.
    usage_key: str | None = None  # What is asked under the same key again is not billed again.
    asks_base: bool = False  # The playground: what a model's base answers, before any tuning.

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at.timestamp() <= time.time()

    def may_ask(self, name: str) -> bool:
        """A base encoder is one model at every precision."""
        names = {name, split_precision(name)[0]}
        return not self.allowed_models or bool(names & self.allowed_models)


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A model that is tried under a deployment's name."""

    model_id: str
    artifact_key: str


@dataclass(frozen=True, slots=True)
class ServedDeployment:
    """A deployment and the model that answers under its name now; or a base model."""

    deployment_id: UUID | None  # None: a base model, which nobody had to deploy.
    name: str
    created_at: datetime
    model_id: str
    artifact_key: str
    base_model: str
    task: str
    checkpoint: CheckpointKeys | None = None  # What answers instead of the finished weights.
    canary: OtherModel | None = None
    canary_percent: int = 0
    shadow: OtherModel | None = None
    log_one_in: int = 1  # The log keeps one in so many requests, none where it is 0.

    def for_request(self, request_id: str) -> "ServedDeployment":
        """With the model that answers this request: the canary has its share of ids."""
        if self.canary is None or zlib.crc32(request_id.encode()) % 100 >= self.canary_percent:
            return self
        canary = self.canary
        return replace(
            self, model_id=canary.model_id, artifact_key=canary.artifact_key, checkpoint=None
        )

    @property
    def model_key(self) -> UUID | None:
        """The TrainedModel that answers; None for a base model."""
        try:
            return UUID(self.model_id)
        except ValueError:
            return None

    @property
    def source(self) -> str:
        """How billing names what answered."""
        return (
            f"deployment:{self.deployment_id}" if self.deployment_id else f"base-model:{self.name}"
        )


def deployment_of(row: tuple[Any, ...]) -> ServedDeployment:
    """Of a row of DEPLOYMENTS_SQL."""
    deployment_id, name, created_at, model_id, artifact_key, base_model, task = row[:7]
    checkpoint, initial, canary, canary_key, percent, shadow, shadow_key, log_one_in = row[7:]
    return ServedDeployment(
        deployment_id,
        name,
        created_at,
        str(model_id),
        artifact_key,
        base_model,
        task,
        checkpoint=CheckpointKeys(checkpoint, initial) if checkpoint else None,
        canary=OtherModel(str(canary), canary_key) if canary else None,
        canary_percent=percent or 0,
        shadow=OtherModel(str(shadow), shadow_key) if shadow else None,
        log_one_in=log_one_in,
    )


def principal_of(rows: list[tuple[Any, ...]]) -> Principal | None:
    """Of a row of TOKEN_SQL or TOKEN_BY_ID_SQL."""
    if not rows:
        return None
    token_id, team_id, prefix, scopes, expires_at, is_suspended, role, *limits = rows[0]
    allowed_models, budget_micro, requests_per_minute = limits
    return Principal(
        team_id,
        prefix,
        frozenset(scopes_within(scopes, role)),
        is_suspended,
        token_id,
        expires_at,
        frozenset(allowed_models),
        budget_micro,
        requests_per_minute,
    )


def is_base_encoder(name: str) -> bool:
    """Whether this name is a pretrained base model that embeds texts, at any precision."""
    entry = catalog.CATALOG.get(split_precision(name)[0])
    return entry is not None and ENCODER_TASK in entry.tasks and entry.source.kind != "scratch"


def base_encoder(name: str) -> ServedDeployment:
    encoder, _ = split_precision(name)
    return ServedDeployment(None, encoder, EPOCH, f"base/{name}", "", encoder, ENCODER_TASK)


def base_writer(name: str) -> ServedDeployment | None:
    """The base of a language model; None for one made from scratch or not on this machine."""
    if pretrained_at_hand(name) is None:
        return None
    return ServedDeployment(None, name, EPOCH, f"base/{name}", "", name, GENERATION_TASK)


def base_encoders() -> Iterator[ServedDeployment]:
    """Those that answer /v1/embeddings on this machine."""
    for name, entry in catalog.CATALOG.items():
        if is_base_encoder(name) and entry.is_at_hand:
            yield base_encoder(name)
