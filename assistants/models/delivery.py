"""What leaves the product for a visitor, and the mailbox that visitors write to."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from assistants.models.conversation import Channel, Message


class Delivery(models.Model):
    """A person's reply on its way to a visitor who is no page of ours: by e-mail or WeChat.

    Due while `next_at` is set. Neither sent nor due: it was given up, and `problem` says why.
    """

    message = models.OneToOneField(Message, models.CASCADE, related_name="delivery")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, default=now)
    sent_at = models.DateTimeField(null=True)
    # Of the text, where a channel takes it in several messages: the rest is sent next.
    sent_characters = models.PositiveIntegerField(default=0, db_default=0)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                name="assistants_delivery_sent_is_not_due",
                condition=Q(sent_at=None) | Q(next_at=None),
            )
        ]
        indexes = [
            models.Index(
                name="assistants_delivery_due",
                fields=["next_at"],
                condition=Q(next_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.state}"

    @property
    def state(self) -> str:
        if self.sent_at is not None:
            return "sent"
        return "failed" if self.next_at is None else "sending"


class Mailbox(models.Model):
    """How far the mailbox of an e-mail channel has been read. Its account is sealed in the channel.

    Messages are counted by IMAP's UIDs, which hold while `uid_validity` does (RFC 3501, 2.3.1.1).
    """

    channel = models.OneToOneField(Channel, models.CASCADE, related_name="mailbox")
    uid_validity = models.BigIntegerField(null=True)  # None: never read.
    last_uid = models.BigIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)  # Since the last success.
    next_at = models.DateTimeField(default=now, db_index=True)
    checked_at = models.DateTimeField(null=True)  # Read without an error.
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "mailboxes"

    def __str__(self) -> str:
        return str(self.channel)
