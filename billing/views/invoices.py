"""Invoices to print, and what a team wants to read on them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import audit
from accounts.permissions import find_team, has_permission, require_permission
from billing.forms import BillingDetailsForm
from billing.models import BillingDetails, Invoice
from billing.months import parse_month, this_month
from billing.statements.invoices import get_invoice
from billing.stripe import gateway
from web.requests import AuthenticatedRequest


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
