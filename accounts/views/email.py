"""allauth's page for one's e-mail addresses, where only a confirmed one becomes the primary one."""

from typing import Any

from allauth.account.views import EmailView as AllauthEmailView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class EmailView(AllauthEmailView):  # type: ignore[misc]
    """allauth lets an unconfirmed address become primary where no other is confirmed: anybody could
    name an address of somebody else's and have a team's notices sent there."""

    def _action_primary(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        address = self._get_email_address(request)
        if address is None or not address.verified:
            messages.error(request, "Confirm this address first: open the link we sent to it.")
            return redirect("account_email")
        response: HttpResponse = super()._action_primary(request, *args, **options)
        return response
