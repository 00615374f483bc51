"""The audit log in words: what happened to what, and the details a person can read."""

import re
from collections.abc import Mapping

from django import template
from django.utils.translation import gettext

from web.language.sentences import translated
from web.templatetags.ui import money

register = template.Library()

NOUNS = {
    "alert": "Alert",
    "answer": "Approved answer",
    "assistant": "Assistant",
    "batch": "Batch",
    "billing_details": "Billing details",
    "budget": "Budget",
    "cap": "Spend cap",
    "compute": "Machine class",
    "credit": "Credit",
    "dataset": "Dataset",
    "deployment": "Endpoint",
    "file": "File",
    "invitation": "Invitation",
    "job": "Fine-tune",
    "ledger": "Ledger",
    "member": "Member",
    "model": "Model",
    "outbox": "Usage report",
    "plan": "Plan",
    "project": "Project",
    "promotion": "Promotion rule",
    "rate": "Rate",
    "reconciliation": "Reconciliation",
    "sessions": "Sessions",
    "stripe": "Stripe",
    "team": "Team",
    "token": "API token",
    "webhook": "Webhook",
    "worker": "Worker",
}
DEEDS = {
    "adjusted": "was adjusted",
    "approved": "was approved",
    "archived": "was moved to the trash",
    "asked": "was given to an endpoint",
    "cancelled": "was cancelled",
    "canary": "got a canary",
    "canary_ended": "ended its canary",
    "changed": "was changed",
    "channel-added": "got a channel",
    "channel-changed": "had a channel changed",
    "channel-removed": "lost a channel",
    "channel-rotated": "got a new key for a channel",
    "checked": "was checked",
    "checkout_opened": "was taken to checkout",
    "conversation-reassigned": "had a conversation given to another person",
    "created": "was created",
    "customer_forgotten": "forgot the customer",
    "deleted": "was deleted",
    "described": "got other tags or notes",
    "disabled": "was switched off",
    "document-added": "got a document",
    "dropped": "was dropped",
    "edited": "was edited",
    "enabled": "was switched on",
    "ended": "came to its end",
    "ending": "will end",
    "failed": "was ended as failed",
    "gated": "kept its model by its rule",
    "granted": "was granted",
    "held": "was put on hold",
    "imported-again": "was imported again",
    "invited": "was invited",
    "joined": "has joined",
    "judged": "had an answer judged",
    "kept": "goes on after all",
    "launched": "was launched",
    "left": "has left",
    "live": "went live",
    "log-changed": "keeps its requests in another way",
    "moved": "switched its model",
    "phrasing-removed": "lost a way to ask",
    "paused": "was paused",
    "prioritised": "got another priority",
    "published": "got a live version",
    "purged": "was deleted for good",
    "refunded": "was refunded",
    "released": "was released from hold",
    "removed": "was removed",
    "renamed": "was renamed",
    "repaired": "was repaired",
    "replayed": "was sent again",
    "reply-dismissed": "had a reply dismissed",
    "requeued": "went back to the queue",
    "resent": "was sent again",
    "restored": "was restored",
    "resumed": "was resumed",
    "retired": "was taken down",
    "revoked": "was revoked",
    "role_changed": "got another role",
    "rolled-back": "was rolled back",
    "rotated": "got a new secret",
    "rule-added": "got a rule",
    "rule-changed": "had a rule changed",
    "rule-deleted": "lost a rule",
    "rule-moved": "had its rules put in another order",
    "secret_rotated": "got a new secret",
    "set": "was set",
    "settled": "was settled",
    "shadow": "got a shadow",
    "shadow_ended": "ended its shadow",
    "shadow-started": "runs a version in shadow",
    "source-added": "got a source",
    "source-retired": "lost a source",
    "superseded": "was superseded",
    "taken_back": "was taken back",
    "test-deleted": "lost a test question",
    "uploaded": "was uploaded",
    "version-built": "had a version built",
    "visitor-blocked": "blocked a visitor",
    "visitor-erased": "erased a visitor",
    "visitor-exported": "exported what is kept of a visitor",
    "visitor-unblocked": "unblocked a visitor",
    "withdrawn": "was withdrawn",
    "written": "was written",
}
NOT_TOLD = {"id", "name"}  # The name stands before the details.
SENTENCES = {"rule", "reason"}  # Other values are names, which stay as people wrote them.
UUID = re.compile(r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")


@register.filter
def action_words(action: str) -> str:
    """ "token.created" as "API token was created", in the reader's language.

    What has no words here stays as it was recorded, readable enough: "worker drain".
    """
    noun, _, deed = action.partition(".")
    if noun not in NOUNS or deed not in DEEDS:
        return action.replace(".", " ").replace("_", " ").replace("-", " ")
    return gettext("{thing} {deed}").format(
        thing=translated(NOUNS[noun]), deed=translated(DEEDS[deed])
    )


@register.filter
def told_details(detail: Mapping[str, object]) -> list[tuple[str, object]]:
    """(words, value) of what says something to people: no ids, nothing empty; money in dollars."""
    pairs: list[tuple[str, object]] = []
    for key, value in detail.items():
        if key in NOT_TOLD or value in (None, "", [], {}) or UUID.match(str(value)):
            continue
        if key.endswith("_micro") and isinstance(value, int):
            key, value = key.removesuffix("_micro"), money(value)
        shown = translated(value) if key in SENTENCES else value
        pairs.append((key.replace("_", " "), shown))
    return pairs
