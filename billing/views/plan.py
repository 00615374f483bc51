"""Pages about the plan: what it is, what there is to choose, what was paid, and credit."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.permissions import find_team, has_permission, require_permission
from billing.budgets.budget import get_budget
from billing.credit import grants
from billing.forms import IdempotentForm, TopUpForm
from billing.models import Plan, StripeCustomer, StripeInvoice, Subscription, TopUp
from billing.stripe import gateway, subscriptions, top_ups
from billing.stripe.errors import StripeDisabled
from billing.stripe.usage_outbox.claims import waiting_micro
from web.errors import UserError
from web.requests import AuthenticatedRequest

MAX_ROWS = 12  # Newest invoices and top-ups on the page.


class BadForm(UserError):
    code, status = "bad_form", 400


@login_required
@require_safe
def plan(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    may_pay = gateway.is_enabled() and has_permission(request.user, team, "billing")
    context = {
        "team": team,
        "budget": get_budget(team),
        "subscription": Subscription.objects.filter(team=team).select_related("plan").first(),
        "customer": StripeCustomer.objects.filter(team=team).first(),
        "plans": Plan.objects.filter(is_offered=True).order_by("order"),
        "balance_micro": grants.credit_balance_micro(team),
        "waiting_micro": waiting_micro(team) if gateway.is_enabled() else 0,
        "top_ups": TopUp.objects.filter(team=team).order_by("-created_at")[:MAX_ROWS],
        "open_invoice": StripeInvoice.objects.filter(team=team, status="open")
        .order_by("-created_at")
        .first(),
        "invoices": StripeInvoice.objects.filter(team=team).order_by("-created_at")[:MAX_ROWS],
        "is_stripe": gateway.is_enabled(),
        "is_live": gateway.is_live_mode(),
        "may_pay": may_pay,
        "top_up_form": TopUpForm() if may_pay else None,
        "request_form": IdempotentForm() if may_pay else None,
    }
    return render(request, "billing/plan.html", context)


@login_required
@require_safe
def next_invoice(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context: dict[str, Any] = {"team": team, "preview": subscriptions.preview_next_invoice(team)}
    return render(request, "billing/_next_invoice.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def choose_plan(request: AuthenticatedRequest, slug: str, code: str) -> HttpResponse:
    """Look at what a change costs; then make it, here or at Stripe's Checkout."""
    team = find_team(request, slug)
    chosen = get_object_or_404(Plan, pk=code, is_offered=True)
    require_permission(request.user, team, "billing")
    if not gateway.is_enabled():
        raise StripeDisabled
    subscription = subscriptions.active_subscription(team)
    if request.method != "POST":
        change = subscriptions.preview_change(team, chosen) if subscription else None
        context = {"team": team, "chosen": chosen, "change": change, "form": IdempotentForm()}
        return render(request, "billing/choose_plan.html", context)
    if subscription is None:
        url = subscriptions.start_checkout(team, request.user, chosen, _request_id(request))
        return redirect(url)
    subscriptions.change_plan(team, request.user, chosen, _request_id(request))
    messages.success(request, f"This team is now on the {chosen.name} plan.")
    return redirect("billing:plan", team.slug)


def _request_id(request: HttpRequest) -> UUID:
    form = IdempotentForm(request.POST)
    if not form.is_valid():
        raise BadForm("This form was not complete. Reload the page and try again.")
    request_id: UUID = form.cleaned_data["request_id"]
    return request_id


@login_required
@require_POST
def cancel_plan(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "billing")
    after = subscriptions.cancel_at_period_end(team, request.user, _request_id(request))
    is_over = after is None
    words = "is over" if is_over else "ends with the period that is paid for"
    messages.success(request, f"The subscription {words}.")
    return redirect("billing:plan", team.slug)


@login_required
@require_POST
def undo_cancellation(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "billing")
    subscriptions.undo_cancellation(team, request.user, _request_id(request))
    messages.success(request, "The subscription goes on.")
    return redirect("billing:plan", team.slug)


@login_required
@require_POST
def portal(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    return redirect(subscriptions.open_portal(team, request.user))


@login_required
@require_POST
def top_up(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "billing")
    form = TopUpForm(request.POST)
    if not form.is_valid():
        raise BadForm(str(next(iter(form.errors.values()))[0]), param="dollars")
    request_id = form.cleaned_data["request_id"]
    return redirect(top_ups.start_top_up_checkout(team, request.user, form.cents(), request_id))


@login_required
@require_safe
def paid(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Where Checkout leads back to. It shows how things stand and grants nothing."""
    team = find_team(request, slug)
    session_id = request.GET.get("session_id", "")
    if not session_id.startswith("cs_") or not session_id.replace("_", "").isalnum():
        raise Http404
    session = gateway.retrieve_checkout_session(session_id)
    get_object_or_404(StripeCustomer, team=team, customer_id=session.customer)
    row = top_ups.find_top_up(session)
    is_done = (
        row.status == TopUp.Status.PAID
        if row
        else Subscription.objects.filter(team=team, stripe_id=session.subscription).exists()
    )
    is_over = row is not None and row.status != TopUp.Status.OPEN
    context = {
        "team": team,
        "session": session,
        "top_up": row,
        "is_done": is_done,
        "is_waiting": session.status == "complete" and not is_done and not is_over,
    }
    is_fragment = getattr(request, "htmx", False)
    return render(request, "billing/_paid.html" if is_fragment else "billing/paid.html", context)
