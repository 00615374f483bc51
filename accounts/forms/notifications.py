"""Forms about e-mails and webhooks."""

from collections.abc import Collection
from typing import Any

from django import forms

from accounts.errors import InvalidWebhookUrl
from accounts.models import EmailFrequency, EmailPreference, EventGroup
from accounts.notifications.events import webhook_event_choices
from accounts.webhooks.ssrf_guard import validate_webhook_url
from web.language.sentences import lazy_choices


class EmailPreferencesForm(forms.Form):
    """When to write, and one choice for each of these groups of events."""

    pace = forms.ChoiceField(label="When", choices=lazy_choices(EmailFrequency.choices))

    def __init__(self, groups: Collection[str], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for group, label in EventGroup.choices:
            if group in groups:
                self.fields[group] = forms.ChoiceField(
                    label=label, choices=lazy_choices(EmailPreference.choices)
                )


class WebhookEndpointForm(forms.Form):
    url = forms.CharField(
        label="Address",
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/lathe-events"}),
        help_text="Gets a signed POST for every event you choose.",
    )
    description = forms.CharField(
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "Staging"}),
    )
    events = forms.MultipleChoiceField(
        choices=lambda: lazy_choices(webhook_event_choices()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one event."},
    )

    def clean_url(self) -> str:
        """Beside the field, rather than as a page of its own."""
        try:
            return validate_webhook_url(self.cleaned_data["url"])
        except InvalidWebhookUrl as problem:
            raise forms.ValidationError(problem.sentence) from None
