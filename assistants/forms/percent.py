"""Shares as people write them: so many of 100."""

from typing import Any

from django import forms


class PercentField(forms.FloatField):
    """A share of 0 to 1, shown and typed as a percentage: 95 for 0.95."""

    def __init__(self, *, least: float, most: float, **kwargs: Any) -> None:
        widget = forms.NumberInput(attrs={"step": "0.1"})
        super().__init__(min_value=least, max_value=most, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Django's hook: shares of our own are shown as percentages, what was typed as it was."""
        return f"{value * 100:.6g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> float | None:
        percent = super().clean(value)
        return None if percent is None else round(percent / 100, 6)
