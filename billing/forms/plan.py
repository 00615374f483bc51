"""Forms about paying. Each carries an id, so that a form sent twice is one request."""

import uuid
from decimal import Decimal

from django import forms
from django.conf import settings

from billing.money import CENTS_PER_DOLLAR


class IdempotentForm(forms.Form):
    request_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class TopUpForm(IdempotentForm):
    dollars = forms.DecimalField(label="Amount in US dollars", decimal_places=2)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field, least, most = self.fields["dollars"], min_dollars(), max_dollars()
        field.initial = max(least, Decimal(25))
        field.help_text = f"From ${least:,.2f} to ${most:,.2f}, paid once by card at Stripe."
        field.widget.attrs |= {"min": str(least), "max": str(most), "step": "0.01"}

    def clean_dollars(self) -> Decimal:
        dollars: Decimal = self.cleaned_data["dollars"]
        if not min_dollars() <= dollars <= max_dollars():
            raise forms.ValidationError(
                f"A top-up is from ${min_dollars():,.2f} to ${max_dollars():,.2f}."
            )
        return dollars

    def cents(self) -> int:
        dollars: Decimal = self.cleaned_data["dollars"]
        return int(dollars * CENTS_PER_DOLLAR)


def min_dollars() -> Decimal:
    return Decimal(settings.TOP_UP_MIN_CENTS) / CENTS_PER_DOLLAR


def max_dollars() -> Decimal:
    return Decimal(settings.TOP_UP_MAX_CENTS) / CENTS_PER_DOLLAR
