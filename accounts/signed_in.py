"""The type of a request behind `login_required`."""

from accounts.models import User
from web.htmx import HtmxRequest


class SignedInRequest(HtmxRequest):
    """A request whose user is known to be signed in."""

    user: User
