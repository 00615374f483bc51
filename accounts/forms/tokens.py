"""Forms about API tokens."""

from datetime import datetime, timedelta
from decimal import Decimal

from django import forms
from django.http import QueryDict
from django.utils.timezone import now

from accounts.models import ApiToken, TokenScope
from accounts.tokens import TokenLimits
from web.language.sentences import lazy_choices

MICRO = 1_000_000
MAX_NAMED_MODELS, MAX_NAME_LENGTH = 50, 300


class ApiTokenForm(forms.Form):
    LIFETIME_CHOICES = [("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Never")]

    name = forms.CharField(
        max_length=80,
        help_text="What will use it, so that you know it again.",
        widget=forms.TextInput(attrs={"placeholder": "Training script"}),
    )
    scopes = forms.MultipleChoiceField(
        choices=lazy_choices(TokenScope.choices),
        initial=[TokenScope.INFERENCE],  # The least that most programs need.
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one scope."},
    )
    days = forms.ChoiceField(
        label="Expires after", choices=lazy_choices(LIFETIME_CHOICES), initial="90"
    )
    allowed_models = forms.CharField(
        label="Only these models",
        required=False,
        max_length=MAX_NAMED_MODELS * MAX_NAME_LENGTH,
        help_text="Names of endpoints it may ask, and of assistants as assistant:NAME, one a line."
        " Empty: all of the team's.",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "support-tickets"}),
    )
    budget = forms.DecimalField(
        label="Budget a month",
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        help_text="In dollars, for answers. When it is spent, this token gets error 402.",
    )
    requests_per_minute = forms.IntegerField(
        label="Requests a minute",
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="For answers. Empty: as many as the server allows each token.",
    )

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return None if days == "never" else now() + timedelta(days=int(days))

    def clean_allowed_models(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["allowed_models"].splitlines()]
        names = list(dict.fromkeys(line for line in lines if line))
        if len(names) > MAX_NAMED_MODELS:
            raise forms.ValidationError(f"Name at most {MAX_NAMED_MODELS} models.")
        if any(len(name) > MAX_NAME_LENGTH for name in names):
            raise forms.ValidationError(f"A name has at most {MAX_NAME_LENGTH} characters.")
        return names

    def limits(self) -> TokenLimits:
        budget = self.cleaned_data["budget"]
        return TokenLimits(
            allowed_models=self.cleaned_data["allowed_models"],
            budget_micro=None if budget is None else int(budget * MICRO),
            requests_per_minute=self.cleaned_data["requests_per_minute"],
        )


class EditTokenForm(ApiTokenForm):
    """The same of a token there is; its expiry stays unless another is chosen."""

    KEEP = "keep"

    days = forms.ChoiceField(
        label="Expires after",
        choices=lazy_choices([(KEEP, "As it is now"), *ApiTokenForm.LIFETIME_CHOICES]),
        initial=KEEP,
        help_text="Counted from today.",
    )

    def __init__(self, token: ApiToken, data: QueryDict | None = None) -> None:
        budget = token.budget_micro
        initial = {
            "name": token.name,
            "scopes": token.scopes,
            "allowed_models": "\n".join(token.allowed_models),
            "budget": None if budget is None else Decimal(budget) / MICRO,
            "requests_per_minute": token.requests_per_minute,
        }
        super().__init__(data, initial=initial)
        self._token = token

    def expires_at(self) -> datetime | None:
        keeps = self.cleaned_data["days"] == self.KEEP
        return self._token.expires_at if keeps else super().expires_at()


class RotateTokenForm(forms.Form):
    OVERLAPS = [("0", "not at all"), ("1", "1 hour"), ("24", "1 day"), ("168", "1 week")]

    overlap_hours = forms.ChoiceField(choices=lazy_choices(OVERLAPS))

    def overlap(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["overlap_hours"]))
