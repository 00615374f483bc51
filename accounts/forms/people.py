"""Forms about people and teams."""

from django import forms
from django.conf import settings
from django.http import HttpRequest

from accounts.models import Role, User
from web.language.sentences import lazy_choices, translated_lazy

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


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "grace@example.com"}),
    )
    role = forms.ChoiceField(choices=lazy_choices(Role.choices), initial=Role.MEMBER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=lazy_choices(Role.choices))


class TeamForm(forms.Form):
    name = forms.CharField(label="Team name", max_length=80)

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ["first_name", "last_name", "language"]

    language = forms.ChoiceField(
        label="Language",
        required=False,
        choices=[("", translated_lazy("As your browser asks")), *settings.LANGUAGES],
        help_text="Of pages and e-mails. The API always answers in English.",
    )


class PasswordForm(forms.Form):
    password = forms.CharField(
        label="Current password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
