"""The admin of money. Django finds it here; each module registers its own."""

from billing.admin import actions, money, outbox, stripe

__all__ = ["actions", "money", "outbox", "stripe"]
