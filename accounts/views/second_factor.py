"""allauth's page for second factors, where it also says why none can be set up yet."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.base.views import IndexView as AllauthIndexView


class SecondFactorView(AllauthIndexView):  # type: ignore[misc]
    """allauth refuses as long as any address of the person is unconfirmed, and names no way out."""

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        waiting = EmailAddress.objects.filter(user=self.request.user, verified=False)
        addresses = list(waiting.order_by("pk").values_list("email", flat=True))
        context: dict[str, Any] = super().get_context_data(**options)
        return context | {"unconfirmed": addresses}
