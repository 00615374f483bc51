"""What one live stream says, and what ends it."""

import asyncio
from types import SimpleNamespace

import pytest

from web import sse
from web.sse import Ending, get_hub
from web.streams import event_stream
from web.streams.access import person_channel, session_channel
from web.streams.event_stream import TooManyStreams, event_stream_response

UPDATE, KEEPALIVE = b"event: update\ndata: now\n\n", b": still here\n\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(event_stream, "KEEPALIVE_SECONDS", 0.02)
    monkeypatch.setattr(event_stream, "MIN_EVENT_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(sse, "listen", lambda *_: asyncio.sleep(60))


def respond(person_id: int = 7, channel: str = "job:1", session_key: str | None = "s1"):
    request = SimpleNamespace(session=SimpleNamespace(session_key=session_key))
    return event_stream_response(request, SimpleNamespace(pk=person_id), channel)


async def take(stream, count: int) -> list[bytes]:
    return [await anext(stream) for _ in range(count)]


def test_a_stream_says_update_at_once_and_keeps_itself_alive():
    async def scenario():
        stream = respond().parts
        parts = await take(stream, 3)
        await stream.aclose()
        return parts

    retry, *rest = asyncio.run(scenario())
    assert retry.startswith(b"retry: ")
    assert rest == [UPDATE, KEEPALIVE]


def test_a_burst_of_notices_is_one_event():
    async def scenario():
        stream = respond().parts
        await take(stream, 2)
        for _ in range(5):
            get_hub()._notify("job:1")
        return await take(stream, 2)

    assert asyncio.run(scenario()) == [UPDATE, KEEPALIVE]


@pytest.mark.parametrize("channel", [person_channel(7), session_channel("s1")])
def test_a_stream_ends_when_the_person_or_the_session_loses_access(channel):
    async def scenario():
        mine, other = respond(), respond(person_id=8, session_key="s2")
        streams = [mine.parts, other.parts]
        for stream in streams:
            await take(stream, 2)
        get_hub()._notify(channel)
        with pytest.raises(StopAsyncIteration):
            await anext(streams[0])
        assert await anext(streams[1]) == KEEPALIVE
        assert set(get_hub()._subscribers) == {"job:1", person_channel(8), session_channel("s2")}

    asyncio.run(scenario())


def test_after_an_outage_streams_end_because_a_lost_right_may_have_gone_unheard():
    async def scenario():
        stream = respond().parts
        await take(stream, 2)
        # Lost, or made for the first time: look again, stay open.
        get_hub()._set_all(asyncio.Event)
        assert await anext(stream) == UPDATE
        get_hub()._set_all(Ending)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(scenario())


def test_a_stream_does_not_last_for_ever(monkeypatch):
    monkeypatch.setattr(event_stream, "MAX_SECONDS", 0.01)

    async def scenario():
        return [part async for part in respond().parts]

    assert len(asyncio.run(scenario())) <= 3


def test_a_person_has_so_many_streams_and_closing_one_makes_room(settings):
    settings.STREAMS_PER_PERSON = 2

    async def scenario():
        streams = [respond().parts for _ in range(2)]
        for stream in streams:
            await take(stream, 2)
        with pytest.raises(TooManyStreams):
            respond()
        assert await take(respond(person_id=8).parts, 2)
        await streams[0].aclose()
        assert await take(respond().parts, 2)

    asyncio.run(scenario())


def test_of_many_asked_for_in_one_moment_the_surplus_ends_at_once(settings):
    settings.STREAMS_PER_PERSON = 2

    async def scenario():
        streams = [respond().parts for _ in range(4)]
        return [len(await take(stream, 2)) for stream in streams[:2]] + [
            len([part async for part in stream]) for stream in streams[2:]
        ]

    assert asyncio.run(scenario()) == [2, 2, 1, 1]
    assert not event_stream._open_by_person


def test_streams_are_never_stored_or_buffered():
    response = respond()
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
