"""Admin pages about money. Posted rows are read-only; changes are new rows with a reason."""

import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from accounts import audit
from accounts.models import Team, User
from billing import models
from billing.admin.actions import RUN_FORM_ACTIONS, TEAM_FORM_ACTIONS, FormActionsMixin
from billing.forms import DollarsField
from billing.ledger.corrections import post_adjustment
from billing.pricing import format_nano_dollars, supersede
from billing.statements.sources import CostSource, resolve_names
from web.admin import AppendOnlyAdmin, DollarsMixin, ReadOnlyAdmin
from web.enqueue import enqueue_on_commit


class NamedSourcesChangeList(ChangeList):
    """Finds the names of all causes on the page with one query for each kind."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        field = self.model_admin.source_field  # type: ignore[attr-defined]
        rows = list(self.result_list)
        causes = {text: CostSource(source=text) for text in {getattr(row, field) for row in rows}}
        resolve_names(causes.values())
        for row in rows:
            row.cost_source = causes[getattr(row, field)]
        self.result_list = rows


class NamedSourcesMixin:
    """Adds the column `cause`, read from `source_field`."""

    source_field = "source"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return NamedSourcesChangeList

    @admin.display(description="For")
    def cause(self, row: Any) -> str:
        source: CostSource = row.cost_source
        if not source.url:
            return source.label
        return format_html('<a href="{}">{}</a>', source.url, source.label)


@admin.register(models.Plan)
class PlanAdmin(DollarsMixin, admin.ModelAdmin[models.Plan]):
    """A changed fee reaches Stripe's catalog at once, and running subscriptions not at all."""

    list_display = (
        "code", "name", "monthly_cents", "concurrency", "storage_bytes", "is_offered", "order",
    )  # fmt: skip

    def save_model(self, request: HttpRequest, obj: models.Plan, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        enqueue_on_commit("billing.tasks.keep_catalog")


@admin.register(models.Rate)
class RateAdmin(AppendOnlyAdmin):
    """Adding a rate for a SKU ends the one in force."""

    list_display = ("sku", "price", "valid")
    list_filter = ("sku",)
    fields = ("sku", "nano_per_unit")

    @admin.display(description="Price of a unit", ordering="nano_per_unit")
    def price(self, rate: models.Rate) -> str:
        return format_nano_dollars(rate.nano_per_unit)

    def save_model(self, request: HttpRequest, obj: models.Rate, form: Any, change: bool) -> None:
        created = supersede(obj.sku, obj.nano_per_unit)
        obj.pk, obj.valid = created.pk, created.valid


@admin.register(models.Budget)
class BudgetAdmin(FormActionsMixin, DollarsMixin, admin.ModelAdmin[models.Budget]):
    """One team's money. The cap, holds and credit change by form actions, with a reason."""

    form_actions = TEAM_FORM_ACTIONS
    list_display = (
        "team", "plan", "mode", "cap_micro", "spent_micro", "reserved_micro", "held_at",
    )  # fmt: skip
    list_filter = ("plan", ("held_at", admin.EmptyFieldListFilter))
    list_select_related = ("team", "plan")
    search_fields = ("team__name", "team__slug")
    fields = (
        "team", "plan", "mode", "cap_micro", "spent_micro", "reserved_micro", "period_start",
        "debt_micro", "held_at", "hold_reason", "hold_exempt_until",
    )  # fmt: skip
    readonly_fields = tuple(name for name in fields if name not in {"plan", "mode"})

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: models.Budget, form: Any, change: bool) -> None:
        # Only what was typed: spent and reserved may have moved since the form was opened.
        models.Budget.objects.filter(pk=obj.pk).update(plan=obj.plan, mode=obj.mode)
        if form.changed_data:
            assert isinstance(request.user, User)
            changes = {name: str(form.cleaned_data[name]) for name in form.changed_data}
            audit.record(obj.team, request.user, "budget.changed", obj.team.name, **changes)


@admin.register(models.MeteredRun)
class MeteredRunAdmin(NamedSourcesMixin, FormActionsMixin, ReadOnlyAdmin):
    form_actions = RUN_FORM_ACTIONS
    list_display = ("cause", "fence", "team", "started_at", "ended_at", "end_reason", "billed_ms")
    list_filter = ("end_reason",)
    list_select_related = ("team",)
    search_fields = ("source__startswith",)
    search_help_text = "The beginning of a source, such as training-job:…, or a team's slug."


@admin.register(models.CreditGrant)
class CreditGrantAdmin(ReadOnlyAdmin):
    """Credit is granted on the page of a team's budget."""

    list_select_related = ("team",)
    list_display = ("team", "note", "kind", "granted_micro", "left_micro", "expires_at", "source")
    list_filter = ("kind",)
    search_fields = ("source", "note", "team__name", "team__slug")
    date_hierarchy = "granted_at"


@admin.register(models.Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    list_display = ("number", "team", "month", "issued_at")
    list_select_related = ("team",)
    list_filter = ("month",)
    search_fields = ("number", "team__name", "team__slug")


@admin.register(models.UsageSegment)
class UsageSegmentAdmin(NamedSourcesMixin, ReadOnlyAdmin):
    list_display = ("cause", "span", "device_ms", "amount_micro", "recorded_at")
    search_fields = ("run__source__startswith",)
    search_help_text = "The beginning of a source, such as training-job:…, or a team's slug."


@admin.register(models.UsageEvent)
class UsageEventAdmin(NamedSourcesMixin, ReadOnlyAdmin):
    list_display = ("cause", "kind", "units", "requests", "amount_micro", "occurred_at")
    search_fields = ("source",)
    search_help_text = "All of a source, such as deployment:…, or a team's slug."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A source's team is known from the daily sums, and an index begins with the team."""
        source = search_term.strip()
        days = models.UsageDay.objects.filter(source=source).values_list("team", flat=True)
        if team := days.first() if source else None:
            return queryset.filter(team=team, source=source), False
        if source and not Team.objects.filter(slug=source).exists():
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)


class AdjustmentForm(forms.ModelForm[models.LedgerEntry]):
    """The only kind of entry that is made by hand."""

    request_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    note = forms.CharField(max_length=255, label="Reason", help_text="The customer reads this.")
    dollars = DollarsField(
        min_value=Decimal(-1_000_000),
        decimal_places=6,
        label="US dollars",
        help_text="A positive amount is charged, a negative one given back: -5 gives back $5.",
    )
    field_order = ("team", "dollars", "note", "request_id")

    class Meta:
        model = models.LedgerEntry
        fields = ("team", "note", "request_id")

    def clean_dollars(self) -> int:
        amount: int = self.cleaned_data["dollars"]  # In micro-USD, as the field gives it.
        if amount == 0:
            raise forms.ValidationError("An adjustment of nothing changes nothing.")
        return amount


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(NamedSourcesMixin, AppendOnlyAdmin):
    source_field = "about"
    list_display = ("occurred_at", "team", "kind", "amount_micro", "cause", "note", "source")
    list_filter = ("kind",)
    list_select_related = ("team",)
    search_fields = ("source__startswith", "about__exact")
    search_help_text = "The beginning of a source, all of “about”, or a team's slug."
    form = AdjustmentForm

    def save_model(
        self, request: HttpRequest, obj: models.LedgerEntry, form: Any, change: bool
    ) -> None:
        assert isinstance(request.user, User)
        entry = post_adjustment(
            obj.team,
            form.cleaned_data["dollars"],
            obj.note,
            by=request.user,
            request_id=form.cleaned_data["request_id"],
        )
        obj.pk = entry.pk
