"""Forms about e-mails and webhooks."""

from typing import Any

from django import forms

from accounts.errors import UnusableUrl
from accounts.events import deliverable
from accounts.models import EmailPace, EmailWish, Group
from accounts.webhooks.addresses import checked_url


class WishesForm(forms.Form):
    """When to write, and one choice per group of events."""

    pace = forms.ChoiceField(label="When", choices=EmailPace.choices)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for group, label in Group.choices:
            self.fields[group] = forms.ChoiceField(label=label, choices=EmailWish.choices)


class EndpointForm(forms.Form):
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
        choices=deliverable,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one event."},
    )

    def clean_url(self) -> str:
        """Beside the field, rather than as a page of its own."""
        try:
            return checked_url(self.cleaned_data["url"])
        except UnusableUrl as problem:
            raise forms.ValidationError(problem.sentence) from None
