"""allauth's entrance forms, with the address filled in for who comes by an invitation."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.core import context
from django import forms

from accounts.teams.membership import INVITATION_SESSION_KEY

PASSWORD_HELP = "At least 8 characters."


class LoginForm(allauth_forms.LoginForm):  # type: ignore[misc]
    """The address of `?email=` stands in its field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].initial = context.request.GET.get("email")


class SignupForm(allauth_forms.SignupForm):  # type: ignore[misc]
    """One rule about the password at a time, and no team name for who was invited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = context.request
        self.fields["email"].initial = request.GET.get("email")
        self.fields["password1"].help_text = PASSWORD_HELP
        if request.session.get(INVITATION_SESSION_KEY):  # They join the team that invited them.
            self.fields["team_name"].widget = forms.HiddenInput()
