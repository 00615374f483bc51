"""Pages about money: usage, statement, cap and prices."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from accounts.access import can, find_team, require
from accounts.signed_in import SignedInRequest
from billing import budget as budgets
from billing import holding
from billing.cap import set_cap
from billing.credit_account import grants_of
from billing.credits import balance
from billing.export import SHAPES, statement_csv
from billing.forecast import forecast_micro
from billing.forms import CapForm, cap_form
from billing.models import Plan
from billing.months import read_month, this_month
from billing.naming import name_causes
from billing.pricing import prices
from billing.shown import shorten
from billing.usage import add_attempts, month_total, statement_of
from web.errors import UserError


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """What everything costs and the rule by which it is billed."""
    context = {"prices": prices(), "plans": Plan.objects.order_by("order")}
    return render(request, "billing/pricing.html", context)


@login_required
@require_safe
def usage(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = read_month(request.GET.get("month"))
    statement = statement_of(team, month, with_attempts=False)
    jobs, budget = shorten(statement.jobs), budgets.of(team)
    deployments = shorten(statement.deployments)
    add_attempts(statement, jobs.rows)
    name_causes([*jobs.rows, *deployments.rows])
    context = {
        "team": team,
        "statement": statement,
        "jobs": jobs,
        "deployments": deployments,
        "grants": grants_of(team, now()),
        "balance_micro": balance(team),
        "forecast_micro": None if month.is_over else forecast_micro(budget),
        "highest_day": max([day.amount_micro for day in statement.days] + [1]),
        "budget": budget,
        "form": cap_form(budget.cap_micro) if can(request.user, team, "billing") else None,
    }
    return render(request, "billing/usage.html", context)


@login_required
@require_safe
def statement(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = read_month(request.GET.get("month"))
    statement = statement_of(team, month, with_attempts=False)
    name_causes(statement.causes)
    context = {
        "team": team,
        "statement": statement,
        "csv_shapes": list(SHAPES),
    }
    return render(request, "billing/statement.html", context)


@login_required
@require_safe
def usage_csv(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month, by = read_month(request.GET.get("month")), request.GET.get("by", "attempt")
    if by not in SHAPES:
        raise UserError(f"A CSV has rows by one of: {', '.join(SHAPES)}.", param="by")
    answer = HttpResponse(statement_csv(statement_of(team, month), by), content_type="text/csv")
    name = f"lathe-{team.slug}-{month.code}-by-{by}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@login_required
@require_safe
def month(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context = {"total_micro": month_total(team, this_month())}
    return render(request, "billing/_month.html", context)


@login_required
@require_POST
def cap(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    form = CapForm(request.POST)
    if not form.is_valid():
        raise UserError("A cap is an amount in dollars such as 25 or 12.50.", param="dollars")
    set_cap(team, request.user, form.cap_micro())
    messages.success(request, "The spend cap is changed.")
    return redirect("billing:usage", team.slug)


@login_required
@require_POST
def release_hold(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "billing")
    if holding.release(team, by=request.user, reason="confirmed by the team"):
        messages.success(request, "The hold is lifted. Resume the paused jobs when you are ready.")
    return redirect("billing:usage", team.slug)
