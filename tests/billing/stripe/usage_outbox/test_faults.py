"""The outbox under everything at once: real processes killed, and long random misfortune."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from billing.metering import runs
from billing.models import (
    MeterProgress,
    StripeOutbox,
    UsageEvent,
    UsageSegment,
)
from billing.stripe.usage_outbox import build, flush
from tests.billing.stripe.fake.metering import EVENTS, Metered, undelivered
from tests.billing.stripe.usage_outbox.outbox_facts import ask, rows, run_of, use

PROJECT = Path(__file__).resolve().parents[4]
SENDER = "import django; django.setup(); from billing.stripe.usage_outbox import flush; flush()"
PATIENCE_SECONDS = 60


def sender_process(metered: Metered) -> subprocess.Popen:
    """`flush` in a process of its own, on this test's database and Stripe."""
    held = connection.settings_dict
    place = f"{held['HOST']}:{held['PORT']}/{held['NAME']}"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"postgresql://{held['USER']}:{held['PASSWORD']}@{place}",
        "STRIPE_SECRET_KEY": "sk_test_lathe",
        "STRIPE_API_BASE": metered.server.url,
    }
    return subprocess.Popen([sys.executable, "-c", SENDER], cwd=PROJECT, env=environment)


def wait_until(is_so: Callable[[], object], process: subprocess.Popen) -> None:
    patience = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert process.poll() is None, "the sender ended by itself"
        assert time.monotonic() < patience, "the sender never got so far"
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("fault", ["hang-before", "hang-after"])
@pytest.mark.parametrize("later", [{"minutes": 10}, {"hours": 25}])
def test_a_sender_killed_between_call_and_mark_bills_each_second_once(team, metered, fault, later):
    use(run_of(team), 5_000)
    build()
    metered.server.hang_seconds = PATIENCE_SECONDS
    metered.server.break_next("POST", EVENTS, fault)
    process = sender_process(metered)
    try:
        has_begun = metered.calls if fault == "hang-before" else metered.billed
        wait_until(has_begun, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (row,) = rows(team)
    assert (row.status, row.tries) == ("unknown", 1)
    assert row.first_try_at is not None
    metered.wait(**later)
    while undelivered():
        flush()
        metered.wait(minutes=31)
    assert metered.billed() == 5
    assert rows(team)[0].status == "sent"


FAULTS = ["drop-before", "drop-after", "500-before", "500-after", "429"]


def misfortune(rng: random.Random, team, metered: Metered) -> None:
    """One thing that may happen, in whatever state everything is."""
    choice = rng.random()
    if choice < 0.35:
        run = run_of(team, devices=rng.choice([1, 1, 2]))
        for _ in range(rng.randint(1, 3)):
            use(run, rng.choice([1, 250, 999, 1_000, 3_333, 61_007]), metered.now())
        if rng.random() < 0.25:
            run.checkpointed_ms = rng.choice([0, run.billed_ms // 2])
            run.save()
            runs.refund_lost_work(run.pk, "Worker lost")
    elif choice < 0.45:
        ask(team, rng.randint(1, 500), metered.now())
    elif choice < 0.65:
        build()
    elif choice < 0.85:
        metered.break_events(rng.choice(FAULTS), rng.randint(1, 2))
        flush()
    elif choice < 0.93:
        flush()
    else:
        metered.wait(**rng.choice([{"minutes": 5}, {"minutes": 50}, {"hours": 9}, {"hours": 25}]))


@pytest.mark.parametrize("seed", range(6))
def test_after_any_misfortune_stripe_bills_the_ledgers_whole_seconds(team, metered, seed):
    rng = random.Random(seed)
    for _ in range(90):
        misfortune(rng, team, metered)
    metered.server.traps.clear()
    build()
    for _ in range(40):
        if not undelivered():
            break
        flush()
        metered.wait(minutes=31)
    assert undelivered() == 0
    used_ms = sum(progress.used for progress in MeterProgress.objects.filter(unit=1000))
    total = sum(s.device_ms for s in UsageSegment.objects.all())
    assert total > 0
    assert used_ms == total
    assert metered.billed() == used_ms // 1000
    assert metered.billed("inference-tokens") == sum(
        event.units for event in UsageEvent.objects.all()
    )
    assert not StripeOutbox.objects.exclude(status="sent").exists()
