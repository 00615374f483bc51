"""A person's reply as an e-mail: in the thread of the one it answers (RFC 5322, 3.6.4), or to the
address that a visitor of the widget left."""

import json
import smtplib
from email.message import EmailMessage
from email.utils import formatdate

from django.conf import settings
from django.core.mail import send_mail

from accounts.webhooks import secret_encryption
from assistants.errors import MailFailed
from assistants.mail.account import MailAccount, open_outgoing
from assistants.mail.reading import is_reply
from assistants.models import Assistant, Channel, Message


def can_write_to_visitors(assistant: Assistant) -> bool:
    """Whether an address that a visitor leaves is of any use."""
    return settings.CAN_SEND_EMAIL or find_mailbox(assistant) is not None


def find_mailbox(assistant: Assistant) -> Channel | None:
    """The assistant's own mailbox: replies come from it, whatever channel they answer."""
    return assistant.channels.filter(kind=Channel.Kind.EMAIL, disabled_at=None).first()


def send_reply(message: Message) -> None:
    """From the channel's mailbox, the assistant's or else the operator's. Raises MailFailed."""
    contact = json.loads(secret_encryption.decrypt(message.conversation.contact))
    channel = message.channel
    mailbox = channel if channel.kind == Channel.Kind.EMAIL else find_mailbox(channel.assistant)
    if mailbox is not None:
        account = MailAccount.of(mailbox)
        with open_outgoing(account) as server:
            server.send_message(write_reply(account, contact, message))
        return
    subject = f"Re: {contact['subject']}"
    try:
        send_mail(subject, message.text, None, [contact["to"]])
    except (OSError, smtplib.SMTPException) as failure:
        raise MailFailed(f"The mail server did not take it: {failure}") from failure


def write_reply(account: MailAccount, contact: dict[str, str], message: Message) -> EmailMessage:
    """The same each time it is tried, Message-ID included: a receiver may drop the second."""
    reply = EmailMessage()
    subject = contact["subject"] or message.channel.assistant.name
    reply["Subject"] = subject if is_reply(subject) else f"Re: {subject}"
    reply["From"] = account.address
    reply["To"] = contact["to"]
    reply["Date"] = formatdate(message.at.timestamp())
    reply["Message-ID"] = f"<lathe-{message.channel_id.hex}-{message.pk}@{account.domain}>"
    if contact.get("message_id"):
        reply["In-Reply-To"] = contact["message_id"]
        reply["References"] = contact["references"]
    reply.set_content(message.text)
    return reply
