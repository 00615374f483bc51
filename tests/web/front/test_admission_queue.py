"""So many at once, so many waiting, and no more."""

import asyncio
import threading

import pytest

from web.front.admission_queue import AdmissionQueue, QueueIsFull, elsewhere


def hold(line, begun, may_end):
    async def holding():
        async with line.place():
            begun.append(1)
            await may_end.wait()

    return asyncio.create_task(holding())


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_so_many_are_under_way_so_many_wait_and_the_rest_is_refused():
    async def scenario():
        line, begun, may_end = AdmissionQueue(at_once=2, longest=3, seconds=5), [], asyncio.Event()
        tasks = [hold(line, begun, may_end) for _ in range(7)]
        await settle()
        assert len(begun) == 2
        refused = [task for task in tasks if task.done()]
        assert [type(task.exception()) for task in refused] == [QueueIsFull] * 2
        may_end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(begun) == 5
        async with line.place(), line.place():  # Every place was given back.
            pass

    asyncio.run(scenario())


def test_who_waits_in_vain_is_refused_and_takes_nobodys_place():
    async def scenario():
        line, begun, may_end = (
            AdmissionQueue(at_once=1, longest=9, seconds=0.05),
            [],
            asyncio.Event(),
        )
        first = hold(line, begun, may_end)
        await settle()
        with pytest.raises(QueueIsFull):
            async with line.place():
                pass
        leaving = hold(line, begun, may_end)  # Leaves before it is its turn.
        await settle()
        leaving.cancel()
        may_end.set()
        await asyncio.gather(first, leaving, return_exceptions=True)
        async with asyncio.timeout(1), line.place():
            assert len(begun) == 1

    asyncio.run(scenario())


def test_who_waits_for_something_slow_lends_the_place_and_has_it_again():
    async def scenario():
        line = AdmissionQueue(at_once=1, longest=9, seconds=5, elsewhere=1)
        may_go_on, is_elsewhere = threading.Event(), threading.Event()

        def wait_elsewhere():
            with elsewhere():
                is_elsewhere.set()
                may_go_on.wait(5)

        async def slow():
            async with line.place():
                await asyncio.to_thread(wait_elsewhere)

        task = asyncio.create_task(slow())
        await asyncio.to_thread(is_elsewhere.wait, 5)
        await settle()
        begun, may_end = [], asyncio.Event()
        second, third = hold(line, begun, may_end), hold(line, begun, may_end)
        await settle()
        assert len(begun) == 1  # In the place that was lent.
        may_go_on.set()
        await task
        may_end.set()
        await asyncio.gather(second, third)
        async with asyncio.timeout(1), line.place():  # As many as at first.
            assert len(line._turns) == 0
            assert line._under_way == 1

    asyncio.run(scenario())


def test_a_place_is_lent_no_more_often_than_allowed():
    async def scenario():
        line = AdmissionQueue(at_once=2, longest=0, seconds=5, elsewhere=1)
        may_go_on, elsewhere_count = threading.Event(), threading.Semaphore(0)

        def wait_elsewhere():
            with elsewhere():
                elsewhere_count.release()
                may_go_on.wait(5)

        async def slow():
            async with line.place():
                await asyncio.to_thread(wait_elsewhere)

        tasks = [asyncio.create_task(slow()) for _ in range(2)]
        for _ in tasks:
            await asyncio.to_thread(elsewhere_count.acquire)
        await settle()
        assert line._under_way == 1
        may_go_on.set()
        await asyncio.gather(*tasks)
        await settle()
        assert line._under_way == 0

    asyncio.run(scenario())
