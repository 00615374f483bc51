"""What the front proxy costs as the door of /v1, beside asking the models process directly.

    python -m benchmarks.door [--seconds 3] [--rounds 3] [--work-ms 0 9]

Needs nothing running: the front proxy is the real one, behind it stands a stub of the models
process that takes `work-ms` of processor time for each answer in two threads, as a model does.
`direct` asks the stub, `door` asks through the front proxy, in interleaved rounds over kept-alive
connections; whatever is not 200 ends the run. With `--web` the door is the web process (granian,
guard, reverse proxy) instead, which answers where there is no front proxy. Printed: medians of
requests per second and of processor time per request, and of both what the door leaves of direct
(1: it costs nothing).
"""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parent.parent
BODY = json.dumps(
    {"model": "support-tickets", "input": "My card has not arrived yet. " * 4}
).encode()
ANSWER = json.dumps({"object": "list", "data": [{"label": "card", "probs": [0.01] * 60}]}).encode()
WORK_THREADS = 2


@dataclass(frozen=True)
class Burst:
    """One round: requests per second, and the processors' time for each request."""

    per_second: float
    cpu_ms: float


def main() -> None:
    options = _options()
    for work_ms in options.work_ms:
        print(f"\n{work_ms:g} ms of work behind the door")
        print("  at once | direct/s   door/s  ratio | direct ms  door ms  ratio | door alone ms")
        with _servers(work_ms, through_web=options.web) as (models, door):
            for connections in options.connections:
                _report(connections, _measure(models, door, connections, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work-ms", type=float, nargs="+", default=[0, 9])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 128, 512])
    parser.add_argument("--web", action="store_true", help="through the web process")
    parser.add_argument("--stub", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stub:
        asyncio.run(_serve_stub(options.stub, options.work_ms[0]))
        sys.exit()
    return options


@dataclass(frozen=True)
class Process:
    """A server and its port."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        family = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)


@contextmanager
def _servers(work_ms: float, *, through_web: bool) -> Iterator[tuple[Process, Process]]:
    models_port, door_port = _free_port(), _free_port()
    environment = os.environ | {
        "MODELS_URL": f"http://127.0.0.1:{models_port}",
        "DATABASE_URL": "postgresql://none@127.0.0.1/none",  # Inference never asks the web's.
        "REDIS_URL": "redis://127.0.0.1:1",
        "SECRET_KEY": "only-for-measuring",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    stub = [sys.executable, "-m", "benchmarks.door", "--stub", str(models_port)]
    web = [
        f"{Path(sys.executable).parent}/granian", "--interface", "asginl", "--loop", "asyncio",
        "config.asgi:application", "--no-ws", "--port", str(door_port), "--log-level", "warning",
        "--backlog", "2048", "--backpressure", "16384",
    ]  # fmt: skip
    front = [sys.executable, "-m", "config.front_proxy", "--port", str(door_port)]
    door = web if through_web else [*front, "--web-port", "9"]  # Inference never reaches the web's.
    commands = {models_port: [*stub, "--work-ms", str(work_ms)], door_port: door}
    started = {
        port: subprocess.Popen(command, cwd=PROJECT, env=environment)
        for port, command in commands.items()
    }
    try:
        for port in started:
            _wait_for(port)
        models, door_process = (
            Process(port, psutil.Process(one.pid)) for port, one in started.items()
        )
        yield models, door_process
    finally:
        for one in started.values():
            one.terminate()
            one.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            asyncio.run(_ask_for(port, 2, 0.3))
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"nothing answers on port {port}")


def _measure(
    models: Process, door: Process, connections: int, options: argparse.Namespace
) -> dict[str, list[Burst]]:
    bursts: dict[str, list[Burst]] = {"direct": [], "door": [], "door alone": []}
    for _ in range(options.rounds):
        for name, port in (("direct", models.port), ("door", door.port)):
            before = models.cpu_seconds(), door.cpu_seconds()
            answered = asyncio.run(_ask_for(port, connections, options.seconds))
            behind, front = models.cpu_seconds() - before[0], door.cpu_seconds() - before[1]
            per_second = answered / options.seconds
            bursts[name].append(Burst(per_second, (behind + front) * 1000 / answered))
            if name == "door":
                bursts["door alone"].append(Burst(per_second, front * 1000 / answered))
    return bursts


def _report(connections: int, bursts: dict[str, list[Burst]]) -> None:
    per_second = {k: statistics.median(one.per_second for one in v) for k, v in bursts.items()}
    cpu_ms = {k: statistics.median(one.cpu_ms for one in v) for k, v in bursts.items()}
    print(
        f"  {connections:7} | {per_second['direct']:8.0f} {per_second['door']:8.0f}"
        f" {per_second['door'] / per_second['direct']:6.2f} | {cpu_ms['direct']:9.2f}"
        f" {cpu_ms['door']:8.2f} {cpu_ms['direct'] / cpu_ms['door']:6.2f} |"
        f" {cpu_ms['door alone']:8.2f}",
        flush=True,
    )


async def _ask_for(port: int, connections: int, seconds: float) -> int:
    """How many were answered."""
    deadline = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(_ask(port, deadline) for _ in range(connections))))


async def _ask(port: int, deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {'x' * 43}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    request, answered = head.encode() + BODY, 0
    while time.perf_counter() < deadline:
        writer.write(request)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not answer.startswith(b"http/1.1 200"):
            raise SystemExit(f"port {port} answered {answer.splitlines()[0].decode()}")
        await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
        answered += 1
    writer.close()
    return answered


async def _serve_stub(port: int, work_ms: float) -> None:
    """Reads a body, works, and gives always the same answer."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    threads = ThreadPoolExecutor(WORK_THREADS)
    work = _work_of(work_ms)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(ANSWER)).encode()),
    ]

    async def application(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        if work_ms:
            await asyncio.get_running_loop().run_in_executor(threads, hashlib.sha256, work)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})

    await Server(
        application, port=port, interface=Interfaces.ASGINL, backlog=2048, backpressure=4096,
        websockets=False, log_enabled=False,
    ).serve()  # fmt: skip


def _work_of(milliseconds: float) -> bytes:
    """As many bytes as hash in that time. Meanwhile other Python threads run, as with a model."""
    sample = bytes(4 * 1024 * 1024)
    fastest = min(_seconds(sample) for _ in range(7))
    return bytes(int(len(sample) * milliseconds / 1000 / fastest))


def _seconds(sample: bytes) -> float:
    started = time.perf_counter()
    hashlib.sha256(sample)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
