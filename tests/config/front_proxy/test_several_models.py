"""The front proxy before several models processes."""

import asyncio

import pytest

from tests.config.front_proxy.behind import OK, Server, answer_from, behind_the_front, read_request
from tests.config.front_proxy.test_front_proxy import ASK, Breaking, headers_of, status_of


def test_requests_take_turns_on_one_connection_of_a_client():
    first, second = Server(), Server()

    async def talk(wire):
        reader, writer = await wire.connect()
        for _ in range(6):
            writer.write(ASK)
            assert await answer_from(reader) == OK

    behind_the_front(talk, models=first, more_models=[second])
    assert (len(first.requests), len(second.requests)) == (3, 3)
    assert (first.connections, second.connections) == (1, 1)
    hosts = {headers_of(server.requests[0])[b"host"] for server in (first, second)}
    assert len(hosts) == 2


def test_the_busier_one_is_spared():
    quick, may_go_on = Server(), asyncio.Event()
    asked_slowly = []

    async def slow(reader, writer):
        while True:
            asked_slowly.append(await read_request(reader))
            await may_go_on.wait()
            writer.write(OK)

    async def talk(wire):
        waiting = asyncio.create_task(wire.ask(ASK))
        await asyncio.sleep(0.05)
        for _ in range(5):
            assert await wire.ask(ASK) == OK
        may_go_on.set()
        assert await waiting == OK

    behind_the_front(talk, models=slow, more_models=[quick])
    assert (len(asked_slowly), len(quick.requests)) == (1, 5)


def test_one_that_is_down_is_passed_over_and_all_of_them_are_503():
    well = Server()

    async def talk(wire):
        return [await wire.ask(ASK) for _ in range(4)]

    assert behind_the_front(talk, more_models=[well, None]) == [OK] * 4
    assert len(well.requests) == 4
    answers = behind_the_front(talk, more_models=[None])
    assert [status_of(answer) for answer in answers] == [503] * 4


@pytest.mark.parametrize(("second_answers", "status"), [(1, 200), (0, 503)])
def test_a_request_without_a_byte_of_its_answer_is_sent_once_more_elsewhere(second_answers, status):
    first, second, third = Breaking([0]), Breaking([second_answers]), Server()

    async def talk(wire):
        return await wire.ask(ASK)

    answer = behind_the_front(talk, models=first, more_models=[second, third])
    assert status_of(answer) == status
    assert (first.asked, second.asked, len(third.requests)) == (1, 1, 0)


def test_half_an_answer_is_never_taken_up_by_another_one():
    well = Server()

    async def breaks(reader, writer):
        await read_request(reader)
        writer.write(OK[:-1])
        await writer.drain()
        writer.close()

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(ASK)
        return await reader.read()

    assert behind_the_front(talk, models=breaks, more_models=[well]) == OK[:-1]
    assert well.requests == []


def test_a_client_that_leaves_frees_its_place():
    """The process whose client left counts as free again."""
    asked = [[], []]

    def silent(which):
        async def serve(reader, writer):
            asked[which].append(await read_request(reader))
            assert await reader.read() == b""
            writer.close()

        return serve

    async def talk(wire):
        balancer = wire.front.state.models._balancer
        for _ in range(4):
            _, writer = await wire.connect()
            writer.write(ASK)
            await asyncio.sleep(0.05)
            assert sum(balancer._under_way.values()) == 1
            writer.close()
            await asyncio.sleep(0.05)
        assert set(balancer._under_way.values()) == {0}
        assert wire.front.state.held_bytes == 0

    behind_the_front(talk, models=silent(0), more_models=[silent(1)])
    assert [len(one) for one in asked] == [2, 2]
