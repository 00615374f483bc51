"""How fast a deployed classifier answers, beside what one would write otherwise, in one run.

    make up                                  # in another terminal, until the demo model is live
    python -m benchmarks.serving [--seconds 3] [--rounds 3] [--litserve PYTHON]

Needs `wrk`, which asks one-row questions over kept-alive connections in interleaved rounds. No text
comes twice, for what was computed before is had from memory:
`lathe` is the running models process with everything it does: API token, budget, rate limit,
metering, log. `door` is the same through the base URL. `unbatched` is the model's ONNX file, in
int8 if there is one, one request at a time in a thread, and `pipeline` a transformers pipeline with
as many labels (untrained: only its speed counts); both without tokens or metering, under the same
HTTP server. `litserve` is LitServe with that ONNX file at the best of four settings, and
`litserve-1` at the best of those that compute each row alone; PYTHON is an interpreter with
litserve, onnxruntime, tokenizers, numpy, pydantic and safetensors. Printed: medians of requests per
second, of processor milliseconds per request (servers only), latencies, errors, and Lathe's
advantage in both.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from inference.demo_data import generate_tickets

PROJECT = Path(__file__).resolve().parent.parent
MESSAGE = 4  # The column of a ticket's text.
TEXTS = [row[MESSAGE] for row in generate_tickets(500, seed=1)]
RIVALS = {"unbatched": 8341, "pipeline": 8342}
LITSERVE_PORT = 8343
# What is asked at a burst's end costs time and gives no answer: little of it, beside many answers.
CONNECTIONS_PER_SECOND = 48
CONNECTIONS_LEFT_PER_SECOND = 250  # The burst before is answered, or given up, by then.
LITSERVE_SETTINGS = [(1, 2, 1), (1, 2, 2), (8, 2, 1), (8, 2, 2)]  # Batch, workers, HTTP servers.
WRK_SCRIPT = """
local texts, n, first = {}, 0, 0
function init(arguments)
  for line in io.lines(arguments[1]) do texts[#texts + 1] = line end
  first = tonumber(arguments[2])
end
function request()
  n = n + 1
  return wrk.format("POST", "/v1/classify", nil, (texts[n % #texts + 1]:gsub("NUMBER", first + n)))
end
function done(summary, latency)
  local e = summary.errors
  print(string.format("RESULT %d %d %f %f %d", summary.requests, summary.duration,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
# Another run must not ask what the models process remembers of this one.
_asked = random.randrange(10_000) * 100_000_000


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    token: str = ""
    behind: list[int] = field(default_factory=list)  # Ports of servers that it asks itself.
    pid: int | None = None  # Of a rival: all that it started belongs to it.

    def processes(self) -> list[psutil.Process]:
        if self.pid is not None:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        found = []
        for connection in psutil.net_connections("tcp"):
            is_listening = connection.status == psutil.CONN_LISTEN and connection.pid
            port = getattr(connection.laddr, "port", None)
            if is_listening and port in (self.port, *self.behind):
                process = psutil.Process(connection.pid)
                found += [process, *process.children(recursive=True)]
        return list({one.pid: one for one in found}.values())


@dataclass(frozen=True)
class Measured:
    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int


def main() -> None:
    options = _options()
    facts = json.loads((options.var / "demo.json").read_text())
    artifact = _artifact(options, facts["token"])
    servers = [
        Server("lathe", options.models_port, facts["token"]),
        Server("door", options.web_port, facts["token"], [options.models_port]),
    ]
    rivals = []
    for name, port in RIVALS.items():
        if name not in options.without:
            rivals.append(_start(name, port, artifact))
            servers.append(Server(name, port, pid=rivals[-1].pid))
    if options.litserve:
        servers += _start_litserve(options, artifact, rivals)
    try:
        for server in servers:
            _wait_for(server, options)
        for connections in options.connections:
            _report(connections, _measure_all(servers, connections, options))
    finally:
        for rival in rivals:
            _end(rival)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--var", type=Path, default=Path(os.environ.get("LATHE_VAR", "var")))
    parser.add_argument("--web-port", type=int, default=8000)
    parser.add_argument("--models-port", type=int, default=8001)
    parser.add_argument("--model", default="support-tickets")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 128, 512])
    parser.add_argument("--litserve", metavar="PYTHON", help="an interpreter that has LitServe")
    parser.add_argument("--without", nargs="*", default=[], choices=list(RIVALS))
    return parser.parse_args()


def _artifact(options: argparse.Namespace, token: str) -> Path:
    """The local copy of the served model; asking for its labels makes the process fetch it."""
    url = f"http://127.0.0.1:{options.models_port}/v1/info?model={options.model}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return Path(options.var / "models" / json.load(answer)["model_sha"]).resolve()


def _start(name: str, *arguments: object, python: str = sys.executable) -> subprocess.Popen[bytes]:
    command = [python, "-m", "benchmarks.serving_rivals", name, *map(str, arguments)]
    return subprocess.Popen(command, cwd=PROJECT, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    for one in psutil.Process(process.pid).children(recursive=True):
        one.kill()
    process.kill()
    process.wait()


def _start_litserve(
    options: argparse.Namespace, artifact: Path, rivals: list[subprocess.Popen[bytes]]
) -> list[Server]:
    """The best of all settings and the best of those without batches, each on a port of its own."""
    rates = {}
    for setting in LITSERVE_SETTINGS:
        process = _start("litserve", LITSERVE_PORT, artifact, *setting, python=options.litserve)
        try:
            server = Server("litserve", LITSERVE_PORT, pid=process.pid)
            _wait_for(server, options)
            rates[setting] = round(1 / _load(server, 8, options).cpu_ms, 3)
        finally:
            _end(process)
    print("LitServe's requests a CPU ms by (batch, workers, HTTP servers):", rates, flush=True)
    best = max(rates, key=lambda one: rates[one])
    best_alone = max((one for one in rates if one[0] == 1), key=lambda one: rates[one])
    servers = []
    for place, (name, setting) in enumerate([("litserve", best), ("litserve-1", best_alone)]):
        port = LITSERVE_PORT + place
        rivals.append(_start("litserve", port, artifact, *setting, python=options.litserve))
        servers.append(Server(name, port, pid=rivals[-1].pid))
    return servers


def _wait_for(server: Server, options: argparse.Namespace, seconds: float = 120) -> None:
    """Until it answers; then some more requests, so that nothing is cold."""
    deadline = time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    body = json.dumps({"model": options.model, "input": "Hello"}).encode()
    url = f"http://127.0.0.1:{server.port}/v1/classify"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30):
                _load(server, 2, options, seconds=1)
                return
        except OSError:  # An HTTPError is one as well.
            time.sleep(0.3)
    raise SystemExit(f"{server.name} does not answer on port {server.port}")


def _measure_all(
    servers: list[Server], connections: int, options: argparse.Namespace
) -> dict[str, Measured]:
    taken: dict[str, list[Measured]] = {server.name: [] for server in servers}
    for _ in range(options.rounds):
        for server in servers:
            taken[server.name].append(_load(server, connections, options))
    return {name: _median(rounds) for name, rounds in taken.items()}


def _load(
    server: Server, connections: int, options: argparse.Namespace, seconds: int | None = None
) -> Measured:
    """One burst of wrk."""
    global _asked
    _asked += 1_000_000
    processes = server.processes()
    with tempfile.TemporaryDirectory() as folder:
        seconds = seconds or max(options.seconds, connections // CONNECTIONS_PER_SECOND)
        script, texts = Path(folder, "ask.lua"), Path(folder, "texts")
        script.write_text(WRK_SCRIPT)
        bodies = ({"model": options.model, "input": f"{text} NUMBER"} for text in TEXTS)
        texts.write_text("".join(json.dumps(body) + "\n" for body in bodies))
        command = [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
            "--timeout", "60s", "-H", "Content-Type: application/json",
            "-H", f"Authorization: Bearer {server.token}", "-s", str(script),
            f"http://127.0.0.1:{server.port}", "--", str(texts), str(_asked),
        ]  # fmt: skip
        time.sleep(connections / CONNECTIONS_LEFT_PER_SECOND)
        before = _cpu_seconds(processes)
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        spent = _cpu_seconds(processes) - before
    numbers = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", output)
    assert numbers is not None, output
    requests, microseconds = int(numbers[1]), int(numbers[2])
    return Measured(
        requests * 1e6 / microseconds,
        spent * 1000 / max(1, requests),
        float(numbers[3]),
        float(numbers[4]),
        int(numbers[5]),
    )


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def _median(rounds: list[Measured]) -> Measured:
    def median(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in rounds))

    return Measured(
        median("per_second"),
        median("cpu_ms"),
        median("p50_ms"),
        median("p99_ms"),
        sum(one.errors for one in rounds),
    )


def _report(connections: int, results: dict[str, Measured]) -> None:
    print(f"\n{connections} at once, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("             requests/s | CPU ms | p50 ms | p99 ms | errors | lathe's rate | CPU")
    ours = results["lathe"]
    for name, one in results.items():
        numbers = f"{one.per_second:10.0f} | {one.cpu_ms:6.2f} | {one.p50_ms:6.1f} |"
        numbers += f" {one.p99_ms:6.0f} | {one.errors:6} |"
        ratios = f"{ours.per_second / one.per_second:12.2f} | {one.cpu_ms / ours.cpu_ms:.2f}"
        print(f"  {name:11}{numbers} {ratios}", flush=True)


if __name__ == "__main__":
    main()
