"""Errors about money that people see."""

from web.errors import UserError


class CapNeedsPaymentMethod(UserError):
    code, status = "cap_needs_payment_method", 409


class CapReached(UserError):
    code, status = "spend_cap_reached", 402
    sentence = (
        "This team has reached its monthly spend cap. "
        "Raise the cap on the Usage & billing page, or wait for the next month."
    )
