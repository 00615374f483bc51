"""What masking changed, as the visitor wrote it: kept only where the assistant is told to,
encrypted, and for as many days as it says. People of the inbox read it; no model does."""

from collections.abc import Iterable
from datetime import timedelta

from django.utils.timezone import now

from accounts.webhooks import secret_encryption
from assistants.models import Assistant, Message


def seal_original(assistant: Assistant, written: str, masked: str) -> str:
    """Encrypted, where it is kept and says more than what is stored anyway; else empty."""
    if assistant.original_days is None or written == masked:
        return ""
    return secret_encryption.encrypt(written)


def read_original(message: Message) -> str | None:
    """None where nothing else was written, or it is not kept any more."""
    return secret_encryption.decrypt(message.original) if message.original else None


def read_originals(messages: Iterable[Message]) -> dict[int, str]:
    """{key of a message: what was written}, where that is kept."""
    return {
        message.pk: text for message in messages if (text := read_original(message)) is not None
    }


def delete_expired() -> int:
    """Those that are older than their assistant keeps them, or that it keeps no more."""
    stored = Message.objects.exclude(original="")
    assistants = Assistant.objects.filter(pk__in=stored.values("channel__assistant"))
    count = 0
    for assistant_id, days in assistants.values_list("pk", "original_days"):
        rows = stored.filter(channel__assistant=assistant_id)
        if days is not None:
            rows = rows.filter(at__lt=now() - timedelta(days=days))
        count += rows.update(original="")
    return count


def delete_originals(assistant: Assistant) -> int:
    """All that is kept for this assistant, at once."""
    return (
        Message.objects.filter(channel__assistant=assistant)
        .exclude(original="")
        .update(original="")
    )
