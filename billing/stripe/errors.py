"""Failures of calls to Stripe, one class for each way in which a caller should react."""

from web.errors import UserError


class StripeFailure(UserError):
    """A call to Stripe that failed or gave no usable answer."""

    code, status = "stripe_failed", 502
    sentence = "Stripe did not carry this out. Try again in a minute."


class StripeDisabled(StripeFailure):
    code, status = "stripe_is_off", 409
    sentence = (
        "This installation keeps its own ledger and takes no payments by card. "
        "Ask whoever runs it to change your plan or add credit."
    )


class StripeUnreachable(StripeFailure):
    """The outcome is unknown: repeat with the same idempotency key."""

    effect = "It may have been carried out: look at the page before you try again."
    code, status = "stripe_unreachable", 503
    sentence = "Stripe could not be reached. Try again in a minute."


class StripeRateLimited(StripeFailure):
    """Too many calls (429): repeat later with the same idempotency key."""

    code, status = "stripe_busy", 503
    sentence = "Stripe is busy. Try again in a minute."


class StripeServerError(StripeFailure):
    """Stripe answered 5xx and replays that answer: repeat with a new idempotency key."""

    effect = "It may have been carried out: look at the page before you try again."
    code, status = "stripe_broken", 502
    sentence = "Stripe has a problem of its own. Try again in a minute."


class StripeRequestRejected(StripeFailure):
    """Stripe rejected the request; the sentence has Stripe's reason."""

    code, status = "stripe_refused", 409

    def __init__(self, reason: str, *, param: str | None = None, stripe_code: str = "") -> None:
        super().__init__(f"Stripe refused: {reason}", param=param)
        self.reason = reason  # Stripe's words only.
        self.stripe_code = stripe_code


class StripeNotFound(StripeRequestRejected):
    """The object does not exist at Stripe (404 or resource_missing)."""


class StripeKeyRejected(StripeFailure):
    code, status = "stripe_key_rejected", 502
    sentence = (
        "Stripe did not accept this installation's key. "
        "Whoever runs it should check STRIPE_SECRET_KEY."
    )


class BadSignature(StripeFailure):
    code, status = "bad_signature", 400
    sentence = "This message does not carry a valid, recent signature of Stripe's."
