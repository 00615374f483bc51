"""Many visitors who want a person, several people who take at once, and a web process that dies."""

import asyncio
import json
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress

import httpx
import psutil
import pytest
from django.core import signing
from django.db import connections
from django.test import Client

from accounts.models import Membership, Role
from assistants.conversations import watchdog
from assistants.conversations.consulting import hash_visitor
from assistants.lifecycle import add_channel
from assistants.models import Assistant, Channel, Conversation, Message, Version, Visitor
from assistants.views.visitors import VISITOR_SALT
from tests.conftest import _person
from tests.web.guard.served import Served, web_process

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
TRIES = 600  # Of one message, a tenth of a second apart while nobody answers.
WANTS_PERSON = "I want to talk to a person"
Send = Callable[[str, str, dict[str, str]], int]  # Path, body, headers → status; 0: no answer.


@pytest.fixture
def channel(assistant) -> Channel:
    """Of a live version that knows nothing: the built-in rule hands over."""
    Version.objects.create(
        assistant=assistant, number=1, status="live", encoder="e", promise=0.9,
        out_of_scope_share=0.1, measured_at=assistant.created_at, live_at=assistant.created_at,
    )  # fmt: skip
    Assistant.objects.update(state="live")
    return assistant.channels.get()  # A program's, whose visitors share one address.


@pytest.fixture
def cookies(team, client_of) -> list[str]:
    """Of four agents, signed in."""
    found = []
    for number in range(4):
        person = _person(f"agent{number}@acme.test", "Agent")
        Membership.objects.create(team=team, user=person, role=Role.MEMBER)
        found.append(client_of(person).cookies["sessionid"].value)
    return found


class Storm:
    """Visitors write and agents take, until told to stop; everything may be sent again."""

    def __init__(self, channel: Channel, secret: str, send: Send, cookies: list[str]) -> None:
        self.channel, self.send, self.cookies = channel, send, cookies
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.written: dict[str, int] = {}  # Visitor: messages that were received.
        self._lock = threading.Lock()

    def write(self, visitor: str) -> None:
        """One message, sent until it is received: its id keeps it single."""
        message = {"text": WANTS_PERSON, "visitor": visitor, "message_id": uuid.uuid4().hex}
        path = f"/v1/assistants/{self.channel.assistant.name}/consult"
        answered: Counter[int] = Counter()
        while not answered[200]:
            answered[self.send(path, json.dumps(message), self.headers)] += 1
            assert answered.total() < TRIES, f"{visitor} was answered {dict(answered)}"
            time.sleep(0.1 if not answered[200] else 0)
        with self._lock:
            self.written[visitor] = self.written.get(visitor, 0) + 1

    def take_all(self, cookie: str, total: int) -> None:
        """Take the oldest until every conversation has an owner."""
        path = f"/teams/{self.channel.assistant.team.slug}/inbox/next/"
        while Conversation.objects.filter(state="human").count() < total:
            if self.send(path, "", {"Cookie": f"sessionid={cookie}"}) == 0:
                time.sleep(0.1)
        connections.close_all()

    def run(self, visitors: int, during: Callable[[], None]) -> None:
        names = [f"visitor{number}" for number in range(visitors)]
        with ThreadPoolExecutor(8 + len(self.cookies)) as threads:
            agents = [threads.submit(self.take_all, one, visitors) for one in self.cookies]
            writing = [threads.submit(self.write, name) for name in names]
            during()
            for future in [*writing, *agents]:
                future.result(timeout=240)
            list(threads.map(self.write, names))  # To the people who took them.

    def check(self, visitors: int) -> None:
        talks = list(Conversation.objects.filter(channel=self.channel))
        assert len(talks) == visitors
        assert {talk.state for talk in talks} == {"human"}
        assert all(talk.assignee_id for talk in talks)
        assert len({talk.visitor_id for talk in talks}) == visitors
        stored = Message.objects.filter(channel=self.channel, author="visitor").count()
        assert stored == sum(self.written.values()) == 2 * visitors
        assert not Message.objects.filter(channel=self.channel, author="bot").exists()
        messages = Message.objects.filter(channel=self.channel, author="system")
        assert messages.count() == visitors  # Each visitor was told once.


def test_four_people_take_twelve_conversations_at_once(channel, token, cookies):
    browsers = {cookie: Client() for cookie in cookies}
    for cookie, browser in browsers.items():
        browser.cookies["sessionid"] = cookie

    def send(path: str, body: str, headers: dict[str, str]) -> int:
        try:
            cookie = headers.get("Cookie", "").removeprefix("sessionid=")
            if cookie:
                return browsers[cookie].post(path).status_code
            sent = {"content_type": "application/json", "headers": headers}
            return Client().post(path, body, **sent).status_code
        finally:
            connections.close_all()

    storm = Storm(channel, token.secret, send, cookies)
    storm.run(12, during=lambda: None)
    storm.check(12)


@contextmanager
def restarted_product() -> Iterator[tuple[Send, Callable[[], None]]]:
    """A way to send to the web process that runs at the moment, and one to kill and replace it."""
    current = [web_process()]
    served = [current[0].__enter__()]

    def send(path: str, body: str, headers: dict[str, str]) -> int:
        with suppress(httpx.HTTPError):
            address = f"http://127.0.0.1:{served[0].port}"
            token = "t" * 32
            more = {"Content-Type": "application/json"}
            if "Cookie" in headers:
                more = {"Referer": address + "/", "X-CSRFToken": token}
                headers = headers | {"Cookie": f"{headers['Cookie']}; csrftoken={token}"}
            return client.post(address + path, content=body, headers=headers | more).status_code
        return 0

    def kill() -> None:
        process = psutil.Process(served[0].pid)
        for one in [process, *process.children(recursive=True)]:
            one.send_signal(signal.SIGKILL)
        with suppress(Exception):
            current[0].__exit__(None, None, None)
        current[0] = web_process()
        served[0] = current[0].__enter__()

    with httpx.Client() as client:
        try:
            yield send, kill
        finally:
            current[0].__exit__(None, None, None)


@contextmanager
def watched_conversations() -> Iterator[None]:
    """The clock's duty: a message that a killed process left unanswered waits for a person."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(2):
            watchdog.watch()
        connections.close_all()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.nightly
@pytest.mark.slow
def test_two_hundred_conversations_survive_the_death_of_the_web_process(channel, token, cookies):
    with restarted_product() as (send, kill), watched_conversations():

        def kill_twice() -> None:
            for _ in range(2):
                time.sleep(2)
                kill()

        storm = Storm(channel, token.secret, send, cookies)
        storm.run(200, during=kill_twice)
    storm.check(200)


VISITORS, STREAM_BYTES = 500, 300 * 1024**2


@pytest.mark.nightly
@pytest.mark.slow
def test_five_hundred_visitors_wait_in_little_memory_without_a_database_connection(channel, alice):
    web = add_channel(channel.assistant, Channel.Kind.WEB, alice, allowed_origins=["https://a.b"])
    names = [f"visitor{number}" for number in range(VISITORS)]
    for name in names:
        visitor = Visitor.objects.create(channel=web, external_hash=hash_visitor(web, name))
        Conversation.objects.create(channel=web, visitor=visitor)
    tokens = [signing.dumps(name, salt=VISITOR_SALT) for name in names]
    with web_process() as served:
        before = _connections()
        opened, used, connected = asyncio.run(_open_streams(served, web.public_key, tokens))
    print(f"{opened} streams, {used / 1e6:.0f} MB, {connected - before} more connections")
    assert opened == VISITORS
    assert used <= STREAM_BYTES
    assert connected - before < 40  # The pool, and one that listens; not one for each visitor.


async def _open_streams(served: Served, key: str, tokens: list[str]) -> tuple[int, int, int]:
    """Streams that are open at once, the memory of all web processes, database connections."""
    limits = httpx.Limits(max_connections=None)
    address = f"http://127.0.0.1:{served.port}/w/{key}/stream"
    async with httpx.AsyncClient(timeout=60, limits=limits) as client, AsyncExitStack() as stack:
        opened = 0
        for token in tokens:
            stream = client.stream("GET", address, params={"visitor": token})
            opened += (await stack.enter_async_context(stream)).status_code == 200
        await asyncio.sleep(2)
        main = psutil.Process(served.pid)
        used = sum(one.memory_info().rss for one in [main, *main.children(recursive=True)])
        return opened, used, await asyncio.to_thread(_connections)


def _connections() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
