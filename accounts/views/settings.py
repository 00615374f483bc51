"""A person's own settings."""

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.forms import BaseForm as Form
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit, signup
from accounts.errors import WrongPassword
from accounts.forms.people import PasswordForm, ProfileForm, TeamForm
from accounts.people.deletion import deletion_obstacles
from accounts.people.sessions import list_sessions
from web.browser.refusals import refusals_on, status_of
from web.rate_limits.actions import require_rate
from web.requests import AuthenticatedRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: AuthenticatedRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("accounts:settings")
    return _render_settings(request, form=form)


def _render_settings(request: AuthenticatedRequest, **forms: Form) -> HttpResponse:
    """The page; a form that was refused shows what was typed and what is wrong with it."""
    context = {
        "form": ProfileForm(instance=request.user),
        "memberships": request.user.memberships.select_related("team").order_by("joined_at"),
        "password_form": PasswordForm(),
        "team_form": TeamForm(),
        "sessions": list_sessions(request.user, request.session.session_key),
        "has_second_factor": is_mfa_enabled(request.user),
        "obstacles": deletion_obstacles(request.user),
        **forms,
    }
    status = max([status_of(form) for form in forms.values()], default=200)
    return render(request, "accounts/settings.html", context, status=status)


@login_required
@require_POST
def create_team(request: AuthenticatedRequest) -> HttpResponse:
    form = TeamForm(request.POST)
    if not form.is_valid():
        return _render_settings(request, team_form=form)
    require_rate("teams", request.user.pk, who="One person")
    team = signup.create_another_team(request.user, form.cleaned_data["name"])
    return redirect("projects:overview", team.slug)


@login_required
@require_POST
def sign_out_elsewhere(request: AuthenticatedRequest) -> HttpResponse:
    """Hash the same password again: every other session is bound to the old hash."""
    form = PasswordForm(request.POST)
    password = request.POST.get("password", "")
    if form.is_valid():
        with refusals_on(form):
            if not request.user.check_password(password):
                raise WrongPassword(param="password")
    if form.errors:
        return _render_settings(request, password_form=form)
    request.user.set_password(password)
    request.user.save(update_fields=["password"])
    update_session_auth_hash(request, request.user)
    audit.record(None, request.user, "sessions.ended", request.user.email)
    messages.success(request, "Every other browser is signed out.")
    return redirect("accounts:settings")
