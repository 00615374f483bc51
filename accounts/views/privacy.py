"""A person's sessions, their data as a file, and the end of their account."""

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.people.deletion import delete_account as delete_person
from accounts.people.export import export_of
from accounts.people.sessions import end_session as end_one_session
from web.browser.confirmation import require_typed_name
from web.requests import AuthenticatedRequest


@login_required
@require_POST
def end_session(request: AuthenticatedRequest, session_id: int) -> HttpResponse:
    """Sign one browser out."""
    if not end_one_session(request.user, session_id):
        raise Http404
    messages.success(request, "That browser is signed out.")
    return redirect("accounts:settings")


@login_required
@require_safe
@never_cache
def export_data(request: AuthenticatedRequest) -> HttpResponse:
    """What is stored about the person, as a file."""
    answer = JsonResponse(export_of(request.user), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = 'attachment; filename="lathe-account.json"'
    return answer


@login_required
@require_POST
def delete_account(request: AuthenticatedRequest) -> HttpResponse:
    """Needs the address typed, and the password or second factor given minutes ago."""
    require_typed_name(request, request.user.email)
    if not did_recently_reauthenticate(request):
        messages.info(request, "Confirm that it is you, then press “Delete my account” again.")
        query = urlencode({"next": reverse("accounts:settings")})
        return redirect(f"{reverse('account_reauthenticate')}?{query}")
    delete_person(request.user)
    logout(request)
    messages.success(request, "Your account is deleted.")
    return redirect("landing")
