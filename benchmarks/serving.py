"""How fast a deployed classifier answers, beside what one would write otherwise, in one run.

    make up                                  # in another terminal, until the demo model is live
    python -m benchmarks.serving [--seconds 3] [--rounds 3]

Asked with one-row requests over kept-alive connections, in interleaved rounds. No text comes twice,
for what was computed before is had from memory:
`lathe` is the running models process with everything it does: API token, budget, rate limit,
metering, log. `web` is the same through the web process. `unbatched` is the very same ONNX file,
one request at a time in a thread, and `pipeline` a transformers pipeline with as many labels
(untrained: only its speed counts); both without tokens or metering, under the same HTTP server.
Printed: requests per second, p50 and p99 in milliseconds, and ratios of the medians.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from itertools import count
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from inference.demo_data import generate_tickets

PROJECT = Path(__file__).resolve().parent.parent
MESSAGE = 4  # The column of a ticket's text.
TEXTS = [row[MESSAGE] for row in generate_tickets(500, seed=1)]
numbers = count()  # Make every text another one.
RIVALS = {"unbatched": 8141, "pipeline": 8142}


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    headers: str = ""


@dataclass(frozen=True)
class Measured:
    per_second: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    options = _options()
    facts = json.loads((options.var / "demo.json").read_text())
    login = f"Authorization: Bearer {facts['token']}\r\n"
    artifact = _artifact(options, facts["token"])
    servers = [
        Server("lathe", options.models_port, login),
        Server("web", options.web_port, login),
        *(Server(name, port) for name, port in RIVALS.items()),
    ]
    rivals = [_start(name, port, artifact) for name, port in RIVALS.items()]
    try:
        for server in servers:
            _wait_for(server, options.model)
        for connections in options.connections:
            _report(connections, _measure_all(servers, connections, options))
    finally:
        for rival in rivals:
            rival.terminate()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--var", type=Path, default=Path(os.environ.get("LATHE_VAR", "var")))
    parser.add_argument("--web-port", type=int, default=8000)
    parser.add_argument("--models-port", type=int, default=8001)
    parser.add_argument("--model", default="support-tickets")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 128])
    return parser.parse_args()


def _artifact(options: argparse.Namespace, token: str) -> Path:
    """The local copy of the served model; asking for its labels makes the process fetch it."""
    url = f"http://127.0.0.1:{options.models_port}/v1/info?model={options.model}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return options.var / "models" / json.load(answer)["model_sha"]


def _start(name: str, port: int, artifact: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.serving_rivals", name, str(port), str(artifact)]
    return subprocess.Popen(command, cwd=PROJECT)


def _wait_for(server: Server, model: str, seconds: float = 60) -> None:
    """Until it answers; a few more requests, so that nothing is cold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            asyncio.run(_ask_for(server, model, 2, 0.3))
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{server.name} does not answer on port {server.port}")


def _measure_all(
    servers: list[Server], connections: int, options: argparse.Namespace
) -> dict[str, Measured]:
    taken: dict[str, list[Measured]] = {server.name: [] for server in servers}
    for _ in range(options.rounds):
        for server in servers:
            latencies = asyncio.run(_ask_for(server, options.model, connections, options.seconds))
            taken[server.name].append(_measured(latencies, options.seconds))
    return {name: _median(rounds) for name, rounds in taken.items()}


async def _ask_for(server: Server, model: str, connections: int, seconds: float) -> list[float]:
    """The seconds each answer took."""
    deadline = time.perf_counter() + seconds
    asking = (_ask(server, model, deadline) for _ in range(connections))
    return [taken for one in await asyncio.gather(*asking) for taken in one]


async def _ask(server: Server, model: str, deadline: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    latencies: list[float] = []
    while (started := time.perf_counter()) < deadline:
        place = next(numbers)
        writer.write(_request(server, model, f"{TEXTS[place % len(TEXTS)]} {place}"))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"{server.name} answered {head.splitlines()[0].decode()}")
        await _skip_body(reader, head)
        latencies.append(time.perf_counter() - started)
    writer.close()
    return latencies


def _request(server: Server, model: str, text: str) -> bytes:
    body = json.dumps({"model": model, "input": text}).encode()
    head = (
        f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n{server.headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    for line in head.splitlines():
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
            return
    while size := int((await reader.readline()).strip() or b"0", 16):  # Chunked.
        await reader.readexactly(size + 2)
    await reader.readline()


def _measured(latencies: list[float], seconds: float) -> Measured:
    ordered = sorted(latencies)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
    return Measured(len(ordered) / seconds, at[0] * 1000, at[1] * 1000)


def _median(rounds: list[Measured]) -> Measured:
    return Measured(
        statistics.median(one.per_second for one in rounds),
        statistics.median(one.p50_ms for one in rounds),
        statistics.median(one.p99_ms for one in rounds),
    )


def _report(connections: int, results: dict[str, Measured]) -> None:
    print(f"\n{connections} at once: requests/s | p50 ms | p99 ms | lathe is so many times as fast")
    ours = results["lathe"].per_second
    for name, one in results.items():
        ratio = ours / one.per_second
        numbers = f"{one.per_second:8.0f} | {one.p50_ms:7.1f} | {one.p99_ms:7.1f} | {ratio:.2f}"
        print(f"  {name:10}{numbers}", flush=True)


if __name__ == "__main__":
    main()
