"""Live pages: what a notice wakes, also after the connection to PostgreSQL broke."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection, transaction

from web import sse
from web.sse import NotifyHub, notify


class Listening:
    """A connection that brings these payloads and then breaks, or stays silent."""

    def __init__(self, payloads: list[str], breaks: bool) -> None:
        self.payloads, self.breaks = payloads, breaks
        self.is_entered = False
        self.later: asyncio.Future[str] | None = None

    async def __aenter__(self) -> "Listening":
        self.is_entered, self.later = True, asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def execute(self, statement: str) -> None:
        assert statement == f"LISTEN {sse.POSTGRES_CHANNEL}"

    async def notifies(self) -> AsyncIterator[SimpleNamespace]:
        for payload in self.payloads:
            yield SimpleNamespace(payload=payload)
        if self.breaks:
            raise psycopg.OperationalError("the server closed the connection")
        yield SimpleNamespace(payload=await self.later)


@pytest.fixture
def connections(monkeypatch) -> list:
    """What connecting gives, one after the other: a Listening, or an error to raise."""
    queue: list = []

    async def connect(**_: object) -> Listening:
        outcome = queue.pop(0) if queue else Listening([], breaks=False)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    monkeypatch.setattr(connection, "get_connection_params", dict)
    monkeypatch.setattr(sse, "RECONNECT_SECONDS", 0)
    return queue


async def wakes(event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), 2)
    except TimeoutError:
        return False
    event.clear()
    return True


async def stop(hub: NotifyHub) -> None:
    assert hub._listener is not None
    hub._listener.cancel()
    await asyncio.gather(hub._listener, return_exceptions=True)


def test_a_notice_wakes_its_own_channel_only(connections):
    async def scenario() -> None:
        hub = NotifyHub()
        connections.append(Listening(["job:1"], breaks=False))
        with hub.subscribe("job:1") as mine, hub.subscribe("job:2") as other:
            mine.clear(), other.clear()
            assert await wakes(mine)  # Everybody once connected, then job:1 alone.
            other.clear()
            await asyncio.sleep(0)
            assert not other.is_set()
        await stop(hub)

    asyncio.run(scenario())


def test_a_broken_connection_is_replaced_and_everybody_looks_again(connections):
    async def scenario() -> None:
        hub = NotifyHub()
        last = Listening([], breaks=False)
        failures = [psycopg.OperationalError("starting up"), OSError("no route")]
        connections.extend([*failures, Listening([], breaks=True), last])
        with hub.subscribe("job:1") as event:
            while not last.is_entered:
                assert await wakes(event)
            event.clear()
            last.later.set_result("job:1")
            assert await wakes(event)
        await stop(hub)

    asyncio.run(scenario())


def test_a_channel_without_subscribers_is_forgotten(connections):
    async def scenario() -> None:
        hub = NotifyHub()
        with hub.subscribe("job:1"), hub.subscribe("job:1"):
            assert len(hub._subscribers["job:1"]) == 2
        assert "job:1" not in hub._subscribers
        await stop(hub)

    asyncio.run(scenario())


def test_a_listener_that_died_is_started_again_by_the_next_subscriber(connections):
    async def scenario() -> None:
        hub = NotifyHub()
        with hub.subscribe("job:1"):
            await stop(hub)
        connections.append(Listening(["job:1"], breaks=False))
        with hub.subscribe("job:1") as event:
            assert await wakes(event)
        await stop(hub)

    asyncio.run(scenario())


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_rolled_back_notice_wakes_nobody():
    params = {
        k: v
        for k, v in connection.get_connection_params().items()
        if k not in {"cursor_factory", "context"}
    }
    with psycopg.connect(**params, autocommit=True) as listening:
        listening.execute(f"LISTEN {sse.POSTGRES_CHANNEL}")
        with transaction.atomic():
            notify("job:1")
            transaction.set_rollback(True)
        notify("job:2", "job:3")
        heard = [notice.payload for notice in listening.notifies(timeout=10, stop_after=2)]
    assert heard == ["job:2", "job:3"]
