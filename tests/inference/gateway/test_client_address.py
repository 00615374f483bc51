"""Whom the guard counts when all connections come from the front proxy."""

import asyncio

import pytest

from inference.gateway import client_address
from inference.gateway.client_address import (
    with_client_of_each_connection,
    with_client_of_each_request,
)

PROXY, CLIENT = ("127.0.0.1", 40_000), ("9.9.9.9", 1234)
NAMED = [(client_address.HEADER, client_address.header_value(CLIENT))]
WRAPPERS = [with_client_of_each_connection, with_client_of_each_request]


def clients_seen(wrap, requests):
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["client"])

    async def whole():
        served = wrap(application)
        for peer, headers in requests:
            await served({"type": "http", "client": peer, "headers": headers}, None, None)

    asyncio.run(whole())
    return seen


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("value", [b"", b"x", b"x 6.6.6.6 1", b" 6.6.6.6 1", NAMED[0][1][1:]])
def test_only_the_front_proxy_is_believed(wrap, value):
    assert clients_seen(wrap, [(PROXY, [(client_address.HEADER, value)])]) == [PROXY]


def test_each_request_to_the_models_process_names_its_own_client():
    seen = clients_seen(with_client_of_each_request, [(PROXY, NAMED), (PROXY, [])])
    assert seen == [CLIENT, PROXY]


def test_a_connection_to_the_web_process_is_its_first_clients():
    other = ("127.0.0.1", 40_001)
    requests = [(PROXY, NAMED), (PROXY, []), (other, []), (None, [])]
    seen = clients_seen(with_client_of_each_connection, requests)
    assert seen == [CLIENT, CLIENT, other, None]


def test_only_so_many_connections_are_remembered(monkeypatch):
    monkeypatch.setattr(client_address, "MAX_REMEMBERED", 1)
    requests = [(PROXY, NAMED), (("127.0.0.1", 2), NAMED), (PROXY, [])]
    assert clients_seen(with_client_of_each_connection, requests) == [CLIENT, CLIENT, PROXY]


def test_an_ipv6_client_is_named_whole():
    client = ("2001:db8::1", 9)
    named = [(client_address.HEADER, client_address.header_value(client))]
    assert clients_seen(with_client_of_each_request, [(PROXY, named)]) == [client]
