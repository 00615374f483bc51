"""Operators' view of the machines: classes with their prices, and the trainers that are there."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Model, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing import pricing
from billing.models import Rate
from training.jobs.limits import format_duration
from training.models import Attempt, ComputeClass, DesiredState, TrainingJob, Worker, WorkerState
from training.queries.machines import classes
from training.scheduling.workers import set_desired_state
from web.admin import ReadOnlyAdminMixin
from web.language.sentences import translated
from web.templatetags.times import ago

GIB = 2**30
SECONDS_PER_HOUR = 3600
NANO_PER_DOLLAR = 1_000_000_000


class ComputeClassForm(forms.ModelForm[ComputeClass]):
    """A class as an operator thinks of it: gibibytes, and dollars for an hour of one device."""

    memory_gib = forms.DecimalField(
        label="Memory of one device, GiB", min_value=Decimal("0.1"), max_value=100_000
    )
    dollars_an_hour = forms.DecimalField(
        label="US dollars for an hour of one device",
        required=False,
        min_value=0,
        max_value=10_000,
        help_text="Billed by the second. A new price counts for jobs that start from now on; what "
        "runs keeps the price it began with.",
    )

    class Meta:
        model = ComputeClass
        fields = ("code", "name", "device", "devices", "time_limit_seconds", "is_offered", "order")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rate = Rate.objects.filter(sku=self.instance.pk, valid__contains=now()).first()
        if self.instance.memory_bytes:
            self.initial["memory_gib"] = _strip_trailing_zeros(
                Decimal(self.instance.memory_bytes) / GIB
            )
        if self.rate is not None:
            self.initial["dollars_an_hour"] = _dollars_an_hour(self.rate)

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if Rate.objects.filter(sku=code).exists() and not ComputeClass.objects.filter(pk=code):
            self.rate = Rate.objects.filter(sku=code, valid__contains=now()).first()
        return code

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data  # It also switches on the unique check.
        has_price = cleaned.get("dollars_an_hour") is not None or self.rate is not None
        if cleaned.get("is_offered") and not has_price:
            self.add_error("dollars_an_hour", "A class that is offered needs a price; 0 is one.")
        return cleaned

    def new_rate_nano(self) -> int | None:
        """The rate to put in force, in nano-USD for a device-second; None when it stays."""
        dollars = self.cleaned_data.get("dollars_an_hour")
        if dollars is None or "dollars_an_hour" not in self.changed_data:
            return None
        nano = int(
            (dollars * NANO_PER_DOLLAR / SECONDS_PER_HOUR).quantize(Decimal(1), ROUND_HALF_UP)
        )
        return None if self.rate is not None and self.rate.nano_per_unit == nano else nano

    def save(self, commit: bool = True) -> ComputeClass:
        self.instance.memory_bytes = int(self.cleaned_data["memory_gib"] * GIB)
        return super().save(commit)


def _strip_trailing_zeros(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.000001")).normalize() + 0


@admin.register(ComputeClass)
class ComputeClassAdmin(admin.ModelAdmin[ComputeClass]):
    form = ComputeClassForm
    fields = (
        "code", "name", "device", "devices", "memory_gib", "time_limit_seconds",
        "dollars_an_hour", "is_offered", "order", "price_history",
    )  # fmt: skip
    list_display = ("name", "code", "device", "devices", "memory", "limit", "price", "is_offered")
    ordering = ("order", "code")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return ("code", "price_history") if obj else ("price_history",)  # Rates and jobs name it.

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.overview)
        return [path("overview/", page, name="training_compute"), *super().get_urls()]

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Classes, queues and idle machines on one page."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Compute",
            "classes": classes.compute_class_rows(),
            "idle_workers": classes.idle_workers(),
        }
        return render(request, "admin/training/compute.html", context)

    @admin.display(description="memory")
    def memory(self, machine: ComputeClass) -> str:
        return f"{machine.memory_bytes / GIB:.0f} GiB"

    @admin.display(description="time limit")
    def limit(self, machine: ComputeClass) -> str:
        return format_duration(machine.time_limit_seconds)

    @admin.display(description="$ per device-hour")
    def price(self, machine: ComputeClass) -> str:
        rate = Rate.objects.filter(sku=machine.pk, valid__contains=now()).first()
        return f"${_dollars_an_hour(rate):f}" if rate else translated("no price")

    @admin.display(description="prices so far")
    def price_history(self, machine: ComputeClass) -> SafeString | str:
        history = Rate.objects.filter(sku=machine.pk).order_by("-valid") if machine.pk else []
        lines = (
            (
                f"${_dollars_an_hour(rate):f}",
                rate.nano_per_unit,
                ago(rate.valid.lower),
                ago(rate.valid.upper),
            )
            for rate in history
        )
        line = "{} an hour ({} nano-USD a second): from {}, until {}"
        return format_html_join(SafeString("<br>"), line, lines) or "none"

    def save_model(self, request: HttpRequest, obj: ComputeClass, form: Any, change: bool) -> None:
        operator = request.user
        assert isinstance(operator, User)
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            changed = {name: str(form.cleaned_data.get(name)) for name in form.changed_data}
            deed = "compute.changed" if change else "compute.added"
            audit.record(None, operator, deed, obj.pk, **changed)
            if (nano := form.new_rate_nano()) is not None:
                pricing.supersede(obj.pk, nano)
                audit.record(None, operator, "rate.superseded", obj.pk, nano_per_unit=nano)

    def delete_model(self, request: HttpRequest, obj: ComputeClass) -> None:
        assert isinstance(request.user, User)
        audit.record(None, request.user, "compute.deleted", obj.pk, name=obj.name)
        super().delete_model(request, obj)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Refuse in words, and without listing every job that ever ran there."""
        used = TrainingJob.objects.filter(compute_class__in=[one.pk for one in objs]).count()
        here = Worker.objects.filter(compute_class__in=[one.pk for one in objs]).online().count()
        reasons = []
        if used:
            reasons.append(
                f"{'1 fine-tune names' if used == 1 else f'{used:,} fine-tunes name'}"
                " it. Stop offering it instead."
            )
        if here:
            reasons.append(
                "1 worker of it is running. Stop it first."
                if here == 1
                else f"{here:,} workers of it are running. Stop them first."
            )
        return [str(one) for one in objs], {"compute classes": len(objs)}, set(), reasons


def _dollars_an_hour(rate: Rate) -> Decimal:
    dollars = Decimal(rate.nano_per_unit) * SECONDS_PER_HOUR / NANO_PER_DOLLAR
    return _strip_trailing_zeros(dollars)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdminMixin, admin.ModelAdmin[Worker]):
    """Workers announce themselves; operators drain, stop and put them back to work."""

    list_display = (
        "name", "compute_class", "state", "job", "device_summary", "idle", "seen", "wish", "version"
    )  # fmt: skip
    list_filter = ("compute_class", "wish")
    list_select_related = ("compute_class",)
    search_fields = ("name",)
    ordering = ("-seen_at",)
    show_full_result_count = False
    actions = ("drain", "stop", "work")

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training.change_worker")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        live = Attempt.objects.live().filter(worker=OuterRef("name")).values("job__name")
        return Worker.objects.with_is_busy().annotate(job_names=ArraySubquery(live))

    @admin.display(description="state")
    def state(self, worker: Worker) -> str:
        state = worker.state
        is_still_busy = state == WorkerState.DRAINING and worker.__dict__.get("is_busy")
        return translated("draining, still busy" if is_still_busy else str(state.label))

    @admin.display(description="job")
    def job(self, worker: Worker) -> str:
        return ", ".join(worker.__dict__["job_names"]) or "—"

    @admin.display(description="devices found there")
    def device_summary(self, worker: Worker) -> str:
        sizes = (f"{one['name']} {one['memory_bytes'] / GIB:.0f} GiB" for one in worker.devices)
        return "; ".join(sizes) or translated("not known")

    @admin.display(description="idle since", ordering="idle_since")
    def idle(self, worker: Worker) -> SafeString | str:
        return ago(worker.idle_since)

    @admin.display(description="seen", ordering="seen_at")
    def seen(self, worker: Worker) -> SafeString | str:
        return ago(worker.seen_at)

    @admin.action(description="Drain: finish the job, take no more", permissions=["run"])
    def drain(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._set_desired_state(request, workers, DesiredState.DRAIN)

    @admin.action(description="Stop: save the job, hand it back, exit", permissions=["run"])
    def stop(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._set_desired_state(request, workers, DesiredState.STOP)

    @admin.action(description="Put back to work", permissions=["run"])
    def work(self, request: HttpRequest, workers: QuerySet[Worker]) -> None:
        self._set_desired_state(request, workers, DesiredState.WORK)

    def _set_desired_state(
        self, request: HttpRequest, workers: QuerySet[Worker], wish: DesiredState
    ) -> None:
        assert isinstance(request.user, User)
        for worker in workers:
            set_desired_state(worker, wish, request.user)
        count = len(workers)
        self.message_user(request, f"{count} told to {wish}; they obey within seconds.")
