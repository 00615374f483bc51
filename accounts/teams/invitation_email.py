"""The e-mail that invites somebody to a team."""

import logging
import smtplib

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from accounts.models import Invitation, User

logger = logging.getLogger(__name__)


def send(invitation: Invitation, link: str) -> bool:
    """Send the link to the invited address; False when no mail server took it."""
    context = {"invitation": invitation, "link": link}
    known = User.objects.filter(email__iexact=invitation.email).first()
    inviting = invitation.invited_by.language if invitation.invited_by else ""
    # Who has no account yet is written to in the language of who invites.
    with translation.override((known.language if known else inviting) or settings.LANGUAGE_CODE):
        subject = gettext("{person} invites you to {team} on Lathe").format(
            person=invitation.invited_by, team=invitation.team
        )
        text = render_to_string("accounts/mail/invitation.txt", context)
    try:
        sent = send_mail(
            " ".join(subject.split()),
            text,
            None,
            [invitation.email],
        )
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("The invitation to a member of %s was not sent: %s", invitation.team, error)
        return False
    return bool(sent)
