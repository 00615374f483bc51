"""What operators do about money: pages of the admin with a form, a reason and a request id.

A form sent twice is one deed. Every deed is one verb of billing, which audits it.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
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
from billing import cap, credits, day_checking, holding
from billing.models import Budget, MeteredRun
from billing.refunding import refund_part
from web.errors import UserError
from web.templatetags.ui import exact_money, money

MICRO = 1_000_000


class DeedForm(forms.Form):
    """Every deed has a reason that is kept, and an id that makes it happen once."""

    reason = forms.CharField(max_length=255, help_text="Kept in the audit log.")
    request_id = forms.UUIDField(widget=forms.HiddenInput)


class RefundForm(DeedForm):
    reason = forms.CharField(max_length=255, help_text="The customer reads this.")
    scope = forms.ChoiceField(
        choices=[("run", "this run only"), ("job", "every run of the same job")]
    )
    dollars = forms.DecimalField(
        min_value=Decimal("0.000001"),
        max_value=Decimal(1_000_000),
        decimal_places=6,
        required=False,
        label="US dollars",
        help_text="Leave empty to give back all that was charged.",
    )


class CreditForm(DeedForm):
    reason = forms.CharField(max_length=255, help_text="The customer reads this.")
    dollars = forms.DecimalField(
        min_value=Decimal("0.01"),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        label="US dollars",
    )
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
        if on is None:
            return None
        next_month = (on.replace(day=1) + timedelta(days=32)).replace(day=1)
        return datetime.combine(next_month, time(), tzinfo=UTC)


class CapForm(DeedForm):
    dollars = forms.DecimalField(
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        required=False,
        label="US dollars a month",
        help_text="Leave empty for no cap.",
    )


@dataclass(frozen=True)
class Deed:
    """One button: what it is called, who may, what it asks, and what it does."""

    title: str
    permission: str
    form: type[DeedForm]
    act: Callable[[Any, User, Any], str]  # (object, operator, valid form) -> what happened.


def _micro(dollars: Decimal | None) -> int | None:
    return None if dollars is None else int(dollars * MICRO)


def refund(run: MeteredRun, by: User, form: RefundForm) -> str:
    facts = form.cleaned_data
    amount = refund_part(
        run.source,
        facts["reason"],
        request_id=facts["request_id"],
        amount_micro=_micro(facts["dollars"]),
        fence=run.fence if facts["scope"] == "run" else None,
    )
    if not amount:
        return "This refund was booked before."
    audit.record(run.team, by, "ledger.refunded", run.source, micro=amount, reason=facts["reason"])
    return f"{exact_money(amount)} given back."


def grant_credit(budget: Budget, by: User, form: CreditForm) -> str:
    facts = form.cleaned_data
    given = credits.grant(
        budget.team,
        int(facts["dollars"] * MICRO),
        kind=facts["kind"],
        source=f"admin:{facts['request_id']}",
        note=facts["reason"],
        expires_at=form.expires_at(),
        priority=facts["priority"],
        by=by,
    )
    return f"{money(given.granted_micro)} of credit granted to {budget.team}."


def set_cap(budget: Budget, by: User, form: CapForm) -> str:
    facts = form.cleaned_data
    cap.change_cap(budget.team, _micro(facts["dollars"]), by=by, reason=facts["reason"])
    return f"The cap of {budget.team} is changed."


def hold(budget: Budget, by: User, form: DeedForm) -> str:
    done = holding.hold(budget.team, form.cleaned_data["reason"], by=by)
    return f"{budget.team} is on hold." if done else f"{budget.team} was on hold already."


def release(budget: Budget, by: User, form: DeedForm) -> str:
    done = holding.release(budget.team, by=by, reason=form.cleaned_data["reason"])
    return f"{budget.team} is released." if done else f"{budget.team} was not on hold."


def rebuild_sums(budget: Budget, by: User, form: DeedForm) -> str:
    found = day_checking.rebuild(budget.team, form.cleaned_data["reason"], by=by)
    if not found:
        return f"Every daily sum of {budget.team} equals the ledger; nothing was to be done."
    days = sorted({f"{one.day}" for one in found})
    return f"Added up anew from the ledger: {', '.join(days)}."


class WithDeeds(admin.ModelAdmin[Any]):
    """An admin page whose objects offer deeds."""

    deeds: dict[str, Deed] = {}  # noqa: RUF012
    change_form_template = "admin/billing/with_deeds.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.deed_view)
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
                deed.title,
                reverse(f"admin:billing_{self.opts.model_name}_deed", args=[object_id, key]),
            )
            for key, deed in self.deeds.items()
            if request.user.has_perm(deed.permission)
        ]
        return super().change_view(request, object_id, form_url, {"deeds": links})

    def deed_view(self, request: HttpRequest, object_id: str, deed: str) -> HttpResponse:
        wanted, subject = self.deeds.get(deed), self.get_object(request, object_id)
        if wanted is None or subject is None:
            raise Http404
        operator = request.user
        if not isinstance(operator, User) or not operator.has_perm(wanted.permission):
            raise PermissionDenied
        form = wanted.form(request.POST or None, initial={"request_id": uuid.uuid4()})
        if request.method == "POST" and form.is_valid():
            try:
                messages.success(request, wanted.act(subject, operator, form))
                return redirect(f"admin:billing_{self.opts.model_name}_change", object_id)
            except UserError as refused:
                form.add_error(None, refused.sentence)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{wanted.title}: {subject}",
            "opts": self.opts,
            "original": subject,
            "form": form,
        }
        return render(request, "admin/billing/deed.html", context)


RUN_DEEDS = {"refund": Deed("Refund", "billing.add_ledgerentry", RefundForm, refund)}
TEAM_DEEDS = {
    "credit": Deed("Grant credit", "billing.add_creditgrant", CreditForm, grant_credit),
    "cap": Deed("Set the cap", "billing.change_budget", CapForm, set_cap),
    "hold": Deed("Put on hold", "billing.change_budget", DeedForm, hold),
    "release": Deed("Release the hold", "billing.change_budget", DeedForm, release),
    "sums": Deed("Rebuild daily sums", "billing.add_dayrebuild", DeedForm, rebuild_sums),
}
