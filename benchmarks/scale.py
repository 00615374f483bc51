"""How fast pages and the queue are with ten thousand jobs and a million usage segments.

    python -m benchmarks.scale [--fresh] [--rounds 20]

Fills a scratch database of its own below var/scale (once: it is kept; --fresh fills it anew), then
asks the real views through Django's test client. Printed for each: the number of queries, the
server's time in milliseconds, median and 95th percentile, and the CPU time it took here and in
PostgreSQL, which a busy machine does not stretch; all as the largest team sees it, which owns a
tenth of everything. The exit status is 1 when a median misses its target.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.local import embedded

PROJECT = Path(__file__).resolve().parent.parent
VAR = PROJECT / "var" / "scale"
CLAIM_MS, PAGE_MS = 20, 100
WARM_UPS = 3


@dataclass(frozen=True)
class Measured:
    name: str
    queries: int
    median_ms: float
    p95_ms: float
    cpu_ms: float
    target_ms: float


def main() -> None:
    options = _options()
    _start(fresh=options.fresh)
    from benchmarks import scale_filling

    size = scale_filling.Size()
    if not scale_filling.is_filled():
        started_at = time.monotonic()
        scale_filling.fill(size)
        print(f"Filled in {time.monotonic() - started_at:.0f} s.", flush=True)
    print("Load average at the start: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()), flush=True)
    measured = []
    for name, target_ms, deed in _deeds(scale_filling.longest_job(size)):
        if options.only not in name:
            continue
        measured.append(_measure(name, target_ms, deed, options.rounds))
        _print(measured[-1])
    missed = [one.name for one in measured if one.median_ms > one.target_ms]
    sys.exit(f"Missed: {', '.join(missed)}" if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="fill the database anew")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="measure what has this in its name")
    return parser.parse_args()


def _start(*, fresh: bool) -> None:
    if fresh:
        embedded.stop_and_delete(VAR)
    found = embedded.ensure_running(VAR, is_durable=False)
    os.environ |= {
        "DATABASE_URL": found.database_url,
        "REDIS_URL": found.redis_url,
        "LATHE_VAR": str(VAR),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LOG_LEVEL": "ERROR",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def _deeds(longest_job: int) -> list[tuple[str, float, Callable[[], object]]]:
    """What is measured, each with its target."""
    from django.db import connection

    from benchmarks.scale_filling import CROWDED
    from billing.months import this_month

    with connection.cursor() as cursor:
        cursor.execute("SELECT scale_id('job', %s)", [longest_job])
        job = cursor.fetchone()[0]
    month = this_month()
    full_month = month.previous.code
    team, pages, wire, desk = "/teams/team-1", _customer(), _program(), _operator()
    visits = {
        "job list": (pages, f"{team}/jobs/"),
        "job list, by cost": (pages, f"{team}/jobs/?sort=cost"),
        "job list, page 40": (pages, f"{team}/jobs/?page=40"),
        "job page": (pages, f"/jobs/{job}/"),
        "metrics series, 100,000 points": (pages, f"/jobs/{job}/metrics.json"),
        "usage page": (pages, f"{team}/usage/"),
        "usage page, a full month": (pages, f"{team}/usage/?month={full_month}"),
        "statement": (pages, f"{team}/usage/statement/?month={full_month}"),
        "token page": (pages, f"{team}/tokens/"),
        "model list": (pages, f"{team}/models/"),
        "dataset list": (pages, f"{team}/datasets/"),
        "deployment list": (pages, f"{team}/deployments/"),
        "overview": (pages, f"{team}/"),
        "API job list": (wire, "/api/v1/training-jobs?limit=100"),
        "API metrics, 100,000 points": (wire, f"/api/v1/training-jobs/{job}/metrics"),
        "API usage": (wire, "/api/v1/usage"),
        "admin jobs": (desk, "/admin/training/trainingjob/"),
        "admin jobs, search": (desk, "/admin/training/trainingjob/?q=team-7"),
        "admin segments": (desk, "/admin/billing/usagesegment/"),
        "admin ledger": (desk, "/admin/billing/ledgerentry/"),
        "admin ledger, search": (desk, "/admin/billing/ledgerentry/?q=team-7"),
        "admin usage events": (desk, "/admin/billing/usageevent/"),
    }
    claims = {"claim": "cpu", "claim, 10,000 waiting": CROWDED}
    return [
        *((name, CLAIM_MS, _claim(code)) for name, code in claims.items()),
        *((name, PAGE_MS, _visit(*where)) for name, where in visits.items()),
    ]


def _claim(compute_class: str) -> Callable[[], object]:
    from training.scheduling import claims as schedule

    def claim() -> None:
        assert schedule.claim(compute_class, "benchmark"), f"no {compute_class} job is waiting"

    return claim


def _visit(client: object, path: str) -> Callable[[], object]:
    def visit() -> None:
        answer = client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.content[:300]}"

    return visit


def _customer() -> object:
    from django.test import Client

    from accounts.models import User

    return _signed_in(
        Client(SERVER_NAME="localhost"), User.objects.get(email="owner1@scale.example")
    )


def _program() -> object:
    from django.test import Client

    from accounts.models import ApiToken, Team, User

    owner = User.objects.get(email="owner1@scale.example")
    _, secret = ApiToken.issue(team=Team.objects.get(slug="team-1"), created_by=owner, name="scale")
    return Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {secret}"})


def _operator() -> object:
    from django.test import Client

    from accounts.models import User

    operator = User.objects.filter(email="operator@scale.example").first()
    return _signed_in(
        Client(SERVER_NAME="localhost"),
        operator or User.objects.create_superuser("operator@scale.example", None),
    )


def _signed_in(client: object, user: object) -> object:
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _measure(name: str, target_ms: float, deed: Callable[[], object], rounds: int) -> Measured:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        deed()
        queries = len(captured)
    for _ in range(WARM_UPS - 1):
        deed()
    times = []
    cpu_before = _cpu_seconds()
    for _ in range(rounds):
        started_at = time.perf_counter()
        deed()
        times.append((time.perf_counter() - started_at) * 1000)
    cpu_ms = (_cpu_seconds() - cpu_before) / rounds * 1000
    p95_ms = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return Measured(name, queries, statistics.median(times), p95_ms, cpu_ms, target_ms)


def _cpu_seconds() -> float:
    """Used so far by this process and by its PostgreSQL session's."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        used = psutil.Process(cursor.fetchone()[0]).cpu_times()
    return time.process_time() + used.user + used.system


def _print(one: Measured) -> None:
    mark = " " if one.median_ms <= one.target_ms else "!"
    print(
        f"{mark} {one.name:<34}{one.queries:>4} queries"
        f"{one.median_ms:>8.1f} ms median{one.p95_ms:>8.1f} ms p95{one.cpu_ms:>8.1f} ms CPU",
        flush=True,
    )


if __name__ == "__main__":
    main()
