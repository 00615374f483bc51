"""Pages about money: usage, statement, invoices, cap and prices."""

import json
from datetime import UTC, datetime, time

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit
from accounts.permissions import find_team, has_permission, require_permission
from accounts.storage_quota import storage_usage
from billing.budgets import holds
from billing.budgets.budget import get_budget, set_cap
from billing.budgets.forecast import forecast_micro
from billing.forms import BillingDetailsForm, CapForm
from billing.models import BillingDetails, CreditGrant, Invoice, Plan
from billing.months import parse_month, this_month
from billing.pricing import list_prices
from billing.statements.csv_export import CSV_LAYOUTS, CSV_TITLES, statement_csv
from billing.statements.invoices import get_invoice
from billing.statements.sources import cost_by_project, resolve_names
from billing.statements.statement import (
    Statement,
    add_attempts,
    build_statement,
    month_total,
    top_rows,
)
from billing.stripe import gateway
from web.errors import UserError
from web.requests import AuthenticatedRequest


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """What everything costs and the rule by which it is billed."""
    context = {
        "prices": list_prices(),
        "plans": Plan.objects.filter(is_offered=True).order_by("order"),
        "default_cap_micro": settings.DEFAULT_CAP_MICRO,
    }
    return render(request, "billing/pricing.html", context)


@login_required
@require_safe
def usage(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = parse_month(request.GET.get("month"))
    statement = build_statement(team, month, with_attempts=False)
    jobs, budget = top_rows(statement.jobs), get_budget(team)
    deployments = top_rows(statement.deployments)
    add_attempts(statement, jobs.rows)
    resolve_names([*jobs.rows, *deployments.rows])
    grants = CreditGrant.objects.filter(team=team).usable(now()).in_burn_order()
    context = {
        "team": team,
        "statement": statement,
        "jobs": jobs,
        "deployments": deployments,
        "grants": grants,
        "balance_micro": sum(grant.left_micro for grant in grants) - budget.debt_micro,
        "forecast_micro": None
        if month.is_over
        else forecast_micro(budget, statement.charges_by_day),
        "days_chart": _days_chart(statement),
        "highest_day": max([day.amount_micro for day in statement.days] + [1]),
        "budget": budget,
        "storage": storage_usage(team),
        "form": CapForm(initial={"dollars": budget.cap_micro})
        if has_permission(request.user, team, "billing")
        else None,
    }
    return render(request, "billing/usage.html", context)


@login_required
@require_safe
def usage_by_project(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """What each project cost: a fragment of the usage page, or a page without JavaScript."""
    team = find_team(request, slug)
    month = parse_month(request.GET.get("month"))
    found = build_statement(team, month, with_attempts=False)
    context = {"team": team, "month": month, "costs": cost_by_project(found.cost_sources)}
    template = "billing/_by_project.html" if request.htmx else "billing/by_project.html"
    return render(request, template, context)


def _days_chart(statement: Statement) -> str:
    """The cost of each day in dollars, as static/js/app/chart.js draws it; nothing if all are 0."""
    points = [
        (int(datetime.combine(day.on, time.min, UTC).timestamp()), day.amount_micro / 1_000_000)
        for day in statement.days
    ]
    has_any = any(amount for _, amount in points)
    series = [{"name": "cost", "points": points, "measured": len(points)}] if has_any else []
    return json.dumps({"series": series, "lines": []})


@login_required
@require_safe
def statement(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = parse_month(request.GET.get("month"))
    statement = build_statement(team, month, with_attempts=False)
    resolve_names(statement.cost_sources)
    context = {"team": team, "statement": statement, "csv_titles": CSV_TITLES}
    return render(request, "billing/statement.html", context)


@login_required
@require_safe
def usage_csv(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month, by = parse_month(request.GET.get("month")), request.GET.get("by", "attempt")
    if by not in CSV_LAYOUTS:
        raise UserError(f"A CSV has rows by one of: {', '.join(CSV_LAYOUTS)}.", param="by")
    answer = HttpResponse(statement_csv(build_statement(team, month), by), content_type="text/csv")
    name = f"lathe-{team.slug}-{month.code}-by-{by}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@login_required
@require_safe
def month(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context = {"total_micro": month_total(team, this_month())}
    return render(request, "billing/_month.html", context)


@login_required
@require_POST
def cap(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    form = CapForm(request.POST)
    if not form.is_valid():
        raise UserError("A cap is an amount in dollars such as 25 or 12.50.", param="dollars")
    set_cap(team, request.user, form.cleaned_data["dollars"])
    messages.success(request, "The spend cap is changed.")
    return redirect("billing:usage", team.slug)


@login_required
@require_POST
def release_hold(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "billing")
    if holds.release_hold(team, by=request.user, reason="confirmed by the team"):
        messages.success(request, "The hold is lifted. Resume the paused jobs when you are ready.")
    return redirect("billing:usage", team.slug)


@login_required
@require_safe
def invoices(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    issued = Invoice.objects.visible_to(request.user).filter(team=team).order_by("-month")
    context = {
        "team": team,
        "invoices": issued,
        "this_month": this_month(),
        "is_stripe": gateway.is_enabled(),
        "may_edit": has_permission(request.user, team, "billing"),
    }
    return render(request, "billing/invoices.html", context)


@login_required
@require_safe
def invoice(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = parse_month(request.GET.get("month"))
    issued, content = get_invoice(team, month)
    context = {
        "team": team,
        "month": month,
        "invoice": issued,
        "content": content,
        "is_stripe": gateway.is_enabled(),
    }
    return render(request, "billing/invoice.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def details(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "billing")
    known = BillingDetails.objects.filter(team=team).first() or BillingDetails(team=team)
    form = BillingDetailsForm(request.POST or None, instance=known)
    if request.method == "POST" and form.is_valid():
        form.save()
        audit.record(team, request.user, "billing_details.changed", team.name)
        messages.success(request, "Saved. Invoices from now on carry these details.")
        return redirect("billing:invoices", team.slug)
    return render(request, "billing/details.html", {"team": team, "form": form})
