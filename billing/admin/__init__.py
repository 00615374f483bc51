"""The admin of money. Django finds it here; each module registers its own."""

from billing.admin import money, stripe

__all__ = ["money", "stripe"]
