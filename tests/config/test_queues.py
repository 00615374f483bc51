"""Every kind of work has a queue and a worker of its own."""

import re
from pathlib import Path

import pytest

from config import celery, queues
from config.local.services import build_services
from projects.importing import import_claim

COMPOSE = Path(__file__).resolve().parents[2] / "docker" / "compose.yaml"
ENTRIES = celery.app.conf.beat_schedule.values()


def queue_of(task: str) -> str:
    return queues.TASK_ROUTES.get(task, {"queue": queues.DEFAULT_QUEUE})["queue"]


def test_every_route_names_a_task_and_no_task_has_two():
    celery.app.loader.import_default_modules()
    named = [task for group in queues.WORKER_GROUPS for tasks in group.queues.values()
             for task in tasks]  # fmt: skip
    assert len(named) == len(set(named))
    assert set(named) <= set(celery.app.tasks)


def test_what_is_due_every_few_seconds_waits_for_nothing_slow():
    """Deliveries, analyses and Stripe's events are hints of rows; all else is a duty of time."""
    often = {entry["task"] for entry in ENTRIES
             if isinstance(entry["schedule"], float) and entry["schedule"] <= 10}  # fmt: skip
    assert len(often) > 5
    assert {task for task in often if queue_of(task) == queues.DEFAULT_QUEUE} == set()
    assert {"training.tasks.watch", "training.tasks.dispatch"} <= set(queues.CLOCK.queues["clock"])


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("training.tasks.watch", "clock"),
        ("accounts.tasks.deliver_webhooks", "deliveries"),
        ("accounts.tasks.send_emails", "deliveries"),
        ("projects.tasks.import_next", "imports"),
        ("training.tasks.analyse", "analyses"),
        ("billing.tasks.reconcile", "billing"),
        ("training.tasks.sweep_orphans", "upkeep"),
    ],
)
def test_a_message_goes_to_its_queue(task, queue):
    route = celery.app.amqp.router.route({}, task)
    assert route["queue"].name == queue


def test_one_machine_and_the_containers_work_through_every_queue(tmp_path):
    expected = {
        (group.name, ",".join(group.queues), str(group.threads)) for group in queues.WORKER_GROUPS
    }
    local = {
        (service.name, service.command[service.command.index("-Q") + 1],
         service.command[service.command.index("-c") + 1])
        for service in build_services({}, tmp_path, host="h", port=1, web_port=3, models_ports=[2])
        if "-Q" in service.command and "trainer" not in service.name
    }  # fmt: skip
    containers = set(
        re.findall(r'^  (\w+):\n    <<: \*(?:worker|with-torch)\n    command: .*"-Q", "([\w,]+)",'
                   r' "-P", "threads", "-c", "(\d)"', COMPOSE.read_text(), re.MULTILINE)
    )  # fmt: skip
    assert local == containers == expected


def test_no_team_can_hold_every_thread():
    assert queues.IMPORTS.threads > import_claim.MAX_RUNNING_PER_TEAM
    assert queues.ANALYSES.threads > 1  # A team runs one at a time.
