"""Everything that can happen to a team's things: its group for e-mail, its words for people."""

from accounts.models import Group

# Type of event: (the group whose e-mail wish counts, what it means).
EVENTS: dict[str, tuple[Group, str]] = {
    "training_job.queued": (Group.PROGRESS, "A fine-tune waits for a worker"),
    "training_job.running": (Group.PROGRESS, "A fine-tune has started"),
    "training_job.paused": (Group.PROGRESS, "A fine-tune is paused"),
    "training_job.resumed": (Group.PROGRESS, "A fine-tune was resumed"),
    "training_job.succeeded": (Group.RESULTS, "A fine-tune has its model"),
    "training_job.failed": (Group.FAILURES, "A fine-tune failed"),
    "training_job.cancelled": (Group.RESULTS, "A fine-tune was cancelled"),
    "dataset.ready": (Group.RESULTS, "A dataset is imported"),
    "dataset.failed": (Group.FAILURES, "A dataset could not be imported"),
    "deployment.ready": (Group.RESULTS, "A deployment answers with a model"),
    "deployment.gated": (Group.FAILURES, "A model was kept from being deployed"),
    "budget.half_spent": (Group.BUDGET, "Half of the spend cap is used"),
    "budget.nearly_spent": (Group.BUDGET, "80 % of the spend cap is used"),
    "budget.spent": (Group.BUDGET, "The spend cap is reached"),
    "budget.forecast_over": (Group.BUDGET, "The month is likely to exceed the spend cap"),
    "budget.held": (Group.BUDGET, "Unusual spending was stopped"),
    "credit.granted": (Group.BUDGET, "Credit was added"),
    "credit.expiring": (Group.BUDGET, "Credit is about to expire"),
    "credit.expired": (Group.BUDGET, "Credit has expired"),
    "credit.taken_back": (Group.BUDGET, "Credit was taken back with its payment"),
    "payment.failed": (Group.PAYMENT, "A payment failed"),
    "payment.action_required": (Group.PAYMENT, "A payment needs your confirmation"),
    "member.joined": (Group.SECURITY, "Somebody joined the team"),
    "token.created": (Group.SECURITY, "An API token was created"),
    "team.frozen": (Group.SECURITY, "The team was frozen by an operator"),
    "team.unfrozen": (Group.SECURITY, "The freeze was lifted"),
    "webhook.disabled": (Group.SECURITY, "A webhook endpoint was disabled"),
}

# The same fact in OpenAI's form, for programs written against its webhooks.
OPENAI_EVENTS: dict[str, str] = {
    "training_job.succeeded": "fine_tuning.job.succeeded",
    "training_job.failed": "fine_tuning.job.failed",
    "training_job.cancelled": "fine_tuning.job.cancelled",
}

TEST_EVENT = "webhook.test"  # Sent when asked for, to whoever asks.


def group_of(event: str) -> Group:
    """An event that is not listed counts as progress: shown on the page, not mailed."""
    return EVENTS[event][0] if event in EVENTS else Group.PROGRESS


def deliverable() -> list[tuple[str, str]]:
    """(type, words) of every event that an endpoint may choose."""
    ours = [(event, words) for event, (_, words) in EVENTS.items()]
    return ours + [
        (theirs, f"{EVENTS[own][1]}, in OpenAI's form") for own, theirs in OPENAI_EVENTS.items()
    ]
