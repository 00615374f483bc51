"""Clients of every kind at once: whoever stays gets the answers to what was asked, in its order."""

import asyncio
import random

import pytest

from tests.config.front_proxy.behind import behind_the_front, post, read_request

PATHS = ["/v1/classify", "/v1/embeddings", "/v1/files", "/teams/acme/"]
CLIENTS, REQUESTS = 60, 12


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its body, after a moment of its own; at times it ends there."""
    chance = random.Random(writer.get_extra_info("peername")[1])
    try:
        while True:
            body = (await read_request(reader)).partition(b"\r\n\r\n")[2]
            await asyncio.sleep(chance.choice([0, 0, 0.01]))
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            half = chance.randrange(len(answer))
            writer.write(answer[:half])
            await asyncio.sleep(0)
            writer.write(answer[half:])
            if chance.random() < 0.05:
                break  # A server may end a kept connection between two requests.
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def ask_in_pieces(streams, chance: random.Random, name: str) -> str:
    """One client's requests, each cut somewhere; "left" or "answered", or how it was ended."""
    reader, writer = streams
    for number in range(REQUESTS):
        body = f"{name} {number} ".encode() * chance.choice([1, 10, 2_000])
        request = post(chance.choice(PATHS), body)
        for piece in _pieces(request, chance):
            writer.write(piece)
            await asyncio.sleep(chance.choice([0, 0, 0.005]))
        if chance.random() < 0.03:
            writer.transport.abort()
            return "left"
        try:
            answer = await asyncio.wait_for(read_request(reader), 20)
        except (asyncio.IncompleteReadError, ConnectionError):
            return "ended"
        head, _, said = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert said == body, (name, number)
    return "answered"


def _pieces(request: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.sample(range(1, len(request)), chance.choice([0, 1, 3])))
    return [request[a:b] for a, b in zip([0, *cuts], [*cuts, len(request)], strict=True)]


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_gets_the_answers_to_their_own_questions(seed):
    async def talk(wire):
        async def client(number):
            streams = await wire.connect()
            return await ask_in_pieces(streams, random.Random(f"{seed} {number}"), f"c{number}")

        return await asyncio.gather(*(client(number) for number in range(CLIENTS)))

    outcomes = behind_the_front(talk, models=echo, web=echo)
    assert outcomes.count("answered") > CLIENTS / 4
    assert set(outcomes) <= {"answered", "left", "ended"}
