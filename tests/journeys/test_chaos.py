"""Everything dies again and again while people work; afterwards every row is true.

A short storm with `make test-long`; `make chaos` is the long one. Repeat one with CHAOS_SEED.
"""

import os
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from config.local import embedded, orphan_processes
from engine.artifact import verify
from tests.journeys.customers import Customers
from tests.journeys.invariants import broken
from tests.journeys.product import PROJECT, Product
from tests.journeys.storm import Storm

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("CHAOS_SECONDS", "50"))
JOBS = int(os.environ.get("CHAOS_JOBS", "6"))
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6))
TRAINERS = 3
PATIENCE_SECONDS = 300 + 2 * SECONDS
GRANT = """
from accounts.models import Team
from billing.credit import grants
for number, team in enumerate(Team.objects.order_by("created_at")):
    grants.grant(team, 10 ** (2 + number), kind="promo", source=f"storm:{number}", note="Storm")
print("granted")
"""
REPORT = "from billing.stripe import usage_outbox; print(usage_outbox.report_usage())"
# A job may lose its worker three times in such weather, but never end for reasons of our own.
HONEST_FAILURES = {"bad_data", "worker_lost"}


@pytest.fixture
def stormy(models_folder: Path) -> Iterator[Product]:
    var = Path(tempfile.mkdtemp(prefix="lathe-chaos-"))
    environment = {"LATHE_MODELS_DIR": str(models_folder), "TRAINERS": str(TRAINERS)}
    running = Product(var, **environment)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()
        kept = PROJECT / "var" / "journey"
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(running.log, kept / "chaos.log")
        shutil.rmtree(var, ignore_errors=True)


@pytest.mark.nightly
def test_after_a_storm_every_job_has_a_true_end_and_every_bill_is_exact(stormy: Product) -> None:
    print(f"\nCHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:.0f} CHAOS_JOBS={JOBS}", flush=True)
    dice = random.Random(SEED)
    storm = Storm(stormy.var, dice)
    customers = Customers(stormy, dice, storm.say)
    customers.arrive(JOBS)
    grant_credit(stormy)
    rage(storm, customers, dice)
    calm_down(storm, customers)
    report_usage_twice_at_once(stormy)
    assert customers.broken == []
    with database_of(stormy) as database:
        tell(database)
        assert settled(lambda: broken(database) == {}, 60), broken(database)
        assert failures(database) <= HONEST_FAILURES
        lost = customers.launched - {row[0] for row in ids(database)}
        assert lost == set(), "jobs that were accepted are gone"
        files_are_whole(stormy, database)
        customers.ask_every_model(database)
        report_usage_twice_at_once(stormy)
        assert settled(lambda: broken(database) == {}, 60), broken(database)
    stormy.stop()
    assert orphan_processes.find_marked_processes(stormy.var) == []


def rage(storm: Storm, customers: Customers, dice: random.Random) -> None:
    """Harm every few seconds, and people who go on working meanwhile."""
    ends_at = time.monotonic() + SECONDS
    strikes_at = time.monotonic() + 3
    while time.monotonic() < ends_at:
        customers.do_something()
        if time.monotonic() >= strikes_at:
            storm.strike()
            strikes_at = time.monotonic() + dice.uniform(1.5, 6.5)
        time.sleep(0.5)


def calm_down(storm: Storm, customers: Customers) -> None:
    """No more harm: with nobody's help but the customers' own, everything comes to its end."""
    storm.say("the storm is over")
    storm.thaw()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        customers.finish_business()
        if customers.is_all_over() and not storm.processes("engine"):
            storm.say("all is quiet")
            return
        time.sleep(1)
    raise AssertionError(f"after {PATIENCE_SECONDS:.0f} s not all is over: {customers.states()}")


def grant_credit(product: Product) -> None:
    """To every team, of different size: some of it is gone before the storm is over."""
    product.manage("shell", "--no-imports", "--command", GRANT)


def report_usage_twice_at_once(product: Product) -> None:
    """Two reporters race for the same usage; whatever is left is carried by one of them."""
    report = ("shell", "--no-imports", "--command", REPORT)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(product.manage, *report) for _ in range(2)]:
            done.result()


def database_of(product: Product) -> psycopg.Connection:
    found = embedded.running_urls(product.var)
    assert found is not None, "PostgreSQL or Redis is not running"
    return psycopg.connect(found.database_url, autocommit=True)


def ids(database: psycopg.Connection) -> list[tuple[str]]:
    return database.execute("SELECT id::text FROM training_trainingjob").fetchall()


def failures(database: psycopg.Connection) -> set[str]:
    query = "SELECT DISTINCT failure_code FROM training_trainingjob WHERE status = 'failed'"
    return {row[0] for row in database.execute(query)}


def tell(database: psycopg.Connection) -> None:
    """One line per kind of end, and how the attempts ended."""
    for query in (
        "SELECT status, failure_code, count(*) FROM training_trainingjob GROUP BY 1, 2 ORDER BY 1",
        "SELECT end_reason, count(*) FROM training_attempt GROUP BY 1 ORDER BY 2 DESC",
    ):
        print(*database.execute(query).fetchall(), sep="\n", flush=True)
    failed = "SELECT failure_code, failure_sentence, log_tail FROM training_trainingjob"
    for code, sentence, log in database.execute(f"{failed} WHERE status = 'failed'"):
        if code not in HONEST_FAILURES:
            print(code, sentence, log, sep="\n", flush=True)


def files_are_whole(product: Product, database: psycopg.Connection) -> None:
    """Every folder that a row names is complete and verified."""
    storage = product.var / "storage"
    for (key,) in database.execute("SELECT artifact_key FROM training_trainedmodel"):
        assert verify(storage / key)
    kept = "SELECT storage_key FROM training_checkpoint WHERE deleted_at IS NULL"
    for (key,) in database.execute(kept):
        assert (storage / key / "manifest.json").is_file(), key


def settled(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True
