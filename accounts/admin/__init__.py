"""The admin of people, teams and tokens. Django finds it here; each module registers its own."""

from accounts.admin import people

__all__ = ["people"]
