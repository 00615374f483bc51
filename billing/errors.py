"""Refusals about money, in sentences for people."""

from web.errors import UserError


class CapReached(UserError):
    code, status = "spend_cap_reached", 402
    sentence = (
        "This team has reached its monthly spend cap. "
        "Raise the cap on the Usage & billing page, or wait for the next month."
    )
