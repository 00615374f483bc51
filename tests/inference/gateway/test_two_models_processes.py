"""Two models processes behind one base URL: exact metering, shared limits, one that is killed."""

import asyncio
import time
from collections import Counter

import httpx
import pytest
from django.db.models import Sum

from accounts.tokens import revoke
from billing.models import UsageEvent
from inference import deployments
from inference.gateway.reverse_proxy import with_inference_proxy
from tests.conftest import issue
from tests.inference.gateway.test_reverse_proxy import django_stands_here
from tests.inference.processes import free_port, models_process
from tests.inference.serving.test_application import in_thread

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.slow,
]
BODY = {"model": "intents", "input": "my card"}


@pytest.fixture
def two_processes(settings):
    ports = free_port(), free_port()
    settings.MODELS_URL = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    with models_process(ports[0]) as first, models_process(ports[1]) as second:
        time.sleep(2.5)  # Until each has counted both.
        yield ports, (first, second)


def through_web(talk):
    async def whole():
        transport = httpx.ASGITransport(with_inference_proxy(django_stands_here))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://web", timeout=30
        ) as client:
            await talk(client)

    asyncio.run(whole())


def ask(client, token, *, port=None):
    base = f"http://127.0.0.1:{port}" if port else ""
    headers = {"authorization": f"Bearer {token.secret}"}
    return client.post(f"{base}/v1/classify", json=BODY, headers=headers)


def booked(what: str) -> int:
    return UsageEvent.objects.aggregate(total=Sum(what))["total"] or 0


async def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_two_processes_answer_as_one_would(
    two_processes, deployment, make_model, team, alice, token
):
    ports, (first, _) = two_processes
    limited = issue(team, alice, requests_per_minute=10)
    told = Counter()

    async def talk(client):
        answers = await asyncio.gather(*(ask(client, token) for _ in range(60)))
        assert {answer.status_code for answer in answers} == {200}
        told["tokens"] = sum(answer.json()["usage"]["total_tokens"] for answer in answers)
        async with httpx.AsyncClient() as direct:
            for port in ports:
                text = (await direct.get(f"http://127.0.0.1:{port}/metrics")).text
                assert "lathe_models_processes 2.0" in text
                (line,) = [line for line in text.splitlines() if line.startswith("lathe_tokens_t")]
                told[port] = int(float(line.split()[1]))
        assert told[ports[0]] > 0 < told[ports[1]]

        async def all_is_booked():
            return await in_thread(booked, "units") == told["tokens"]

        await until(all_is_booked)
        assert await in_thread(booked, "requests") == 60

        statuses = [(await ask(client, limited)).status_code for _ in range(20)]
        assert Counter(statuses) == {200: 10, 429: 10}

        newer = await in_thread(make_model, "Newer")
        await in_thread(deployments.move, deployment, newer, alice)

        async def both_are_newer():
            answers = [await ask(client, token) for _ in range(4)]
            assert {answer.status_code for answer in answers} == {200}
            return {answer.headers["x-lathe-model"] for answer in answers} == {str(newer.pk)}

        await until(both_are_newer, 2.0)

        await asyncio.sleep(1.5)  # All is written.
        before, answered = await in_thread(booked, "requests"), 0
        for number in range(60):
            if number == 20:
                first.kill()
            answered += (await ask(client, token)).status_code == 200
        assert answered == 60  # Sent to the other one at once.
        await asyncio.sleep(1.5)
        missing = answered - (await in_thread(booked, "requests") - before)
        assert 0 <= missing <= 20

        async def the_other_counts_itself_only():
            async with httpx.AsyncClient() as direct:
                text = (await direct.get(f"http://127.0.0.1:{ports[1]}/metrics")).text
            return "lathe_models_processes 1.0" in text

        await until(the_other_counts_itself_only)
        await in_thread(revoke, token, alice)

        async def is_refused():
            return (await ask(client, token)).status_code == 401

        await until(is_refused, 2.0)

    through_web(talk)


def test_a_revoked_token_ends_at_both(two_processes, deployment, alice, token):
    ports, _ = two_processes

    async def talk(client):
        async with httpx.AsyncClient() as direct:
            for port in ports:
                assert (await ask(direct, token, port=port)).status_code == 200
            await in_thread(revoke, token, alice)

            async def both_refuse():
                answers = [await ask(direct, token, port=port) for port in ports]
                return [answer.status_code for answer in answers] == [401, 401]

            await until(both_refuse, 2.0)

    through_web(talk)
