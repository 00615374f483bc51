"""Celery's queues: what is worked through by whom, so that no kind of work waits for another.

Each group is one worker process. Work of one kind that comes in heaps (uploads, webhooks,
questions) shares no thread with the clock's duties, and within a kind teams take turns
(`web.row_queue`, `projects.importing.import_claim`). Trainers have queues of their own,
`compute.<class>`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerGroup:
    """One worker process: its queues by name, each with its tasks, and its threads."""

    name: str
    threads: int
    queues: dict[str, tuple[str, ...]]


CLOCK = WorkerGroup(
    "clock",
    3,
    {
        # Due every few seconds, over in milliseconds, and late for everybody if one of them is.
        "clock": (
            "training.tasks.watch",
            "assistants.tasks.watch_conversations",
            "training.tasks.dispatch",
            "training.tasks.pause_held",
            "inference.tasks.carry_plans",
            "projects.tasks.resume_imports",
            "billing.tasks.watch_spending",
            "billing.tasks.expire_credit",
        )
    },
)
DELIVERIES = WorkerGroup(
    "deliveries",
    4,  # One sends e-mails and one webhooks for as long as there are some; two turn notices.
    {
        "deliveries": (
            "accounts.tasks.fan_out",
            "accounts.tasks.send_emails",
            "accounts.tasks.deliver_webhooks",
            "assistants.tasks.deliver_replies",
        )
    },
)
# More threads than one team may hold: projects.importing.import_claim, training.analysis.requests.
IMPORTS = WorkerGroup("imports", 3, {"imports": ("projects.tasks.import_next",)})
ANALYSES = WorkerGroup("analyses", 2, {"analyses": ("training.tasks.analyse",)})
# A batch is answered in slices of 20 seconds, and a team has one under way.
BATCHES = WorkerGroup(
    "batches",
    3,
    {
        "batches": ("inference.tasks.work_on_batches",),
        "finetunes": ("inference.tasks.launch_fine_tunes",),
    },
)
# Slow or rare, and nobody waits for it in front of a page. What names no queue goes to upkeep.
BACKGROUND = WorkerGroup(
    "background",
    3,
    {
        "billing": (
            "billing.tasks.report_usage",
            "billing.tasks.deliver_usage",
            "billing.tasks.mirror_credit",
            "billing.tasks.process_webhooks",
            "billing.tasks.sweep_webhooks",
            "billing.tasks.reconcile",
            "billing.tasks.keep_catalog",
            "billing.tasks.end_deserted",
            "billing.tasks.issue_invoices",
            "assistants.tasks.count_answers",
        ),
        "mail": ("assistants.tasks.read_mailboxes",),
        "upkeep": (),
    },
)
DEFAULT_QUEUE = "upkeep"
WORKER_GROUPS = (CLOCK, DELIVERIES, IMPORTS, ANALYSES, BATCHES, BACKGROUND)
TASK_ROUTES = {
    task: {"queue": queue}
    for group in WORKER_GROUPS
    for queue, tasks in group.queues.items()
    for task in tasks
}
