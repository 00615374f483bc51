"""What a crowd or an attacker costs everybody else: live streams, half-sent requests, a huge body.

    python -m benchmarks.hardening [--streams 2000] [--half-sent 1500] [--pages 100]

Starts a database of its own below var/hardening (or uses DATABASE_URL and REDIS_URL: their content
is added to), a web process and the front proxy as `make up` does. Printed: how fast pages answer
and with how much processor time while the streams are open, how soon a notice reaches all of them,
how many connections PostgreSQL, threads and bytes the processes have before and meanwhile; how fast
`/healthz` answers while the requests are half sent; and how much of a body of 500 GB is taken
before it is refused, with what it left on the disk.
"""

import argparse
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parent.parent
STREAMS_OF_ONE_PERSON = 20
EVENT = b"event: update"


@dataclass(frozen=True)
class Reader:
    """A person with a session and a team."""

    session: str
    slug: str
    team_id: str


@dataclass(frozen=True)
class Web:
    """The front proxy's port, and the processes that answer there."""

    port: int
    processes: list[psutil.Process]
    temporary: Path

    def family(self) -> list[psutil.Process]:
        children = (child for one in self.processes for child in one.children(recursive=True))
        return [*self.processes, *children]

    def cpu_seconds(self) -> float:
        return sum(sum(one.cpu_times()[:2]) for one in self.family())

    def facts(self) -> str:
        megabytes = sum(one.memory_info().rss for one in self.family()) / 1e6
        threads = sum(one.num_threads() for one in self.family())
        return f"{_connections()} connections to PostgreSQL, {threads} threads, {megabytes:.0f} MB"


def main() -> None:
    options = _options()
    _prepare_database()
    readers = _make_readers(1 + options.streams // STREAMS_OF_ONE_PERSON)
    with _web_process() as web:
        _ask_pages(web, readers[0], 10)  # Nothing is cold.
        _measure_streams(web, readers, options)
        _measure_half_sent(web, options)
        _measure_huge_body(web)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--half-sent", type=int, default=1500)
    parser.add_argument("--pages", type=int, default=100)
    return parser.parse_args()


def _prepare_database() -> None:
    """Sets the environment of this process and of its children, and migrates."""
    from config.local import embedded

    var = PROJECT / "var" / "hardening"
    if not os.environ.get("DATABASE_URL"):
        var.mkdir(parents=True, exist_ok=True)
        urls = embedded.ensure_running(var, is_durable=False)
        os.environ |= {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}
    defaults = {
        "SECRET_KEY": "only-for-measuring",
        "LATHE_VAR": str(var),
        "DEBUG": "true",  # Static files are not collected here.
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "REQUESTS_PER_ADDRESS": "4000",  # All come from this machine, streams while they begin.
    }
    os.environ.update({name: os.environ.get(name, value) for name, value in defaults.items()})
    migrate = [sys.executable, "manage.py", "migrate", "--no-input", "-v0"]
    subprocess.run(migrate, cwd=PROJECT, check=True)
    import django

    django.setup()


def _make_readers(count: int) -> list[Reader]:
    from django.test import Client

    from accounts.models import Membership, Role, Team, User

    readers = []
    for number in range(count):
        person, _ = User.objects.get_or_create(email=f"reader{number}@hardening.test")
        slug = f"hardening-{number}"
        team, _ = Team.objects.get_or_create(slug=slug, defaults={"name": slug})
        Membership.objects.get_or_create(team=team, user=person, defaults={"role": Role.OWNER})
        client = Client(SERVER_NAME="localhost")
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        readers.append(Reader(client.cookies["sessionid"].value, slug, str(team.pk)))
    return readers


@contextmanager
def _web_process() -> Iterator[Web]:
    """The web process, and the front proxy at the port that is asked."""
    port, web_port = _free_port(), _free_port()
    granian = [
        f"{Path(sys.executable).parent}/granian", "--interface", "asginl", "--loop", "asyncio",
        "config.asgi:application", "--no-ws", "--port", str(web_port), "--log-level", "warning",
        "--backlog", "2048", "--backpressure", "16384", "--workers-kill-timeout", "3",
    ]  # fmt: skip
    front = [sys.executable, "-m", "config.front_proxy", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"TMPDIR": folder}
        started = [
            subprocess.Popen(command, cwd=PROJECT, env=environment)
            for command in (granian, [*front, "--web-port", str(web_port)])
        ]
        processes = [psutil.Process(one.pid) for one in started]
        web = Web(port, processes, Path(folder))
        try:
            _wait_until_healthy(web)
            yield web
        finally:
            for one in started:
                one.terminate()
            for one in started:
                one.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(web: Web) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if _get(web, "/healthz").startswith(b"HTTP/1.1 200"):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("The web process does not answer.")


def _connections() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def _get(web: Web, path: str, session: str = "") -> bytes:
    with socket.create_connection(("127.0.0.1", web.port), 60) as opened:
        opened.sendall(_head("GET", path, session, "connection: close\r\n"))
        answer = b""
        while part := opened.recv(65536):
            answer += part
        return answer


def _head(method: str, path: str, session: str = "", more: str = "") -> bytes:
    cookie = f"cookie: sessionid={session}\r\n" if session else ""
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{cookie}{more}\r\n".encode()


def _ask_pages(web: Web, reader: Reader, count: int) -> list[float]:
    """The seconds each page took; two pages in turn."""
    taken, before = [], web.cpu_seconds()
    for number in range(count):
        path = f"/teams/{reader.slug}/" if number % 2 else f"/teams/{reader.slug}/notices/"
        started = time.perf_counter()
        answer = _get(web, path, reader.session)
        taken.append(time.perf_counter() - started)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path} answered {answer[:60]!r}")
    milliseconds = (web.cpu_seconds() - before) * 1000 / count
    print(f"{count} pages: {milliseconds:.0f} ms of processor time each, load {_load()}")
    return taken


def _load() -> str:
    """Of the whole machine: what waits for processors makes pages slower, not dearer."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _percentiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at = {share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.95, 1)}
    return (
        f"p50 {statistics.median(ordered) * 1000:.0f} ms, p95 {at[0.95] * 1000:.0f} ms,"
        f" slowest {at[1] * 1000:.0f} ms"
    )


def _measure_streams(web: Web, readers: list[Reader], options: argparse.Namespace) -> None:
    print(f"Before: {web.facts()}; pages {_percentiles(_ask_pages(web, readers[0], 20))}")
    started, held = time.perf_counter(), []
    for number in range(options.streams):
        reader = readers[1 + number // STREAMS_OF_ONE_PERSON]
        held.append(_open_stream(web, reader))
    print(f"{len(held)} live streams opened in {time.perf_counter() - started:.0f} s")
    pages = _percentiles(_ask_pages(web, readers[0], options.pages))
    print(f"Meanwhile: {web.facts()}; pages {pages}")
    print(
        f"A notice to each team reached all streams in {_seconds_of_a_notice(held, readers):.1f} s"
    )
    for opened in held:
        opened.close()
    time.sleep(3)
    print(f"After: {web.facts()}")


def _open_stream(web: Web, reader: Reader) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", web.port), 60)
    opened.sendall(_head("GET", f"/teams/{reader.slug}/notices/live/", reader.session))
    received = b""
    while EVENT not in received:
        part = opened.recv(4096)
        received += part
        if not part or not received.startswith(b"HTTP/1.1 200"[: len(received)]):
            raise SystemExit(f"a stream answered {received[:200]!r}")
    return opened


def _seconds_of_a_notice(held: list[socket.socket], readers: list[Reader]) -> float:
    from accounts.models import Team
    from accounts.notifications.publish import notices_channel
    from web.sse import notify

    channels = [
        notices_channel(team) for team in Team.objects.filter(slug__startswith="hardening-")
    ]
    waiting = selectors.DefaultSelector()
    for opened in held:
        waiting.register(opened, selectors.EVENT_READ)
    received: dict[Any, bytes] = dict.fromkeys(held, b"")
    started = time.perf_counter()
    notify(*channels)
    while waiting.get_map():
        for key, _ in waiting.select(1):
            received[key.fileobj] += key.fileobj.recv(4096)  # type: ignore[union-attr]
            if EVENT in received[key.fileobj]:
                waiting.unregister(key.fileobj)
        if time.perf_counter() - started > 60:
            raise SystemExit(f"{len(waiting.get_map())} streams heard nothing for a minute.")
    return time.perf_counter() - started


def _measure_half_sent(web: Web, options: argparse.Namespace) -> None:
    held, before = [], web.cpu_seconds()
    for _ in range(options.half_sent):
        opened = socket.create_connection(("127.0.0.1", web.port), 10)
        opened.sendall(_head("POST", "/v1/classify", more="content-length: 100\r\n") + b"{")
        held.append(opened)
    seconds, ends_at = [], time.monotonic() + 15
    while time.monotonic() < ends_at:
        started = time.perf_counter()
        if not _get(web, "/healthz").startswith(b"HTTP/1.1 200"):
            raise SystemExit("/healthz failed")
        seconds.append(time.perf_counter() - started)
        time.sleep(0.1)
    print(
        f"{len(held)} half-sent requests, for 15 s: /healthz {_percentiles(seconds)};"
        f" {web.cpu_seconds() - before:.1f} s of processor time, load {_load()}"
    )
    for opened in held:
        opened.close()


def _measure_huge_body(web: Web) -> None:
    for more, name in (
        ("content-length: 500000000000\r\n", "declared"),
        ("transfer-encoding: chunked\r\n", "not declared"),
    ):
        sent, part = 0, b"10000\r\n" + bytes(65536) + b"\r\n"
        with socket.create_connection(("127.0.0.1", web.port), 20) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            opened.sendall(_head("POST", "/", more=more))
            try:
                while sent < 500_000_000_000:
                    opened.sendall(part)
                    sent += len(part)
            except OSError:
                pass
        on_disk = sum(path.stat().st_size for path in web.temporary.rglob("*") if path.is_file())
        print(f"500 GB, {name}: {sent / 1e6:.1f} MB left the client, {on_disk} bytes on the disk")


if __name__ == "__main__":
    main()
