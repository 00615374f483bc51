"""allauth's forms, with one rule about passwords and the address of who was invited filled in."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.core import context
from django import forms

from accounts.teams.membership import INVITATION_SESSION_KEY

PASSWORD_HELP = "At least 8 characters."


class OneRuleMixin:
    """One rule about a new password at a time: the others are told where they are broken."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = PASSWORD_HELP


class ChangePasswordForm(OneRuleMixin, allauth_forms.ChangePasswordForm):  # type: ignore[misc]
    pass


class SetPasswordForm(OneRuleMixin, allauth_forms.SetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordFromKeyForm(OneRuleMixin, allauth_forms.ResetPasswordKeyForm):  # type: ignore[misc]
    pass


class LoginForm(allauth_forms.LoginForm):  # type: ignore[misc]
    """The address of `?email=` stands in its field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].initial = context.request.GET.get("email")


class SignupForm(OneRuleMixin, allauth_forms.SignupForm):  # type: ignore[misc]
    """No team name for who was invited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = context.request
        self.fields["email"].initial = request.GET.get("email")
        if request.session.get(INVITATION_SESSION_KEY):  # They join the team that invited them.
            self.fields["team_name"].widget = forms.HiddenInput()
