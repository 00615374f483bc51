"""Every view that streams, open many times in a real web process.

PostgreSQL sees no more connections, the process has no more threads; and what ends a person's
access ends the streams.
"""

import inspect
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Membership
from projects import storage
from projects.models import DatasetVersion
from tests.architecture.imports import PROJECT, source_files
from tests.web.guard.served import Served, web_process
from tests.web.test_outsiders import concrete
from training.models import TrainedModel
from web.streams.access import access_ended

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
OPEN_EACH = 8
POOL_SIZE = 4
APPS = {"accounts", "billing", "projects", "training", "inference", "assistants", "web"}
LARGE = b"row,reason\n" * 3_000_000  # More than the sockets' buffers hold: the download stays open.


@pytest.fixture
def files(things):
    """A refused row file and an artifact for the things that can be downloaded."""
    default_storage.save("rejects/large.csv", ContentFile(LARGE))
    DatasetVersion.objects.update(rejects_key="rejects/large.csv", rejected_rows=1)
    default_storage.save("artifacts/large/weights", ContentFile(LARGE))
    listing = {"weights": {"bytes": len(LARGE), "sha256": "0" * 64}}
    content = ContentFile(json.dumps(listing).encode())
    default_storage.save(f"artifacts/large/{storage.CONTENTS_FILE}", content)
    TrainedModel.objects.update(artifact_key="artifacts/large")
    return things


def test_streams_are_answered_by_web_streams_alone():
    """What the walk below relies on: it asks only views that can get there."""
    own = re.compile(r"\b(StreamingHttpResponse|FileResponse)\b")
    users = {
        str(path.relative_to(PROJECT)) for path in source_files() if own.search(path.read_text())
    }
    assert users <= {"web/streams/detached.py", "web/streams/downloads.py"}


def may_stream(view: Callable[..., object]) -> bool:
    """Whether the view's module, or one that it uses something of, uses web.streams."""
    names = {view.__module__}
    for _ in range(2):
        used = [
            getattr(value, "__module__", None) or ""
            for name in names
            for value in vars(sys.modules[name]).values()
        ]
        if any(name.startswith("web.streams") for name in used):
            return True
        names = {name for name in used if name.partition(".")[0] in APPS and name in sys.modules}
    return False


def streaming_routes(patterns: list, prefix: str = "") -> Iterator[str]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from streaming_routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern) and not route.startswith("admin"):
            view = getattr(entry.callback, "cls", None) or inspect.unwrap(entry.callback)
            if may_stream(view):
                yield route


def streaming_paths(files: dict[str, str], browser, client) -> tuple[set[str], set[str]]:
    """What a walk of all URLs finds to stream: on pages, and in the API."""
    pages = []
    routes = sorted(set(streaming_routes(get_resolver().url_patterns)))
    for get, is_api in ((browser.get, False), (client.get, True)):
        paths = {concrete(route, files) for route in routes if ("api/v1/" in route) == is_api}
        pages.append({path for path in paths if get(path).streaming})
    return pages[0], pages[1]


def open_stream(served: Served, path: str, login: str) -> socket.socket:
    """The connection, once its head and first bytes have come."""
    opened = socket.create_connection(("127.0.0.1", served.port), 20)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    opened.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n{login}\r\n".encode())
    received = b""
    while len(received.partition(b"\r\n\r\n")[2]) < 10:
        part = opened.recv(4096)
        received += part
        assert part, received
        assert received.startswith(b"HTTP/1.1 200"), received[:300]
    return opened


def connections_of(served: Served) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def threads_of(served: Served) -> int:
    process = psutil.Process(served.pid)
    return sum(one.num_threads() for one in (process, *process.children(recursive=True)))


def cookie_of(browser) -> str:
    return f"cookie: sessionid={browser.cookies['sessionid'].value}\r\n"


@pytest.mark.slow
def test_open_streams_hold_no_connection_and_no_thread(files, alice, client_of, token, api):
    browser = client_of(alice)
    pages, endpoints = streaming_paths(files, browser, api(token))
    kinds = {path.rstrip("/").rpartition("/")[2] for path in pages | endpoints}
    assert {"live", "download", "rejects.csv", "rejects", "audit.csv"} <= kinds
    logins = dict.fromkeys(pages, cookie_of(browser))
    logins |= dict.fromkeys(endpoints, f"authorization: Bearer {token.secret}\r\n")
    with web_process(STREAMS_PER_PERSON="1000", DB_POOL_SIZE=str(POOL_SIZE)) as served:
        held = [open_stream(served, path, login) for path, login in logins.items()]
        connections, threads = connections_of(served), threads_of(served)
        for path, login in logins.items():
            held += [open_stream(served, path, login) for _ in range(OPEN_EACH)]
        assert len(held) > 80
        assert connections_of(served) <= max(connections, POOL_SIZE + 1)  # One listens.
        assert threads_of(served) < threads + 20
        started = time.monotonic()
        open_stream(served, "/settings/", cookie_of(browser)).close()
        assert time.monotonic() - started < 5
        for opened in held:
            opened.close()


def seconds_until_closed(streams: list[socket.socket], end: Callable[[], object]) -> float:
    end()
    started = time.monotonic()
    for opened in streams:
        opened.settimeout(10)
        received = b""
        while not received.endswith(b"0\r\n\r\n"):  # HTTP's end of an answer without a length.
            received += opened.recv(4096)
        opened.close()
    return time.monotonic() - started


def test_streams_close_within_a_second_of_what_ended_access(files, alice, bob, vera, client_of):
    browsers = [client_of(person) for person in (alice, bob, vera)]
    browser, bobs, veras = browsers
    path = f"/jobs/{files['job']}/live/"
    with web_process() as served:

        def streams_of(one):
            return [open_stream(served, path, cookie_of(one)) for _ in range(3)]

        kept = streams_of(browser)
        second_session = client_of(alice)
        ends = [
            (streams_of(second_session), lambda: second_session.post("/accounts/logout/")),
            (streams_of(bobs), Membership.objects.get(user=bob).delete),
            (streams_of(veras), lambda: access_ended(person_ids=[vera.pk])),
        ]
        for streams, end in ends:
            assert seconds_until_closed(streams, end) < 1
        with pytest.raises(AssertionError, match="404"):
            open_stream(served, path, cookie_of(bobs))
        alice.is_active = False
        assert seconds_until_closed(kept, alice.save) < 1
        with pytest.raises(AssertionError, match="302"):
            open_stream(served, path, cookie_of(browser))


def test_one_person_has_so_many_streams(files, alice, bob, client_of):
    path = f"/jobs/{files['job']}/live/"
    with web_process(STREAMS_PER_PERSON="3") as served:
        held = [open_stream(served, path, cookie_of(client_of(alice))) for _ in range(3)]
        with pytest.raises(AssertionError, match="429"):
            open_stream(served, path, cookie_of(client_of(alice)))
        open_stream(served, path, cookie_of(client_of(bob))).close()
        held.pop().close()
        time.sleep(0.5)
        open_stream(served, path, cookie_of(client_of(alice))).close()
        for opened in held:
            opened.close()
