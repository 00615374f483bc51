"""Forms about money: the spend cap, what invoices carry, and paying."""

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings

from billing.models import BillingDetails
from billing.money import CENTS_PER_DOLLAR, MICRO_PER_DOLLAR, dollars_to_micro


class DollarsField(forms.DecimalField):
    """An amount typed in dollars. Its value, also the initial one, is micro-USD."""

    def __init__(self, *, min_value: Decimal, decimal_places: int = 2, **options: Any) -> None:
        options |= {"min_value": min_value, "decimal_places": decimal_places}
        super().__init__(max_value=Decimal(1_000_000), **options)

    def prepare_value(self, value: object) -> object:
        if isinstance(value, int):
            return (Decimal(value) / MICRO_PER_DOLLAR).quantize(Decimal("0.01"))
        return value

    def clean(self, value: object) -> Any:
        dollars = super().clean(value)
        return None if dollars is None else dollars_to_micro(dollars)


class CapForm(forms.Form):
    dollars = DollarsField(
        label="Monthly spend cap in US dollars",
        min_value=Decimal(0),
        required=False,
        help_text="Covers usage (training and asking models), not the plan's fee, tax or top-ups. "
        "Leave empty for no cap.",
    )


class BillingDetailsForm(forms.ModelForm[BillingDetails]):
    class Meta:
        model = BillingDetails
        fields = ("legal_name", "address", "tax_id", "email", "reference")
        widgets: ClassVar[dict[str, forms.Widget]] = {"address": forms.Textarea({"rows": 4})}


class IdempotentForm(forms.Form):
    """A form about paying carries an id, so that one sent twice is one request."""

    request_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class TopUpForm(IdempotentForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        least = Decimal(settings.TOP_UP_MIN_CENTS) / CENTS_PER_DOLLAR
        most = Decimal(settings.TOP_UP_MAX_CENTS) / CENTS_PER_DOLLAR
        refusal = f"A top-up is from ${least:,.2f} to ${most:,.2f}."
        self.fields["dollars"] = forms.DecimalField(
            label="Amount in US dollars",
            decimal_places=2,
            min_value=least,
            max_value=most,
            initial=max(least, Decimal(25)),
            help_text=f"From ${least:,.2f} to ${most:,.2f}, paid once by card at Stripe.",
            error_messages={"min_value": refusal, "max_value": refusal},
        )

    def cents(self) -> int:
        dollars: Decimal = self.cleaned_data["dollars"]
        return int(dollars * CENTS_PER_DOLLAR)
