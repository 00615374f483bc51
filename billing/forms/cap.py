"""The spend cap, typed in dollars."""

from decimal import Decimal

from django import forms

from billing.money import MICRO_PER_DOLLAR, dollars_to_micro


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
        return None if dollars is None else dollars_to_micro(dollars)


def cap_form(cap_micro: int | None) -> CapForm:
    """The form showing the cap in force."""
    shown = None if cap_micro is None else Decimal(cap_micro) / MICRO_PER_DOLLAR
    return CapForm(initial={"dollars": shown and shown.quantize(Decimal("0.01"))})
