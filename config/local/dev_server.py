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

import psutil
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.local import embedded, orphan_processes
from config.local.embedded_paths import EmbeddedError
from config.local.instance_lock import AlreadyRunning, hold_instance_lock, write_record
from config.local.ports import find_free_port, is_port_free
from config.local.process_supervisor import Service, Supervisor
from config.local.services import PROJECT_ROOT, PYTHON, build_services, shared_environment

DEFAULT_PORT, DEFAULT_MODELS_PORT, MAX_PORTS_TRIED = 8000, 8001, 100
READY_SECONDS = 120
FIRST_MODEL_SECONDS = 60  # Workers that nobody misses start then at the latest,
FILLING_SECONDS = 600  # and then the rest of the demo.
SERVERS_CHECK_SECONDS = 2.0
DEMO_FILLED_FILE = "demo-filled"  # Written by `manage.py fill_demo` at its end.


class StartupError(RuntimeError):
    """Lathe cannot start; the message is for the person who typed `make up`."""


@dataclass(frozen=True)
class Ports:
    """Where web and models listen."""

    web: int
    models: tuple[int, ...]  # One for each models process.

    @property
    def url(self) -> str:
        return f"http://localhost:{self.web}"


def main() -> None:
    """Start everything, keep it running, end everything."""
    env.load_dotenv(PROJECT_ROOT / ".env")
    # A shell that starts us in the background lets us ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _raise_interrupt)
    signal.signal(signal.SIGHUP, _raise_interrupt)
    try:
        var = embedded.ensure_var_folder()
        with hold_instance_lock(var):
            run_installation(var)
    except (StartupError, AlreadyRunning, EmbeddedError, ImproperlyConfigured) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopped.", flush=True)


def run_installation(var: Path) -> None:
    """Run the installation below `var` until interrupted."""
    if ended := orphan_processes.terminate_all(var):
        print(f"Ended {ended} processes of an earlier run that was killed.", flush=True)
    ports = choose_ports()
    write_record(var, ports.url)
    uses_embedded = not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))
    try:
        if uses_embedded:
            urls = embedded.ensure_running(var)
            os.environ.setdefault("DATABASE_URL", urls.database_url)
            os.environ.setdefault("REDIS_URL", urls.redis_url)
        embedded.load_or_create_secret_key(var)
        environment = shared_environment(var, ports.web, ports.models)
        demo = _run_setup(environment)
        _run_services(var, ports, environment, demo, uses_embedded)
    finally:
        if uses_embedded:
            embedded.stop(var)


def choose_ports() -> Ports:
    """8000 and 8001 or free ones; a port named by PORT is never replaced.

    Beside such a port the models process takes any: of several installations that start at once on
    ports of their own, no two should reach for 8001. So do all but the first of MODELS_PROCESSES.
    """
    processes = env.integer("MODELS_PROCESSES", 1)
    if processes < 1:
        raise StartupError(f"MODELS_PROCESSES must be 1 or more, not {processes}.")
    named = env.integer("PORT", 0) if env.optional("PORT") else 0
    if named and not is_port_free(named):
        raise StartupError(
            f"Port {named} is in use{_describe_port_user(named)}. Choose another: make up PORT=…"
        )
    web = named or _next_free_port(DEFAULT_PORT)
    if not named and web != DEFAULT_PORT:
        print(
            f"Port {DEFAULT_PORT} is in use{_describe_port_user(DEFAULT_PORT)}; using {web}.",
            flush=True,
        )
    takes_usual = not named and web != DEFAULT_MODELS_PORT and is_port_free(DEFAULT_MODELS_PORT)
    first = DEFAULT_MODELS_PORT if takes_usual else find_free_port(None)
    return Ports(web, (first, *(find_free_port(None) for _ in range(processes - 1))))


def _next_free_port(first: int) -> int:
    for port in range(first, first + MAX_PORTS_TRIED):
        if is_port_free(port):
            return port
    return find_free_port(None)


def _describe_port_user(port: int) -> str:
    """The program that uses the port, as far as we may know."""
    try:
        connections = psutil.net_connections("tcp")
        pid = next(
            (
                connection.pid
                for connection in connections
                if connection.status == psutil.CONN_LISTEN
                and connection.pid
                and connection.laddr
                and connection.laddr.port == port
            ),
            None,
        )
        return f" by {psutil.Process(pid).name()} (process {pid})" if pid else ""
    except psutil.Error:
        return ""


def _run_setup(environment: dict[str, str]) -> str:
    """Bring tables, static files and the demo up to date; returns what to print about the demo."""
    print("Preparing the database and the web assets.", flush=True)
    command = [PYTHON, "-m", "config.local.setup_database"]
    finished = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=PROJECT_ROOT
    )
    if finished.returncode:
        raise StartupError(
            f"{finished.stderr[-4000:]}\nThe preparation failed; the cause stands above."
        )
    return finished.stdout


def _run_services(
    var: Path, ports: Ports, environment: dict[str, str], demo: str, uses_embedded: bool
) -> None:
    host = os.environ.get("HOST", "127.0.0.1")
    services = build_services(
        environment,
        var,
        host=host,
        port=ports.web,
        web_port=find_free_port(None),
        models_ports=ports.models,
    )
    supervisor = Supervisor(services, var)
    if uses_embedded:
        supervisor.on_tick = _build_servers_check(var, supervisor)

    def greet() -> None:
        _announce_when_ready(supervisor, ports, demo)
        fills = demo.endswith("}") and not (var / DEMO_FILLED_FILE).exists()
        if fills:
            _wait_for_first_model(supervisor, ports, demo, FIRST_MODEL_SECONDS)
        supervisor.others_are_ready.set()
        if fills:
            _wait_for_first_model(supervisor, ports, demo, FILLING_SECONDS)
            command = [PYTHON, "-m", "config.local.demo_filling"]
            supervisor.run_once(Service("demo", command, environment, niceness=10))

    threading.Thread(target=greet, daemon=True).start()
    supervisor.run()


def _build_servers_check(var: Path, supervisor: Supervisor) -> Callable[[], None]:
    """PostgreSQL and Redis are not our children, so nothing else notices when they end."""
    checked_at = time.monotonic()

    def check() -> None:
        nonlocal checked_at
        if time.monotonic() - checked_at < SERVERS_CHECK_SECONDS:
            return
        if embedded.running_urls(var) is None:
            supervisor.print_lines("PostgreSQL or Redis ended; starting it again.")
            embedded.ensure_running(var)
        checked_at = time.monotonic()

    return check


def _announce_when_ready(supervisor: Supervisor, ports: Ports, demo: str) -> None:
    """Print the address and the demo's account once the web process answers."""
    deadline = time.monotonic() + READY_SECONDS
    while not supervisor.stopping.wait(0.2):
        if _is_healthy(ports.web):
            supervisor.print_lines(_welcome_text(ports, demo))
            return
        if time.monotonic() > deadline:
            supervisor.print_lines("The web process does not answer; its messages above say why.")
            return


def _wait_for_first_model(supervisor: Supervisor, ports: Ports, demo: str, seconds: float) -> None:
    """Until the demo's first model is live, which newcomers look for; so many seconds at most."""
    token = json.loads(demo.splitlines()[-1])["token"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{ports.web}/v1/models", headers={"Authorization": f"Bearer {token}"}
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not supervisor.stopping.wait(1):
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                if json.load(answer)["data"]:
                    return
        except (OSError, ValueError):
            continue


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _welcome_text(ports: Ports, demo: str) -> str:
    rule = "─" * 72
    # The last line, in JSON, is for programs.
    json_lines = [line for line in demo.splitlines() if line.startswith("{")]
    text_lines = [line for line in demo.splitlines() if line not in json_lines]
    token = json.loads(json_lines[-1]).get("token", "$TOKEN") if json_lines else "$TOKEN"
    sample = f"curl {ports.url}/api/v1/me -H 'Authorization: Bearer {token}'"
    text_lines = text_lines or [f"Sign up at {ports.url}/accounts/signup/"]
    lines = [
        "",
        rule,
        f"Lathe is ready: {ports.url}",
        "",
        *text_lines,
        "",
        "Try:",
        f"  {sample}",
        "",
    ]
    return "\n".join([*lines, _email_destination_text(), "Stop with Ctrl-C.", rule, ""])


def _email_destination_text() -> str:
    if env.optional("EMAIL_BACKEND"):
        return f"E-mails go through {env.optional('EMAIL_HOST', 'localhost')}."
    folder = embedded.default_var_folder() / "mail"
    place = folder.relative_to(PROJECT_ROOT) if folder.is_relative_to(PROJECT_ROOT) else folder
    return f"E-mails become files in {place}; EMAIL_BACKEND and EMAIL_HOST in .env send them."


def _raise_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
