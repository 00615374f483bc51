"""The processes of a one-machine installation, and the environment they share."""

import os
import sys
from pathlib import Path

from config import env, leftovers
from config.supervise import Service

PROJECT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(sys.executable).parent

# Idle OpenMP threads otherwise spin, and take the processor from the web process.
_PATIENT_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
# Celery warns root at every start; who uses one machine's root has decided already.
_NO_ROOT_WARNING = {"PYTHONWARNINGS": "ignore::Warning:celery.platforms"}


def shared_environment(var: Path, port: int, models_port: int) -> dict[str, str]:
    """The current environment, completed by what the processes must agree on."""
    completed = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LATHE_VAR": str(var),
        "MODELS_URL": f"http://127.0.0.1:{models_port}",
        "PUBLIC_URL": f"http://localhost:{port}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(PROJECT),
    }
    return completed | dict(os.environ) | {leftovers.MARK: str(var)}


def all_services(
    environment: dict[str, str], var: Path, *, host: str, port: int, models_port: int
) -> list[Service]:
    """Web, models, worker, trainers and beat."""
    celery_environment = environment | _NO_ROOT_WARNING
    web = ["--interface", "asginl", "config.asgi:application", "--host", host, "--port", str(port)]
    schedule = str(var / "celerybeat-schedule")
    return [
        Service("web", [f"{BIN}/granian", *web, "--workers-kill-timeout", "3"], environment),
        Service(
            "models",
            [PYTHON, f"{PROJECT}/manage.py", "serve_models", "--port", str(models_port)],
            environment | _PATIENT_THREADS,
        ),
        # Three at once: an import may take an hour, and mail and the watchdog do not wait for it.
        Service("worker", _celery_worker("worker", "default", "-c", "3"), celery_environment),
        *_trainers(celery_environment | _PATIENT_THREADS),
        Service(
            "beat",
            _celery("beat", "-s", schedule, "--pidfile="),
            celery_environment,
        ),
    ]


def _trainers(environment: dict[str, str]) -> list[Service]:
    """As many as TRAINERS says; each carries one job at a time."""
    names = ["trainer", *(f"trainer{n}" for n in range(2, env.integer("TRAINERS", 1) + 1))]
    return [
        Service(
            name,
            _celery_worker(name, "compute.cpu", "--prefetch-multiplier", "1"),
            environment,
            niceness=10,
        )
        for name in names
    ]


def _celery_worker(name: str, queue: str, *more: str) -> list[str]:
    chatter = ["--without-gossip", "--without-mingle"]
    return _celery("worker", "-Q", queue, "-c", "1", "-n", f"{name}@%h", *chatter, *more)


def _celery(deed: str, *arguments: str) -> list[str]:
    level = ["--loglevel", os.environ.get("LOG_LEVEL", "INFO").lower()]
    return [f"{BIN}/celery", "-A", "config", deed, *level, *arguments]
