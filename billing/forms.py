"""The spend cap, in dollars for people."""

from decimal import Decimal
from typing import ClassVar

from django import forms

from billing.models import BillingDetails

MICRO_PER_DOLLAR = 1_000_000


class CapForm(forms.Form):
    dollars = forms.DecimalField(
        label="Monthly spend cap in US dollars",
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        required=False,
        help_text="Covers usage (training and asking models), not the plan's fee, tax or top-ups. "
        "Leave empty for no cap.",
    )

    def cap_micro(self) -> int | None:
        dollars: Decimal | None = self.cleaned_data["dollars"]
        return None if dollars is None else int(dollars * MICRO_PER_DOLLAR)


def cap_form(cap_micro: int | None) -> CapForm:
    """The form showing the cap in force."""
    shown = None if cap_micro is None else Decimal(cap_micro) / MICRO_PER_DOLLAR
    return CapForm(initial={"dollars": shown and shown.quantize(Decimal("0.01"))})


class BillingDetailsForm(forms.ModelForm[BillingDetails]):
    class Meta:
        model = BillingDetails
        fields = ("legal_name", "address", "tax_id", "email", "reference")
        widgets: ClassVar[dict[str, forms.Widget]] = {"address": forms.Textarea({"rows": 4})}
