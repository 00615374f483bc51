"""The form that moves a classifier's threshold on its test rows."""

from django import forms

from training.artifacts.thresholds import STEPS

MAX_COST = 1_000_000


class ThresholdForm(forms.Form):
    """Everything has a default, so that an address without a query is a question too."""

    label = forms.CharField(required=False, max_length=1000, strip=False)
    threshold = forms.FloatField(required=False, min_value=0, max_value=1)
    cost_wrong = forms.FloatField(required=False, min_value=0, max_value=MAX_COST)
    cost_missed = forms.FloatField(required=False, min_value=0, max_value=MAX_COST)

    def cost(self, name: str) -> float:
        """What was typed, or 1."""
        value = self.cleaned_data.get(name)
        return 1.0 if value is None else float(value)

    def place(self, default: int) -> int:
        """The threshold that was typed, in hundredths."""
        value = self.cleaned_data.get("threshold")
        return default if value is None else round(value * STEPS)
