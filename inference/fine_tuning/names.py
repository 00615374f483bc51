"""The names of fine-tuned models: ft:<base>:<organization>:<suffix>:<id>, as OpenAI writes them.

A checkpoint's name is its job's with ":ckpt-step-<n>" behind it.
"""

import re
import uuid

from django.db.models import Q

from inference.models import FineTuningJob
from web.validation.values import parse_digits

PREFIX = "ft:"
ID_DIGITS = 12
CHECKPOINT_MARK = ":ckpt-step-"
_NAME = re.compile(rf"ft:.+:([0-9a-f]{{{ID_DIGITS}}})")


def fine_tuned_model_name(job: FineTuningJob) -> str:
    """The name under which the job's model answers once it has succeeded."""
    # Of a job that goes on from a fine-tuned model: that one's base.
    base = job.model.split(":")[1] if job.model.startswith(PREFIX) else job.model
    return f"{PREFIX}{base}:{job.team.slug}:{job.suffix}:{job.pk.hex[:ID_DIGITS]}"


def checkpoint_name(job: FineTuningJob, step: int) -> str:
    return f"{fine_tuned_model_name(job)}{CHECKPOINT_MARK}{step}"


def split_checkpoint(name: str) -> tuple[str, int | None]:
    """A model's name without its checkpoint, and the checkpoint's step; None for none."""
    job_name, _, digits = name.partition(CHECKPOINT_MARK)
    step = parse_digits(digits)
    return (name, None) if step is None else (job_name, step)


def find_named_job(team_id: uuid.UUID, name: str) -> FineTuningJob | None:
    """The team's fine-tune whose model has this name, be it finished or not."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    rest = 32 - ID_DIGITS
    lowest, highest = uuid.UUID(match[1] + "0" * rest), uuid.UUID(match[1] + "f" * rest)
    candidates = FineTuningJob.objects.filter(
        Q(pk__gte=lowest, pk__lte=highest), team_id=team_id
    ).select_related("team", "job__model__team", "job__model__project", "requested_by")
    return next((job for job in candidates if fine_tuned_model_name(job) == name), None)
