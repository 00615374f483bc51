"""Forms about people, teams and tokens."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.timezone import now

from accounts.models import Role, Scope, Team, User

TEAM_NAME_HELP = "Who owns the data and pays. You can rename it later."


class SignupExtras(forms.Form):
    """What sign-up asks beside address and password (allauth's ACCOUNT_SIGNUP_FORM_CLASS)."""

    team_name = forms.CharField(
        label="Team name",
        max_length=80,
        required=False,
        help_text=TEAM_NAME_HELP,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "Acme Labs"}),
    )

    def signup(self, request: HttpRequest, user: User) -> None:
        """allauth's hook; the adapter has created the team already."""


class ApiTokenForm(forms.Form):
    LIVES = [("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Never")]

    name = forms.CharField(
        max_length=80,
        help_text="What will use it, so that you know it again.",
        widget=forms.TextInput(attrs={"placeholder": "Training script"}),
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=list(Scope.values),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one scope."},
    )
    days = forms.ChoiceField(label="Expires after", choices=LIVES, initial="90")

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return None if days == "never" else now() + timedelta(days=int(days))


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "grace@example.com"}),
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class TeamForm(forms.Form):
    name = forms.CharField(label="Team name", max_length=80)

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ["first_name", "last_name"]


class PasswordForm(forms.Form):
    password = forms.CharField(
        label="Current password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


def team_form(team: Team, data: Any = None) -> TeamForm:
    """The form to rename this team."""
    return TeamForm(data, initial={"name": team.name})
