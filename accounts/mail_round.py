"""One round of sending e-mails: those of a single notice, then the digests whose hour has come."""

from accounts import digests, mailing
from web.alone import alone


def send_alone() -> None:
    """Send what is due, unless another process is doing so."""
    with alone("e-mails") as is_ours:
        if is_ours:
            mailing.send_due()
            digests.send_due()
