"""How many processes of a kind live now, on all machines: each holds a shared lock of PostgreSQL,
which ends with its connection however the process ends."""

import asyncio
import logging
from collections.abc import Callable

import psycopg

from web.advisory_lock import COUNT_HOLDERS, HOLD_SHARED_LOCK
from web.sse import RECONNECT_SECONDS, connection_params

logger = logging.getLogger(__name__)

COUNT_SECONDS = 1.0


async def count_for_ever(kind: str, tell: Callable[[int], None]) -> None:
    """Be one of its kind, and tell each second how many there are. While the database is away,
    the last number stays."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                **connection_params(), autocommit=True
            ) as holding:
                await holding.execute(HOLD_SHARED_LOCK, [kind])
                while True:
                    rows = await (await holding.execute(COUNT_HOLDERS, [kind])).fetchall()
                    tell(int(rows[0][0]))
                    await asyncio.sleep(COUNT_SECONDS)
        except (psycopg.OperationalError, OSError) as error:
            logger.warning("Processes of the kind %s are not counted: %s", kind, error)
        await asyncio.sleep(RECONNECT_SECONDS)
