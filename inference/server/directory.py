"""Who is asking and what they may ask: API tokens, deployments and budgets, read from PostgreSQL.

Answers are cached for seconds and forgotten at a notice ("token:<digest>", "deployments:<team>",
"team:<team>") on the channel of web.live, so that a revocation counts at once and, should the
notice be lost, after TOKEN_SECONDS.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import Error, connection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accounts.models import ApiToken, Team
from billing import budget
from inference import passes
from inference.server.database import DatabaseThreads
from inference.server.fresh import FreshCache
from inference.server.refusals import Refusal, unauthenticated, unavailable, unknown_model
from web.live import POSTGRES_CHANNEL

logger = logging.getLogger(__name__)

TOKEN_SECONDS = 5.0
DEPLOYMENT_SECONDS = 10.0
BUDGET_SECONDS = 1.0
DOUBT_SECONDS = 0.2  # A name that seems unknown is looked up anew after this long.
PLAYGROUND = "playground"  # Stands where an API token's prefix would, in usage and logs.

TOKEN = """
SELECT token.id, token.team_id, token.prefix, token.scopes, token.expires_at,
       team.frozen_at IS NOT NULL
FROM accounts_apitoken token
JOIN accounts_team team ON team.id = token.team_id
JOIN accounts_user person ON person.id = token.created_by_id AND person.is_active
WHERE token.digest = %s AND token.revoked_at IS NULL
  AND (token.expires_at IS NULL OR token.expires_at > now())
"""
DEPLOYMENTS = """
SELECT deployment.id, deployment.name, deployment.created_at, model.id, model.artifact_key,
       model.base_model, model.task
FROM inference_deployment deployment
JOIN training_trainedmodel model ON model.id = deployment.model_id
WHERE deployment.team_id = %s AND deployment.retired_at IS NULL
ORDER BY deployment.created_at DESC
"""
FROZEN = "SELECT frozen_at IS NOT NULL FROM accounts_team WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request: an API token, or a person in the playground."""

    team_id: UUID
    prefix: str
    scopes: frozenset[str]
    is_frozen: bool
    token_id: UUID | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment and the model that answers under its name now."""

    deployment_id: UUID
    name: str
    created_at: datetime
    model_id: str
    artifact_key: str
    base_model: str
    task: str


class Directory:
    """Cached look-ups, kept fresh by LISTEN."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._tokens = FreshCache(self._read_token, TOKEN_SECONDS)
        self._frozen = FreshCache(self._read_frozen, TOKEN_SECONDS)
        self._deployments = FreshCache(self._read_deployments, DEPLOYMENT_SECONDS)
        self._money = FreshCache(self._read_money, BUDGET_SECONDS)
        self._pool = AsyncConnectionPool(
            kwargs={**connection_params(), "autocommit": True},
            min_size=1,
            max_size=4,
            timeout=3,
            open=False,
            check=AsyncConnectionPool.check_connection,
        )
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._pool.open()
        self._listener = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._pool.close()

    async def caller(self, authorization: str, playground_pass: str) -> Caller:
        """Who asks. Raises Refusal (401) for a missing, unknown, expired or revoked credential."""
        if playground_pass and not authorization:
            return await self._caller_with_pass(playground_pass)
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise unauthenticated("Send an API token: Authorization: Bearer <API token>.")
        caller = await self._tokens.get(ApiToken.digest_of(secret.strip()))
        if caller is None or _has_expired(caller):
            raise unauthenticated("This API token is unknown, expired or revoked.")
        return caller

    async def deployments(self, team_id: UUID) -> list[Target]:
        """What a team serves, newest first."""
        return list((await self._deployments.get(team_id)).values())

    async def target(self, team_id: UUID, name: str) -> Target:
        """The team's deployment of this name. Raises Refusal (404)."""
        found = (await self._deployments.get(team_id)).get(name)
        if found is None:  # It may have been deployed an instant ago, before its notice came.
            known = await self._deployments.get(team_id, max_age_seconds=DOUBT_SECONDS)
            found = known.get(name)
        if found is None:
            raise unknown_model(name)
        return found

    async def may_spend(self, team_id: UUID) -> bool:
        """Whether money is left this month; at most BUDGET_SECONDS old."""
        return await self._money.get(team_id)

    async def _caller_with_pass(self, playground_pass: str) -> Caller:
        team_id = passes.team_of(playground_pass)
        if team_id is None:
            raise unauthenticated("This playground pass has expired. Ask again.")
        is_frozen = await self._frozen.get(team_id)
        return Caller(team_id, PLAYGROUND, frozenset({"inference"}), is_frozen)

    async def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as opened:
                return await (await opened.execute(query, values)).fetchall()
        except (psycopg.OperationalError, PoolTimeout) as error:
            logger.warning("The database does not answer: %s", error)
            raise silent_database() from error

    async def _read_token(self, digest: str) -> Caller | None:
        for token_id, team_id, prefix, scopes, expires_at, is_frozen in await self._rows(
            TOKEN, digest
        ):
            return Caller(team_id, prefix, frozenset(scopes), is_frozen, token_id, expires_at)
        return None

    async def _read_frozen(self, team_id: UUID) -> bool:
        rows = await self._rows(FROZEN, team_id)
        return not rows or bool(rows[0][0])

    async def _read_deployments(self, team_id: UUID) -> dict[str, Target]:
        rows = await self._rows(DEPLOYMENTS, team_id)
        return {
            name: Target(deployment_id, name, created_at, str(model_id), *rest)
            for deployment_id, name, created_at, model_id, *rest in rows
        }

    async def _read_money(self, team_id: UUID) -> bool:
        try:
            return await self._threads.run(_may_spend, team_id)
        except Error as error:
            raise silent_database() from error

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (psycopg.OperationalError, OSError):
                logger.warning("The notices of the database are interrupted; listening again.")
            self._forget_all()
            await asyncio.sleep(1)

    async def _listen_once(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            **connection_params(), autocommit=True
        ) as listening:
            await listening.execute(f"LISTEN {POSTGRES_CHANNEL}")
            self._forget_all()  # Something may have changed while nobody listened.
            async for notice in listening.notifies():
                self.heed(notice.payload)

    def heed(self, payload: str) -> None:
        """Forget what a notice says has changed."""
        kind, _, key = payload.partition(":")
        if kind == "token":
            self._tokens.forget(key)
        elif kind == "deployments":
            with contextlib.suppress(ValueError):
                self._deployments.forget(UUID(key))
        elif kind == "team":  # Frozen, thawed, or its cap was changed.
            self._tokens.clear()
            self._frozen.clear()
            self._money.clear()

    def _forget_all(self) -> None:
        for cache in (self._tokens, self._frozen, self._deployments, self._money):
            cache.clear()


def _may_spend(team_id: UUID) -> bool:
    return budget.of(Team(pk=team_id)).may_spend


def connection_params() -> dict[str, Any]:
    """How Django reaches the database, for psycopg itself."""
    params: dict[str, Any] = connection.get_connection_params()
    own_to_django = {"cursor_factory", "context"}
    return {name: value for name, value in params.items() if name not in own_to_django}


def silent_database() -> Refusal:
    return unavailable("The database does not answer. Try again in a moment.")


def _has_expired(caller: Caller) -> bool:
    return caller.expires_at is not None and caller.expires_at.timestamp() <= time.time()
