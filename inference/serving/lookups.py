"""Who sends a request and what they may use: tokens, deployments and budgets, from PostgreSQL.

Results are cached for seconds and invalidated at a notice ("token:<digest>",
"access:person:<id>", "deployments:<team>", "team:<team>") on the channel of web.sse, so that a
revocation counts at once and, should the notice be lost, after TOKEN_TTL_SECONDS.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import Error
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accounts.models import ApiToken, Team
from accounts.permissions import require_permission
from billing.budgets import budget
from billing.months import this_month
from engine.encoder_precision import split_precision
from inference import deployments
from inference.fine_tuning import deploying
from inference.fine_tuning.names import PREFIX
from inference.gateway import internal_token
from inference.gateway.other_models import registered, sentence_for
from inference.models import Deployment
from inference.serving.db_executor import DatabaseExecutor
from inference.serving.principals import (
    DEPLOYMENTS_SQL,
    PLAYGROUND_PREFIX,
    SUSPENDED_SQL,
    TOKEN_BY_ID_SQL,
    TOKEN_SPENT_SQL,
    TOKEN_SQL,
    Principal,
    ServedDeployment,
    base_encoders,
    deployment_of,
    principal_of,
)
from inference.serving.protocol.errors import (
    ApiError,
    bad_request,
    database_busy,
    model_not_allowed,
    only_embeds,
    out_of_quota,
    out_of_token_budget,
    service_unavailable,
    unauthenticated,
    unknown_model,
)
from inference.serving.ttl_cache import SingleFlightTtlCache
from web.database.pool import is_exhausted
from web.errors import UserError
from web.sse import connection_params, listen

logger = logging.getLogger(__name__)

TOKEN_TTL_SECONDS = 1.0  # So late a right ends, should its notice be lost.
DEPLOYMENT_TTL_SECONDS = 10.0
BUDGET_TTL_SECONDS = 1.0
NEGATIVE_TTL_SECONDS = 0.2  # A name that seems unknown is looked up anew after this long.
# Requests with many different tokens wait for one another's look-ups, of a millisecond each.
CONNECTIONS, MAX_WAIT_SECONDS = 4, 10


class CachedLookups:
    """Cached look-ups, kept fresh by LISTEN."""

    def __init__(self, db_executor: DatabaseExecutor) -> None:
        self._db_executor = db_executor
        self._tokens = SingleFlightTtlCache(self._load_token, TOKEN_TTL_SECONDS)
        self._tokens_by_id = SingleFlightTtlCache(self._load_token_by_id, TOKEN_TTL_SECONDS)
        self._token_spending = SingleFlightTtlCache(self._load_token_spent, BUDGET_TTL_SECONDS)
        self._suspended = SingleFlightTtlCache(self._load_suspended, TOKEN_TTL_SECONDS)
        self._deployments = SingleFlightTtlCache(self._load_deployments, DEPLOYMENT_TTL_SECONDS)
        self._other_models = SingleFlightTtlCache(self._load_other_models, TOKEN_TTL_SECONDS)
        self._budgets = SingleFlightTtlCache(self._load_may_spend, BUDGET_TTL_SECONDS)
        self._pool = AsyncConnectionPool(
            kwargs={**connection_params(), "autocommit": True},
            min_size=1,
            max_size=CONNECTIONS,
            timeout=MAX_WAIT_SECONDS,
            open=False,
            check=AsyncConnectionPool.check_connection,
        )
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._pool.open()
        self._listener = asyncio.get_running_loop().create_task(
            listen(self._on_notify, self._invalidate_all)
        )

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._pool.close()

    async def authenticate(self, authorization: str, playground_token: str) -> Principal:
        """Whom the credential stands for.

        Raises ApiError (401) for a missing, unknown, expired or revoked credential.
        """
        if playground_token and not authorization:
            return await self._internal_principal(playground_token)
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise unauthenticated("Send an API token: Authorization: Bearer <API token>.")
        principal = await self._tokens.get(ApiToken.digest_of(secret.strip()))
        if principal is None or principal.has_expired:
            raise unauthenticated("This API token is unknown, expired or revoked.")
        return principal

    async def _internal_principal(self, text: str) -> Principal:
        """Of our own processes: a person in the playground, an assistant, or a batch's token."""
        caller = internal_token.verify_token(text)
        if caller is None:
            raise unauthenticated("This playground pass has expired. Ask again.")
        if caller.api_token_id is None:
            is_suspended = await self._suspended.get(caller.team_id)
            scopes, source = frozenset({"inference"}), caller.source
            return Principal(
                caller.team_id,
                caller.prefix if source else PLAYGROUND_PREFIX,
                scopes,
                is_suspended,
                is_batch=caller.usage_key is not None,
                source=source,
                usage_key=caller.usage_key,
                asks_base=caller.asks_base,
            )
        principal = await self._tokens_by_id.get(caller.api_token_id)
        if principal is None or principal.has_expired:
            raise unauthenticated("The API token that began this batch is expired or revoked.")
        return replace(principal, is_batch=True, usage_key=caller.usage_key)

    async def list_models(self, principal: Principal) -> dict[str, datetime]:
        """Names and times of creation of what the token may ask: the team's deployments, newest
        first, then models of other apps and base encoders."""
        deployments = (await self._deployments.get(principal.team_id)).values()
        models = {one.name: one.created_at for one in deployments}
        models |= await self._other_models.get(principal.team_id)
        for encoder in base_encoders():
            models.setdefault(encoder.name, encoder.created_at)
        return {name: made for name, made in models.items() if principal.may_ask(name)}

    async def get_deployment(self, principal: Principal, name: str) -> ServedDeployment:
        """The team's deployment of this name; a fine-tuned model is deployed now if need be.

        Raises ApiError (404, 403).
        """
        if not principal.may_ask(name):
            raise model_not_allowed(name)
        team_id, token_id = principal.team_id, principal.token_id
        deployment = (await self._deployments.get(team_id)).get(name)
        if deployment is None:  # It may have been deployed an instant ago, before its notice came.
            newest = await self._deployments.get(team_id, max_age_seconds=NEGATIVE_TTL_SECONDS)
            deployment = newest.get(name)
        if deployment is None and name.startswith(PREFIX):
            await self._run(deploying.deploy_on_demand, team_id, name, token_id)
            newest = await self._deployments.get(team_id, max_age_seconds=0)
            deployment = newest.get(name)
        if deployment is None:
            if sentence := sentence_for(name):
                raise bad_request(sentence, "model")
            listed = {encoder.name for encoder in base_encoders()}
            is_encoder = split_precision(name)[0] in listed
            raise only_embeds(name) if is_encoder else unknown_model(name)
        return deployment

    async def retire_deployment(self, principal: Principal, name: str) -> None:
        """Stop serving under this name. Raises ApiError (403, 404)."""
        if not principal.may_ask(name):
            raise model_not_allowed(name)
        if not await self._run(retire_by_name, principal.team_id, name, principal.token_id):
            if name in await self.list_models(principal):
                raise bad_request(f"{name} is not a deployment: only those end here.", "model")
            raise unknown_model(name)
        self._deployments.invalidate(principal.team_id)

    async def _run(self, call: Callable[..., Any], *arguments: object) -> Any:
        """A verb of the product in a database thread; its refusals in the API's shape."""
        try:
            return await self._db_executor.run(call, *arguments)
        except UserError as refusal:
            raise ApiError(
                refusal.status, refusal.code, refusal.sentence, param=refusal.param
            ) from None
        except Error as error:
            raise await _explain_failure(error) from error

    async def require_budget(self, principal: Principal) -> None:
        """Raises ApiError (402) when the team's or the token's money of this month is spent; what
        is known of it is at most BUDGET_TTL_SECONDS old."""
        if not await self._budgets.get(principal.team_id):
            raise out_of_quota()
        if principal.budget_micro is None:
            return
        spent = await self._token_spending.get((principal.team_id, principal.prefix))
        if spent >= principal.budget_micro:
            raise out_of_token_budget(principal.budget_micro)

    async def _fetch_rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as opened:
                return await (await opened.execute(query, values)).fetchall()
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise await _explain_failure(error) from error

    async def _load_token(self, digest: str) -> Principal | None:
        return principal_of(await self._fetch_rows(TOKEN_SQL, digest, digest, digest))

    async def _load_token_by_id(self, token_id: UUID) -> Principal | None:
        return principal_of(await self._fetch_rows(TOKEN_BY_ID_SQL, token_id))

    async def _load_token_spent(self, key: tuple[UUID, str]) -> int:
        ((spent,),) = await self._fetch_rows(TOKEN_SPENT_SQL, *key, this_month().start.date())
        return int(spent)

    async def _load_suspended(self, team_id: UUID) -> bool:
        rows = await self._fetch_rows(SUSPENDED_SQL, team_id)
        return not rows or bool(rows[0][0])

    async def _load_deployments(self, team_id: UUID) -> dict[str, ServedDeployment]:
        rows = await self._fetch_rows(DEPLOYMENTS_SQL, team_id)
        return {deployment.name: deployment for deployment in map(deployment_of, rows)}

    async def _load_other_models(self, team_id: UUID) -> dict[str, datetime]:
        rows = [row for models in registered for row in await self._fetch_rows(models.sql, team_id)]
        return {name: created_at for name, created_at in rows}

    async def _load_may_spend(self, team_id: UUID) -> bool:
        try:
            return await self._db_executor.run(
                lambda: budget.get_budget(Team(pk=team_id)).can_spend
            )
        except Error as error:
            raise await _explain_failure(error) from error

    def _on_notify(self, payload: str) -> None:
        """Invalidate what the notice says has changed."""
        kind, _, key = payload.partition(":")
        if kind == "token":
            self._tokens.invalidate(key)
        elif kind == "access":  # Somebody may do less; their tokens are not known by person.
            self._tokens.clear()
            self._tokens_by_id.clear()
        elif kind == "deployments":
            with contextlib.suppress(ValueError):
                self._deployments.invalidate(UUID(key))
        elif kind == "team":  # Suspended or not any more, or its cap was changed.
            self._tokens.clear()
            self._tokens_by_id.clear()
            self._suspended.clear()
            self._budgets.clear()

    def _invalidate_all(self) -> None:
        for cache in (self._tokens, self._suspended, self._deployments, self._budgets):
            cache.clear()
        self._tokens_by_id.clear()


def retire_by_name(team_id: UUID, name: str, token_id: UUID | None) -> bool:
    """Whether there was such a deployment. Raises NotAllowed for a token that may not write."""
    deployment = Deployment.objects.serving().filter(team_id=team_id, name=name).first()
    if token_id is None:
        return False
    token = ApiToken.objects.usable().select_related("created_by").filter(pk=token_id).first()
    if deployment is None or token is None:
        return False
    require_permission(token, deployment.team, "write")
    deployments.retire(deployment, token)
    return True


async def _explain_failure(error: Exception) -> ApiError:
    """429 where all connections were in use although PostgreSQL answers, else 503."""
    logger.warning("A look-up failed: %s", error)
    if await asyncio.to_thread(is_exhausted, error):
        return database_busy()
    return service_unavailable("The database does not answer. Try again in a moment.")
