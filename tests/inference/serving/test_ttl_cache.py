import asyncio

from inference.serving.ttl_cache import SingleFlightTtlCache


def test_a_hundred_callers_at_once_ask_the_database_once():
    loaded = []

    async def load(key):
        loaded.append(key)
        await asyncio.sleep(0.01)
        return key.upper()

    async def talk():
        cache = SingleFlightTtlCache(load, 10)
        return await asyncio.gather(*(cache.get("a") for _ in range(100)))

    assert asyncio.run(talk()) == ["A"] * 100
    assert loaded == ["a"]


def test_what_was_forgotten_while_it_was_read_is_not_kept():
    answers = iter(["old", "new"])
    read, go_on = asyncio.Event(), asyncio.Event()

    async def load(key):
        value = next(answers)
        read.set()
        await go_on.wait()
        return value

    async def talk():
        cache = SingleFlightTtlCache(load, 10)
        first = asyncio.create_task(cache.get("a"))
        await read.wait()
        cache.invalidate("a")
        go_on.set()
        return await first, await cache.get("a"), await cache.get("a")

    assert asyncio.run(talk()) == ("old", "new", "new")


def test_a_failed_read_is_tried_again():
    answers = iter([RuntimeError("away"), "here"])

    async def load(key):
        value = next(answers)
        if isinstance(value, Exception):
            raise value
        return value

    async def talk():
        cache = SingleFlightTtlCache(load, 10)
        first = (await asyncio.gather(cache.get("a"), return_exceptions=True))[0]
        return first, await cache.get("a")

    first, second = asyncio.run(talk())
    assert isinstance(first, RuntimeError)
    assert second == "here"
