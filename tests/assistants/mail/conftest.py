"""A live assistant whose mailbox lies on this machine."""

import ssl

import pytest

from assistants.lifecycle import add_channel
from assistants.mail import account as mail_account
from assistants.mail.account import MailAccount
from assistants.models import Channel
from tests.assistants.mail.servers import PASSWORD, USER, Mailbox, mail_servers


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


@pytest.fixture
def account(box, tmp_path, monkeypatch, settings) -> MailAccount:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with mail_servers(box, tmp_path) as (imap_port, smtp_port, certificate):
        context = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(mail_account, "ssl_context", lambda: context)
        monkeypatch.setattr(mail_account, "TLS_FROM_THE_START", smtp_port)
        yield MailAccount(
            USER, "localhost", "localhost", USER, PASSWORD, imap_port=imap_port, smtp_port=smtp_port
        )


@pytest.fixture
def channel(live, alice, account) -> Channel:
    return add_channel(
        live.assistant, Channel.Kind.EMAIL, alice, secrets_sealed=account.sealed()
    )  # fmt: skip
