"""Pages about money: usage, statement, cap and prices."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.access import can, find_team
from accounts.signed_in import SignedInRequest
from billing import budget as budgets
from billing.cap import set_cap
from billing.export import statement_csv
from billing.forms import CapForm, cap_form
from billing.models import Plan
from billing.months import read_month, this_month
from billing.pricing import prices
from billing.shown import shorten
from billing.usage import month_total, statement_of
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
    statement = statement_of(team, read_month(request.GET.get("month")))
    budget = budgets.of(team)
    context = {
        "team": team,
        "statement": statement,
        "jobs": shorten(statement.jobs),
        "deployments": shorten(statement.deployments),
        "highest_day": max([day.amount_micro for day in statement.days] + [1]),
        "budget": budget,
        "form": cap_form(budget.cap_micro) if can(request.user, team, "billing") else None,
    }
    return render(request, "billing/usage.html", context)


@login_required
@require_safe
def statement(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context = {"team": team, "statement": statement_of(team, read_month(request.GET.get("month")))}
    return render(request, "billing/statement.html", context)


@login_required
@require_safe
def usage_csv(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = read_month(request.GET.get("month"))
    answer = HttpResponse(statement_csv(statement_of(team, month)), content_type="text/csv")
    answer["Content-Disposition"] = f'attachment; filename="lathe-{team.slug}-{month.code}.csv"'
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
