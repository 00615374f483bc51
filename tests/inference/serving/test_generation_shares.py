"""Chats of one team leave room for those of another."""

import asyncio
import threading
import uuid

import pytest

from engine.tasks.generation.sampling import TokenChunk
from inference.serving import generation_threads
from inference.serving.generation_threads import MAX_PER_TEAM, GenerationThreads
from inference.serving.protocol.errors import ApiError

GREEDY, OTHER, THIRD = (uuid.uuid4() for _ in range(3))


async def never():
    await asyncio.Future()


async def read(threads, source, team):
    return [chunk async for chunk in threads.stream(source, never(), team)]


def test_the_greedy_team_is_told_and_the_other_one_is_served():
    may_go_on = threading.Event()

    def slow():
        may_go_on.wait(20)
        yield TokenChunk("x", 1)

    async def talk():
        threads = GenerationThreads()
        greedy = [asyncio.create_task(read(threads, slow(), GREEDY)) for _ in range(40)]
        await asyncio.sleep(0.2)
        refused = [task.exception() for task in greedy if task.done()]
        assert len(refused) == 40 - MAX_PER_TEAM
        assert {(error.status, error.code) for error in refused} == {
            (429, "too_many_concurrent_requests")
        }
        assert f"{MAX_PER_TEAM} answers" in refused[0].sentence
        other = asyncio.create_task(read(threads, (one for one in [TokenChunk("y", 1)]), OTHER))
        await asyncio.sleep(0.1)
        may_go_on.set()
        assert len(await asyncio.wait_for(other, 5)) == 1
        await asyncio.gather(*(task for task in greedy if not task.done()))
        assert threads.waiting == 0
        threads.close()

    asyncio.run(talk())


def test_all_teams_together_are_told_the_truth(monkeypatch):
    monkeypatch.setattr(generation_threads, "MAX_WAITING", 0)

    async def talk():
        with pytest.raises(ApiError, match="of all teams") as refusal:
            await read(GenerationThreads(), (one for one in []), GREEDY)
        assert refusal.value.status == 503

    asyncio.run(talk())
