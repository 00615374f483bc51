"""The spend cap, typed in dollars."""

from decimal import Decimal
from typing import Any

from django import forms

from billing.money import MICRO_PER_DOLLAR, dollars_to_micro


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
