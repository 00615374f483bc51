"""Pages about the plan: what it is, what there is to choose, what was paid, and credit."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can, find_team, require
from accounts.signed_in import SignedInRequest
from billing import budget as budgets
from billing import credits, subscribing, top_ups
from billing import stripe_gateway as gateway
from billing.models import Plan, StripeCustomer, StripeInvoice, Subscription, TopUp
from billing.plan_forms import RequestForm, TopUpForm
from billing.stripe_errors import StripeIsOff
from web.errors import UserError

SHOWN = 12  # Newest invoices and top-ups on the page.


class BadForm(UserError):
    code, status = "bad_form", 400


@login_required
@require_safe
def plan(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    may_pay = gateway.is_on() and can(request.user, team, "billing")
    context = {
        "team": team,
        "budget": budgets.of(team),
        "subscription": Subscription.objects.filter(team=team).select_related("plan").first(),
        "customer": StripeCustomer.objects.filter(team=team).first(),
        "plans": Plan.objects.filter(is_offered=True).order_by("order"),
        "balance_micro": credits.balance(team),
        "top_ups": TopUp.objects.filter(team=team).order_by("-created_at")[:SHOWN],
        "invoices": StripeInvoice.objects.filter(team=team).order_by("-created_at")[:SHOWN],
        "is_stripe": gateway.is_on(),
        "is_live": gateway.is_live(),
        "may_pay": may_pay,
        "top_up_form": TopUpForm() if may_pay else None,
        "request_form": RequestForm() if may_pay else None,
    }
    return render(request, "billing/plan.html", context)


@login_required
@require_safe
def next_invoice(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context: dict[str, Any] = {"team": team, "preview": subscribing.next_invoice(team)}
    return render(request, "billing/_next_invoice.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: SignedInRequest, slug: str, code: str) -> HttpResponse:
    """Look at what a change costs; then make it, here or at Stripe's Checkout."""
    team = find_team(request, slug)
    chosen = get_object_or_404(Plan, pk=code, is_offered=True)
    require(request.user, team, "billing")
    if not gateway.is_on():
        raise StripeIsOff
    subscription = subscribing.active_subscription(team)
    if request.method != "POST":
        change = subscribing.look_ahead(team, chosen) if subscription else None
        context = {"team": team, "chosen": chosen, "change": change, "form": RequestForm()}
        return render(request, "billing/choose_plan.html", context)
    if subscription is None:
        url = subscribing.start_checkout(team, request.user, chosen, _request_id(request))
        return redirect(url)
    subscribing.change_plan(team, request.user, chosen, _request_id(request))
    messages.success(request, f"This team is now on the {chosen.name} plan.")
    return redirect("billing:plan", team.slug)


def _request_id(request: HttpRequest) -> UUID:
    form = RequestForm(request.POST)
    if not form.is_valid():
        raise BadForm("This form was not complete. Reload the page and try again.")
    request_id: UUID = form.cleaned_data["request_id"]
    return request_id


@login_required
@require_POST
def end(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "billing")
    subscribing.end_subscription(team, request.user, _request_id(request))
    messages.success(request, "The subscription ends with the period that is paid for.")
    return redirect("billing:plan", team.slug)


@login_required
@require_POST
def keep(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "billing")
    subscribing.keep_subscription(team, request.user, _request_id(request))
    messages.success(request, "The subscription goes on.")
    return redirect("billing:plan", team.slug)


@login_required
@require_POST
def portal(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    return redirect(subscribing.portal_url(team, request.user))


@login_required
@require_POST
def top_up(request: SignedInRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "billing")
    form = TopUpForm(request.POST)
    if not form.is_valid():
        raise BadForm(str(next(iter(form.errors.values()))[0]), param="dollars")
    request_id = form.cleaned_data["request_id"]
    return redirect(top_ups.open_top_up(team, request.user, form.cents(), request_id))


@login_required
@require_safe
def paid(request: SignedInRequest, slug: str) -> HttpResponse:
    """Where Checkout leads back to. It shows how things stand and grants nothing."""
    team = find_team(request, slug)
    session = gateway.session(_session_id(request))
    if session.customer != subscribing.known_customer(team):
        raise Http404
    row = top_ups.find(session)
    is_done = (
        row.status == TopUp.Status.PAID
        if row
        else Subscription.objects.filter(team=team, stripe_id=session.subscription).exists()
    )
    context = {"team": team, "session": session, "top_up": row, "is_done": is_done}
    is_fragment = getattr(request, "htmx", False)
    return render(request, "billing/_paid.html" if is_fragment else "billing/paid.html", context)


def _session_id(request: HttpRequest) -> str:
    session_id = request.GET.get("session_id", "")
    if not session_id.startswith("cs_") or not session_id.replace("_", "").isalnum():
        raise Http404
    return session_id
