"""A person's own settings."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit, signup
from accounts.errors import WrongPassword
from accounts.forms import PasswordForm, ProfileForm, TeamForm
from accounts.signed_in import SignedInRequest
from web.errors import UserError


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: SignedInRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("accounts:settings")
    memberships = request.user.memberships.select_related("team").order_by("joined_at")
    context = {
        "form": form,
        "memberships": memberships,
        "password_form": PasswordForm(),
        "team_form": TeamForm(),
    }
    return render(request, "accounts/settings.html", context)


@login_required
@require_POST
def create_team(request: SignedInRequest) -> HttpResponse:
    form = TeamForm(request.POST)
    if not form.is_valid():
        raise UserError("A team name has 1 to 80 characters.", param="name")
    team = signup.create_team(request.user, form.cleaned_data["name"])
    return redirect("projects:overview", team.slug)


@login_required
@require_POST
def sign_out_elsewhere(request: SignedInRequest) -> HttpResponse:
    """Hash the same password anew: every other session was bound to the old hash."""
    password = request.POST.get("password", "")
    if not request.user.check_password(password):
        raise WrongPassword
    request.user.set_password(password)
    request.user.save(update_fields=["password"])
    update_session_auth_hash(request, request.user)
    audit.record(None, request.user, "sessions.ended", request.user.email)
    messages.success(request, "Every other browser is signed out.")
    return redirect("accounts:settings")
