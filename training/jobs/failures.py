"""The closed list of reasons why a job fails: whose fault it is, who pays, and what to do next."""

import errno
from dataclasses import dataclass
from typing import Literal

from training.models import FailureCode

Fault = Literal["yours", "ours"]


@dataclass(frozen=True)
class FailureReason:
    """One row of the list. `is_retryable`: the same job may well succeed when simply run again."""

    title: str
    fault: Fault
    is_charged: bool
    next_step: str
    is_retryable: bool
    can_resume: bool = True  # Whether going on from a checkpoint can help.


FAILURE_REASONS: dict[FailureCode, FailureReason] = {
    FailureCode.BAD_DATA: FailureReason(
        title="The data cannot be trained on",
        fault="yours",
        is_charged=True,
        next_step="Fix the data or the column mapping, then launch again.",
        is_retryable=False,
        can_resume=False,
    ),
    FailureCode.OUT_OF_MEMORY: FailureReason(
        title="Out of memory",
        fault="ours",
        is_charged=False,
        next_step="Launch with smaller batches or shorter texts, with a smaller base model, or on "
        "a machine with more memory.",
        is_retryable=False,
        can_resume=False,
    ),
    FailureCode.DIVERGED: FailureReason(
        title="The training diverged",
        fault="yours",
        is_charged=True,
        next_step="Lower the learning rates, then launch again.",
        is_retryable=False,
        can_resume=False,
    ),
    FailureCode.BASE_MODEL_UNAVAILABLE: FailureReason(
        title="The base model is not available",
        fault="ours",
        is_charged=False,
        next_step="Retry later, or launch again with a base model that is installed here.",
        is_retryable=True,
    ),
    FailureCode.STORAGE_FULL: FailureReason(
        title="Storage is full",
        fault="ours",
        is_charged=False,
        next_step="Ask the operator of this server to free or add storage, then retry.",
        is_retryable=True,
    ),
    FailureCode.EXPORT_REFUSED: FailureReason(
        title="Not worth having",
        fault="yours",
        is_charged=True,
        next_step="The original model is as it was. Allow a larger loss, keep more of it, or let "
        "it learn for more epochs.",
        is_retryable=False,
        can_resume=False,
    ),
    FailureCode.WORKER_LOST: FailureReason(
        title="The machine was lost",
        fault="ours",
        is_charged=False,
        next_step="Nothing is wrong with your data. Retry.",
        is_retryable=True,
    ),
    FailureCode.TIME_LIMIT: FailureReason(
        title="Time limit reached",
        fault="yours",
        is_charged=True,
        next_step="Go on from the last checkpoint, if there is one, or launch again with more "
        "time, with fewer epochs or rows, or on a faster machine.",
        is_retryable=False,
    ),
    FailureCode.INTERNAL: FailureReason(
        title="Something broke on our side",
        fault="ours",
        is_charged=False,
        next_step="Retry. If it happens again, tell the operator of this server the job's id.",
        is_retryable=True,
    ),
}

# Disk, quota, and what S3-compatible stores answer when they take no more.
_STORAGE_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
_STORAGE_FULL_CODES = {
    "QuotaExceeded",
    "InsufficientStorage",
    "XMinioStorageFull",
    "EntityTooLarge",
}


def is_storage_full(error: BaseException | None) -> bool:
    """Whether this error, or one that it came from, says that there is no room left."""
    while error is not None:
        answer = getattr(error, "response", None)
        code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
        if (
            isinstance(error, OSError) and error.errno in _STORAGE_FULL_ERRNOS
        ) or code in _STORAGE_FULL_CODES:
            return True
        error = error.__cause__ or error.__context__
    return False
