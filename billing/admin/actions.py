"""Operator actions in the admin: pages with a form, a reason and a request id.

A form sent twice acts once. Every action is one function of billing, which audits it.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse

from accounts import audit
from accounts.models import User
from billing.budgets import budget as budgets
from billing.budgets import holds
from billing.credit import grants
from billing.forms import CapForm, DollarsField
from billing.ledger.corrections import refund_part
from billing.models import Budget, MeteredRun
from billing.months import month_of
from billing.stripe.errors import StripeFailure
from billing.stripe.sync import refresh_open_period
from web.errors import UserError
from web.templatetags.ui import exact_money, money


class OperatorForm(forms.Form):
    """Every action has a reason that is kept, and an id that makes it happen once."""

    reason = forms.CharField(max_length=255, help_text="Kept in the audit log.")
    request_id = forms.UUIDField(widget=forms.HiddenInput)


class RefundForm(OperatorForm):
    reason = forms.CharField(max_length=255, help_text="The customer reads this.")
    scope = forms.ChoiceField(
        choices=[("run", "this run only"), ("job", "every run of the same job")]
    )
    dollars = DollarsField(
        min_value=Decimal("0.000001"),
        decimal_places=6,
        required=False,
        label="US dollars",
        help_text="Leave empty to give back all that was charged.",
    )


class CreditForm(OperatorForm):
    reason = forms.CharField(max_length=255, help_text="The customer reads this.")
    dollars = DollarsField(min_value=Decimal("0.01"), label="US dollars")
    kind = forms.ChoiceField(choices=[("promo", "given"), ("paid", "bought")])
    expires_on = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Valid to the end of this day's month (UTC). Leave empty for ever.",
    )
    priority = forms.IntegerField(
        min_value=0, max_value=100, initial=50, help_text="0 is used first, 100 last."
    )

    def expires_at(self) -> datetime | None:
        on = self.cleaned_data["expires_on"]
        return month_of(datetime.combine(on, time(), tzinfo=UTC)).end if on else None


class OperatorCapForm(CapForm, OperatorForm):
    pass


@dataclass(frozen=True)
class FormAction:
    """One button: its title, the permission it needs, its form, and the function it calls."""

    title: str
    permission: str
    form: type[OperatorForm]
    perform: Callable[[Any, User, Any], str]  # (object, operator, valid form) -> what happened.


def refund_run(run: MeteredRun, by: User, form: RefundForm) -> str:
    data = form.cleaned_data
    amount = refund_part(
        run.source,
        data["reason"],
        request_id=data["request_id"],
        amount_micro=data["dollars"],
        fence=run.fence if data["scope"] == "run" else None,
    )
    if not amount:
        return "This refund was booked before."
    audit.record(run.team, by, "ledger.refunded", run.source, micro=amount, reason=data["reason"])
    return f"{exact_money(amount)} given back."


def grant_credit(budget: Budget, by: User, form: CreditForm) -> str:
    data = form.cleaned_data
    with suppress(StripeFailure):  # The comparison with its invoices tells a difference.
        refresh_open_period(budget.team)
    given = grants.grant(
        budget.team,
        data["dollars"],
        kind=data["kind"],
        source=f"admin:{data['request_id']}",
        note=data["reason"],
        expires_at=form.expires_at(),
        priority=data["priority"],
        by=by,
    )
    return f"{money(given.granted_micro)} of credit granted to {budget.team}."


def set_cap(budget: Budget, by: User, form: OperatorCapForm) -> str:
    data = form.cleaned_data
    budgets.change_cap(budget.team, data["dollars"], by=by, reason=data["reason"])
    return f"The cap of {budget.team} is changed."


def place_hold(budget: Budget, by: User, form: OperatorForm) -> str:
    done = holds.place_hold(budget.team, form.cleaned_data["reason"], by=by)
    return f"{budget.team} is on hold." if done else f"{budget.team} was on hold already."


def release_hold(budget: Budget, by: User, form: OperatorForm) -> str:
    done = holds.release_hold(budget.team, by=by, reason=form.cleaned_data["reason"])
    return f"{budget.team} is released." if done else f"{budget.team} was not on hold."


class FormActionsMixin(admin.ModelAdmin[Any]):
    """An admin page whose objects offer form actions."""

    form_actions: dict[str, FormAction] = {}  # noqa: RUF012
    change_form_template = "admin/billing/with_deeds.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.form_action_view)
        name = f"billing_{self.opts.model_name}_deed"
        return [path("<path:object_id>/deed/<slug:deed>/", view, name=name), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        links = [
            (
                action.title,
                reverse(f"admin:billing_{self.opts.model_name}_deed", args=[object_id, key]),
            )
            for key, action in self.form_actions.items()
            if request.user.has_perm(action.permission)
        ]
        return super().change_view(request, object_id, form_url, {"deeds": links})

    def form_action_view(self, request: HttpRequest, object_id: str, deed: str) -> HttpResponse:
        action, subject = self.form_actions.get(deed), self.get_object(request, object_id)
        if action is None or subject is None:
            raise Http404
        operator = request.user
        if not isinstance(operator, User) or not operator.has_perm(action.permission):
            raise PermissionDenied
        form = action.form(request.POST or None, initial={"request_id": uuid.uuid4()})
        if request.method == "POST" and form.is_valid():
            try:
                messages.success(request, action.perform(subject, operator, form))
                return redirect(f"admin:billing_{self.opts.model_name}_change", object_id)
            except UserError as error:
                form.add_error(None, error.sentence)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{action.title}: {subject}",
            "opts": self.opts,
            "original": subject,
            "form": form,
        }
        return render(request, "admin/billing/deed.html", context)


RUN_FORM_ACTIONS = {
    "refund": FormAction("Refund", "billing.add_ledgerentry", RefundForm, refund_run)
}
TEAM_FORM_ACTIONS = {
    "credit": FormAction("Grant credit", "billing.add_creditgrant", CreditForm, grant_credit),
    "cap": FormAction("Set the cap", "billing.change_budget", OperatorCapForm, set_cap),
    "hold": FormAction("Put on hold", "billing.change_budget", OperatorForm, place_hold),
    "release": FormAction("Release the hold", "billing.change_budget", OperatorForm, release_hold),
}
