"""Moving finished fine-tunes and models to the trash and back; changing their details."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.models import User
from training.jobs import removal
from training.queries.lookups import find_job_to_change, find_model_to_change
from web.browser.details import save_details
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest

# The kinds are the names of the pages of one row; the lists' names have an s.
_FIND: dict[str, Callable[[User, UUID], Any]] = {
    "job": find_job_to_change,
    "model": find_model_to_change,
}


@login_required
@require_POST
def archive(request: AuthenticatedRequest, pk: UUID, kind: str) -> HttpResponse:
    row = _FIND[kind](request.user, pk)
    removal.archive(row, request.user)
    messages.success(request, f"{row.name} is in the trash for {TRASH_DAYS} days.")
    return redirect(f"training:{kind}s", row.team.slug)


@login_required
@require_POST
def restore(request: AuthenticatedRequest, pk: UUID, kind: str) -> HttpResponse:
    row = _FIND[kind](request.user, pk)
    removal.restore(row, request.user)
    messages.success(request, f"{row.name} is back.")
    return redirect(f"training:{kind}", row.pk)


@login_required
@require_POST
def change_details(request: AuthenticatedRequest, pk: UUID, kind: str) -> HttpResponse:
    row = _FIND[kind](request.user, pk)
    save_details(request, row, removal.change_details, max_name_length=120)
    return redirect(f"training:{kind}", row.pk)
