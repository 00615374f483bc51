import asyncio
import threading
import time

import numpy as np
import pytest

from inference.serving.dynamic_batching import MAX_BATCH_ROWS, MAX_PADDING_RATIO, DynamicBatcher
from inference.serving.protocol.errors import ApiError


def echo(batch):
    """Answers each row with its first token id."""
    return np.array([[ids[0]] for ids in batch], dtype=np.float32)


def run(talk, lanes=2, **facts):
    async def whole():
        batcher = DynamicBatcher(lanes, **facts)
        try:
            return await talk(batcher)
        finally:
            batcher.close()

    return asyncio.run(whole())


def test_answers_come_back_in_the_order_of_the_rows():
    async def talk(batcher):
        rows = [[number] * (1 + number * 7 % 13) for number in range(100)]
        return await batcher.predict("a", echo, rows)

    assert [row[0] for row in run(talk)] == list(range(100))


def test_every_caller_gets_its_own_answers_when_many_ask_at_once():
    async def talk(batcher):
        asks = [batcher.predict("a", echo, [[n] * (1 + n % 9), [n + 1000]]) for n in range(200)]
        return await asyncio.gather(*asks)

    answers = run(talk)
    assert [[row[0] for row in rows] for rows in answers] == [[n, n + 1000] for n in range(200)]


def test_waiting_rows_share_batches_of_like_length():
    batches = []

    def noting(batch):
        batches.append([len(ids) for ids in batch])
        time.sleep(0.002)
        return echo(batch)

    async def talk(batcher):
        await asyncio.gather(
            *(batcher.predict("a", noting, [[1] * (1 + n % 40)]) for n in range(400))
        )

    run(talk)
    assert len(batches) < 100
    assert max(map(len, batches)) <= MAX_BATCH_ROWS
    for lengths in batches:
        assert max(lengths) * len(lengths) <= MAX_PADDING_RATIO * sum(lengths) + 1e-9


def test_a_row_that_breaks_the_model_harms_only_its_own_request():
    def fragile(batch):
        if any(ids[0] == 13 for ids in batch):
            raise ValueError("unlucky")
        return echo(batch)

    async def talk(batcher):
        asks = (batcher.predict("a", fragile, [[n]]) for n in range(20))
        return await asyncio.gather(*asks, return_exceptions=True)

    answers = run(talk)
    assert isinstance(answers[13], ValueError)
    assert [a[0][0] for n, a in enumerate(answers) if n != 13] == [n for n in range(20) if n != 13]


def test_a_slow_model_does_not_hold_up_another():
    release = threading.Event()

    def stuck(batch):
        release.wait(60)
        return echo(batch)

    async def talk(batcher):
        slow = asyncio.create_task(batcher.predict("slow", stuck, [[1]]))
        await asyncio.sleep(0.01)
        quick = await asyncio.wait_for(batcher.predict("quick", echo, [[2]]), 30)
        release.set()
        return quick, await slow

    quick, slow = run(talk)
    assert (quick[0][0], slow[0][0]) == (2, 1)


def test_models_take_turns_so_that_a_flood_of_one_does_not_starve_another():
    order = []

    def named(name):
        def predict(batch):
            order.append(name)
            return echo(batch)

        return predict

    async def talk(batcher):
        flood = asyncio.create_task(batcher.predict("flood", named("flood"), [[1]] * 2000))
        await asyncio.sleep(0)
        await batcher.predict("other", named("other"), [[2]])
        await flood

    run(talk, lanes=1)
    assert order.index("other") <= 2


@pytest.mark.slow
def test_a_small_request_overtakes_the_rest_of_a_large_one_for_the_same_model():
    order = []

    def noting(batch):
        order.append({ids[0] for ids in batch})
        return echo(batch)

    async def talk(batcher):
        large = asyncio.create_task(batcher.predict("a", noting, [[1] * 9] * 2000))
        await asyncio.sleep(0)
        await batcher.predict("a", noting, [[2]])
        await large

    run(talk, lanes=1)
    assert {2} in order[:3]


def test_too_many_waiting_rows_are_refused_with_a_time_to_come_back():
    release = threading.Event()

    def stuck(batch):
        release.wait(60)
        return echo(batch)

    async def talk(batcher):
        first = [asyncio.create_task(batcher.predict("a", stuck, [[1]] * 40)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(ApiError) as refusal:
            await batcher.predict("a", stuck, [[1]] * 40)
        release.set()
        await asyncio.gather(*first)
        return refusal.value

    refusal = run(talk, max_waiting_rows=60)
    assert refusal.status == 503
    assert refusal.headers["retry-after"]


def test_a_caller_that_left_costs_no_more_batches():
    release, seen = threading.Event(), []

    def noting(batch):
        seen.extend(ids[0] for ids in batch)
        release.wait(60)
        return echo(batch)

    async def talk(batcher):
        first = asyncio.create_task(batcher.predict("a", noting, [[1]]))
        await asyncio.sleep(0.02)
        gone = asyncio.create_task(batcher.predict("a", noting, [[2] * 30]))
        await asyncio.sleep(0.02)
        gone.cancel()
        release.set()
        await first
        await batcher.predict("a", noting, [[3]])
        return batcher.waiting_rows

    assert run(talk, lanes=1) == 0
    assert 2 not in seen
