"""The address of a client that came through the front proxy, which connects from its own.

The proxy writes it, with a proof that only our processes can make, into each request to the models
process. A connection that it hands over to the web process carries it in its first request only.
"""

import hmac
from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from inference.gateway.web_process import proof_of

HEADER = b"x-lathe-client"
MAX_REMEMBERED = 65_536  # One for each port of the proxy's address.
Address = tuple[str, int]


def header_value(address: Address) -> bytes:
    """What the front proxy says of a client."""
    return b"%s %s %d" % (proof_of("front proxy"), address[0].encode(), address[1])


def _stated(scope: Scope) -> Address | None:
    """The client that the front proxy named in this request; what others write is ignored."""
    value = next((value for name, value in scope["headers"] if name == HEADER), None)
    proof, _, address = (value or b"").partition(b" ")
    if not hmac.compare_digest(proof, proof_of("front proxy")):
        return None
    host, _, port = address.rpartition(b" ")
    return host.decode("ascii", "replace"), int(port)


def with_client_of_each_request(application: ASGIApp) -> ASGIApp:
    """Around the models process's guard: connections of the proxy carry many clients' requests."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (client := _stated(scope)) is not None:
            scope["client"] = client
        await application(scope, receive, send)

    return serve


def with_client_of_each_connection(application: ASGIApp) -> ASGIApp:
    """Around the web process's guard: the first request of a connection names its client."""
    clients: OrderedDict[Address, Address] = OrderedDict()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.get("client")
        if scope["type"] == "http" and peer is not None:
            if (client := _stated(scope)) is not None:
                clients[tuple(peer)] = client
                clients.move_to_end(tuple(peer))
                if len(clients) > MAX_REMEMBERED:
                    clients.popitem(last=False)
            scope["client"] = clients.get(tuple(peer), peer)
        await application(scope, receive, send)

    return serve
