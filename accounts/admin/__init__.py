"""The admin of people, teams and tokens. Django finds it here; each module registers its own."""

from accounts.admin import people, sign_in

__all__ = ["people", "sign_in"]
