"""Invoices to print, and what a team wants to read on them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import audit
from accounts.access import can, find_team, require
from accounts.signed_in import SignedInRequest
from billing.forms import BillingDetailsForm
from billing.invoicing import invoice_of
from billing.models import BillingDetails, Invoice
from billing.months import read_month, this_month


@login_required
@require_safe
def invoices(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    issued = Invoice.objects.visible_to(request.user).filter(team=team).order_by("-month")
    context = {
        "team": team,
        "invoices": issued,
        "this_month": this_month(),
        "may_edit": can(request.user, team, "billing"),
    }
    return render(request, "billing/invoices.html", context)


@login_required
@require_safe
def invoice(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    month = read_month(request.GET.get("month"))
    issued, content = invoice_of(team, month)
    context = {"team": team, "month": month, "invoice": issued, "content": content}
    return render(request, "billing/invoice.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def details(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "billing")
    known = BillingDetails.objects.filter(team=team).first() or BillingDetails(team=team)
    form = BillingDetailsForm(request.POST or None, instance=known)
    if request.method == "POST" and form.is_valid():
        form.save()
        audit.record(team, request.user, "billing_details.changed", team.name)
        messages.success(request, "Saved. Invoices from now on carry these details.")
        return redirect("billing:invoices", team.slug)
    return render(request, "billing/details.html", {"team": team, "form": form})
