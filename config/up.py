"""`make up`: everything on one machine, in one terminal, until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.core.exceptions import ImproperlyConfigured

from config import embedded, env, leftovers
from config.embedded_place import EmbeddedError
from config.ports import is_free, usable_port
from config.processes import PROJECT, PYTHON, all_services, shared_environment
from config.running import AlreadyRunning, only_one, write_record
from config.supervise import Supervisor

FIRST_PORT, MODELS_PORT, PORTS_TRIED = 8000, 8001, 100
READY_SECONDS = 120
SERVERS_LOOK_SECONDS = 2.0


class UpError(RuntimeError):
    """Lathe cannot start; the message is for the person who typed `make up`."""


@dataclass(frozen=True)
class Ports:
    """Where web and models listen."""

    web: int
    models: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.web}"


def main() -> None:
    """Start everything, keep it running, end everything."""
    env.load_dotenv(PROJECT / ".env")
    # A shell that starts us in the background lets us ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        var = embedded.made_var()
        with only_one(var):
            up(var)
    except (UpError, AlreadyRunning, EmbeddedError, ImproperlyConfigured) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopped.", flush=True)


def up(var: Path) -> None:
    """Run the installation below `var` until interrupted."""
    if ended := leftovers.end_all(var):
        print(f"Ended {ended} processes of an earlier run that was killed.", flush=True)
    ports = choose_ports()
    write_record(var, ports.url)
    uses_embedded = not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))
    try:
        if uses_embedded:
            _use(embedded.ensure_running(var))
        embedded.secret_key(var)
        environment = shared_environment(var, ports.web, ports.models)
        demo = _prepare(environment)
        _supervise(var, ports, environment, demo, uses_embedded)
    finally:
        if uses_embedded:
            embedded.stop(var)


def choose_ports() -> Ports:
    """8000 and 8001 or free ones; a port asked for by PORT is never replaced.

    Beside such a port the models process takes any: of several installations that start at once on
    ports of their own, no two should reach for 8001.
    """
    wanted = env.integer("PORT", 0) if env.optional("PORT") else 0
    if wanted and not is_free(wanted):
        raise UpError(f"Port {wanted} is in use{_user_of(wanted)}. Choose another: make up PORT=…")
    web = wanted or _next_free(FIRST_PORT)
    if not wanted and web != FIRST_PORT:
        print(f"Port {FIRST_PORT} is in use{_user_of(FIRST_PORT)}; using {web}.", flush=True)
    takes_usual = not wanted and web != MODELS_PORT and is_free(MODELS_PORT)
    return Ports(web, MODELS_PORT if takes_usual else usable_port(None))


def _next_free(first: int) -> int:
    for port in range(first, first + PORTS_TRIED):
        if is_free(port):
            return port
    return usable_port(None)


def _user_of(port: int) -> str:
    """By whom the port is used, as far as we may know."""
    try:
        connections = psutil.net_connections("tcp")
        listening = (one for one in connections if one.status == psutil.CONN_LISTEN)
        pid = next((one.pid for one in listening if one.pid and _port_of(one) == port), None)
        return f" by {psutil.Process(pid).name()} (process {pid})" if pid else ""
    except psutil.Error:
        return ""


def _port_of(connection: Any) -> int:
    return int(connection.laddr.port)


def _use(endpoints: embedded.Endpoints) -> None:
    os.environ.setdefault("DATABASE_URL", endpoints.database_url)
    os.environ.setdefault("REDIS_URL", endpoints.redis_url)


def _prepare(environment: dict[str, str]) -> str:
    """Bring tables, static files and the demo up to date; what to tell about the demo."""
    print("Preparing the database and the web assets.", flush=True)
    command = [PYTHON, "-m", "config.prepare"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PROJECT)
    if finished.returncode:
        raise UpError(f"{finished.stderr[-4000:]}\nThe preparation failed; the cause stands above.")
    return finished.stdout


def _supervise(
    var: Path, ports: Ports, environment: dict[str, str], demo: str, uses_embedded: bool
) -> None:
    host = os.environ.get("HOST", "127.0.0.1")
    services = all_services(environment, var, host=host, port=ports.web, models_port=ports.models)
    supervisor = Supervisor(services, var)
    if uses_embedded:
        supervisor.every_tick = _watch_over_servers(var, supervisor)
    greeter = threading.Thread(target=_greet, args=(supervisor, ports, demo), daemon=True)
    greeter.start()
    supervisor.run()


def _watch_over_servers(var: Path, supervisor: Supervisor) -> Callable[[], None]:
    """PostgreSQL and Redis outlive their starter, so nobody else notices when they are gone."""
    looked_at = time.monotonic()

    def look() -> None:
        nonlocal looked_at
        if time.monotonic() - looked_at < SERVERS_LOOK_SECONDS:
            return
        if embedded.endpoints(var) is None:
            supervisor.say("PostgreSQL or Redis ended; starting it again.")
            embedded.ensure_running(var)
        looked_at = time.monotonic()

    return look


def _greet(supervisor: Supervisor, ports: Ports, demo: str) -> None:
    """Once the web process answers, say where, and as whom."""
    deadline = time.monotonic() + READY_SECONDS
    while not supervisor.stopping.wait(0.2):
        if _is_healthy(ports.web):
            supervisor.say(_welcome(ports, demo))
            return
        if time.monotonic() > deadline:
            supervisor.say("The web process does not answer; its messages above say why.")
            return


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _welcome(ports: Ports, demo: str) -> str:
    rule = "─" * 72
    # The last line, in JSON, is for programs.
    facts = [line for line in demo.splitlines() if line.startswith("{")]
    told = [line for line in demo.splitlines() if line not in facts]
    token = json.loads(facts[-1]).get("token", "$TOKEN") if facts else "$TOKEN"
    sample = f"curl {ports.url}/api/v1/me -H 'Authorization: Bearer {token}'"
    told = told or [f"Sign up at {ports.url}/accounts/signup/"]
    lines = ["", rule, f"Lathe is ready: {ports.url}", "", *told, "", "Try:", f"  {sample}", ""]
    return "\n".join([*lines, _where_mail_goes(), "Stop with Ctrl-C.", rule, ""])


def _where_mail_goes() -> str:
    if env.optional("EMAIL_BACKEND"):
        return f"E-mails go through {env.optional('EMAIL_HOST', 'localhost')}."
    return "E-mails are printed here; EMAIL_BACKEND and EMAIL_HOST in .env send them."


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
