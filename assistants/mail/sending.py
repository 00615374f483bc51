"""A person's reply as an e-mail, in the thread of the one it answers (RFC 5322, 3.6.4)."""

import json
from email.message import EmailMessage
from email.utils import formatdate

from accounts.webhooks import secret_encryption
from assistants.mail.account import MailAccount, open_outgoing
from assistants.models import Message


def send_reply(message: Message) -> None:
    """Raises MailFailed."""
    account = MailAccount.of(message.channel)
    contact = json.loads(secret_encryption.decrypt(message.conversation.contact))
    with open_outgoing(account) as server:
        server.send_message(write_reply(account, contact, message))


def write_reply(account: MailAccount, contact: dict[str, str], message: Message) -> EmailMessage:
    """The same each time it is tried, Message-ID included: a receiver may drop the second."""
    reply = EmailMessage()
    subject = contact["subject"] or message.channel.assistant.name
    is_reply = subject.lower().startswith(("re:", "aw:", "回复", "答复"))
    reply["Subject"] = subject if is_reply else f"Re: {subject}"
    reply["From"] = account.address
    reply["To"] = contact["to"]
    reply["Date"] = formatdate(message.at.timestamp())
    reply["Message-ID"] = f"<lathe-{message.channel_id.hex}-{message.pk}@{account.domain}>"
    reply["In-Reply-To"] = contact["message_id"]
    reply["References"] = contact["references"]
    reply.set_content(message.text)
    return reply
