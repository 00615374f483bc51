"""The form of an assistant's settings."""

from typing import Any

from django import forms

from accounts.errors import InvalidWebhookUrl
from accounts.webhooks import secret_encryption
from assistants.models import Assistant
from assistants.writing.upstream import validate_writer_url
from billing.money import MICRO_PER_DOLLAR

ALREADY_SET = "A key is set. Leave this empty to keep it."


class SettingsForm(forms.Form):
    """What may change while the assistant answers."""

    promise = forms.FloatField(
        min_value=0.8,
        max_value=0.99,
        help_text="Of the answers it gives alone, the share that must be right: 0.8 to 0.99.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    out_of_scope_share = forms.FloatField(
        min_value=0.01,
        max_value=0.9,
        label="Questions nobody could answer",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )
    retention_days = forms.IntegerField(
        min_value=1,
        max_value=3650,
        help_text="Closed conversations are deleted after so many days.",
    )
    daily_budget = forms.DecimalField(
        min_value=0,
        max_digits=9,
        decimal_places=2,
        required=False,
        help_text="In US dollars a day (UTC). Once it is spent, people are asked to answer.",
    )
    writer_model = forms.CharField(
        max_length=200,
        required=False,
        label="Language model that writes from documents",
        help_text="An endpoint of your team, or a model at the address below. Each sentence is"
        " checked against the passage it cites. Empty: passages are quoted as they are.",
    )
    writer_url = forms.CharField(
        max_length=500,
        required=False,
        label="OpenAI-compatible address",
        help_text="For example https://api.example.com/v1. Empty: an endpoint of your team.",
    )
    writer_key = forms.CharField(
        max_length=500,
        required=False,
        label="Its API key",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, assistant: Assistant, data: Any = None) -> None:
        budget = assistant.daily_budget_micro
        initial = {
            name: getattr(assistant, name)
            for name in ("promise", "out_of_scope_share", "retention_days", "writer_model",
                         "writer_url")
        }  # fmt: skip
        initial["daily_budget"] = None if budget is None else f"{budget / MICRO_PER_DOLLAR:.2f}"
        super().__init__(data, initial=initial)
        if assistant.writer_key:
            self.fields["writer_key"].help_text = ALREADY_SET

    def clean_writer_url(self) -> str:
        text = str(self.cleaned_data["writer_url"])
        try:
            return validate_writer_url(text) if text else ""
        except InvalidWebhookUrl as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        if fields.get("writer_url") and not fields.get("writer_model"):
            self.add_error("writer_model", "Name the model at this address.")
        return fields

    def changes(self) -> dict[str, Any]:
        """The fields to change, as the model stores them."""
        fields = dict(self.cleaned_data)
        budget, key = fields.pop("daily_budget"), fields.pop("writer_key")
        fields["daily_budget_micro"] = None if budget is None else int(budget * MICRO_PER_DOLLAR)
        if key:
            fields["writer_key"] = secret_encryption.encrypt(key)
        return fields
