"""The processes of a one-machine installation, and the environment they share."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from config import env
from config.local import orphan_processes
from config.local.process_supervisor import Service
from config.queues import ANALYSES, BACKGROUND, BATCHES, DELIVERIES, WORKER_GROUPS

PROJECT_ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
BIN = Path(sys.executable).parent

# Idle OpenMP threads otherwise spin, and take the processor from the web process.
_PASSIVE_OPENMP_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
# Celery warns at every start as root, as which Lathe may well run on a machine of its own.
# And each would check all URLs and pages, which the preparation has just done.
_CELERY_ENVIRONMENT = {
    "PYTHONWARNINGS": "ignore::Warning:celery.platforms",
    "CELERY_SKIP_CHECKS": "true",
}
# What nobody waits for in the first seconds starts last: the processors have enough to do.
_MAY_WAIT = {DELIVERIES.name, ANALYSES.name, BATCHES.name, BACKGROUND.name}


def shared_environment(var: Path, port: int, models_ports: Sequence[int]) -> dict[str, str]:
    """The current environment, and defaults on which the processes must agree."""
    defaults = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LATHE_VAR": str(var),
        "MODELS_URL": ",".join(f"http://127.0.0.1:{number}" for number in models_ports),
        "PUBLIC_URL": f"http://localhost:{port}",
        "PYTHONUNBUFFERED": "1",
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    return defaults | dict(os.environ) | {orphan_processes.MARKER_VARIABLE: str(var)}


def build_services(
    environment: dict[str, str],
    var: Path,
    *,
    host: str,
    port: int,
    web_port: int,
    models_ports: Sequence[int],
) -> list[Service]:
    """The front proxy at `host` and `port`, and behind it web, models, workers, trainers, beat."""
    celery_environment = environment | _CELERY_ENVIRONMENT
    # Only warnings, so that the banner with address and account stays in view.
    level = os.environ.get("LOG_LEVEL", "WARNING").lower()
    public = ["--host", host, "--port", str(port), "--web-port", str(web_port)]
    address = ["--host", "127.0.0.1", "--port", str(web_port), "--log-level", level]
    web = ["--interface", "asginl", "--loop", "asyncio", "config.asgi:application", *address]
    # Connections at once: the guard (web.guard) refuses requests with a sentence before that many.
    room = ["--backlog", "2048", "--backpressure", "16384"]
    schedule = str(var / "celerybeat-schedule")
    services = [
        Service("front", [PYTHON, "-m", "config.front_proxy", *public], environment),
        Service(
            "web",
            [f"{BIN}/granian", *web, "--no-ws", *room, "--workers-kill-timeout", "3"],
            environment,
        ),
        *_models_services(environment | _PASSIVE_OPENMP_THREADS, models_ports),
        *_worker_services(celery_environment),
        *_trainer_services(celery_environment | _PASSIVE_OPENMP_THREADS),
        Service(
            "beat",
            _celery_command("beat", "-s", schedule, "--pidfile="),
            celery_environment,
        ),
    ]
    return _with_metrics_ports(services)


def _models_services(environment: dict[str, str], ports: Sequence[int]) -> list[Service]:
    """The first one starts with the web process; the others once that answers."""
    command = [PYTHON, f"{PROJECT_ROOT}/manage.py", "serve_models", "--port"]
    return [
        Service(
            "models" if place == 1 else f"models{place}",
            [*command, str(port)],
            environment,
            waits=place > 1,
        )
        for place, port in enumerate(ports, 1)
    ]


def _with_metrics_ports(services: list[Service]) -> list[Service]:
    """METRICS_PORT is the first of them: on one machine each process needs another."""
    if not (first := env.integer("METRICS_PORT", 0)):
        return services
    return [
        replace(service, environment=service.environment | {"METRICS_PORT": str(first + place)})
        for place, service in enumerate(services)
    ]


def _worker_services(environment: dict[str, str]) -> list[Service]:
    """One process for each group of queues, so that none waits for another.

    Threads, because what is slow waits for other machines or for child processes: a pool of
    processes would take the memory of Django once more for each.
    """
    return [
        Service(
            group.name,
            _celery_worker_command(
                group.name, ",".join(group.queues), "-P", "threads", "-c", str(group.threads)
            ),
            environment,
            waits=group.name in _MAY_WAIT,
        )
        for group in WORKER_GROUPS
    ]


def _trainer_services(environment: dict[str, str]) -> list[Service]:
    """As many as TRAINERS says; each carries one job at a time."""
    names = ["trainer", *(f"trainer{n}" for n in range(2, env.integer("TRAINERS", 1) + 1))]
    return [
        Service(
            name,
            _celery_worker_command(name, "compute.cpu", "-c", "1", "--prefetch-multiplier", "1"),
            environment,
            niceness=10 if env.boolean("TRAININGS_YIELD", True) else 0,
        )
        for name in names
    ]


def _celery_worker_command(name: str, queue: str, *more: str) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle"]
    return _celery_command("worker", "-Q", queue, "-n", f"{name}@%h", *quiet, *more)


def _celery_command(subcommand: str, *arguments: str) -> list[str]:
    level = ["--loglevel", os.environ.get("LOG_LEVEL", "WARNING").lower()]
    return [f"{BIN}/celery", "--quiet", "-A", "config", subcommand, *level, *arguments]
